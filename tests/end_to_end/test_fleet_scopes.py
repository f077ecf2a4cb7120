"""Triggers with a scope, in real fleets: one node calls, and another one when it is gone."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fleets import Event, Fleet, FleetNode, fleet_on_loopback
from tests.guests import wat
from tests.services import Service

_MANIFEST = """
spin_manifest_version = 2
[application]
name = "{name}"
version = "1.0.0"
[application.tool.edged]
scopes = {{ shared = "fleet" }}
{trigger}
component = "guest"
[component.guest]
source = "guest.wat"
"""

CRON = '[[trigger.cron]]\nid = "shared"\ncron_expression = "1/2 * * * * *"'
"""Odd seconds, at which the guest fails: so the log has each call."""

READER = """
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\\01\\01")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "fermyon:spin/inbound-redis#handle-message") (param i32 i32) (result i32) (i32.const 16)))
"""
"""Fails at each message, so that the log has them."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    more = '[network]\nallow = ["loopback"]\n'
    regions = {"eu-1": "eu", "us-1": "us", "ap-1": "ap"}
    with fleet_on_loopback(tmp_path_factory.mktemp("fleet"), regions, workers=2, config=more) as fleet:
        yield fleet


def app(folder: Path, name: str, guest: str, trigger: str) -> Path:
    folder.mkdir()
    (folder / "guest.wat").write_text(guest)
    (folder / "spin.toml").write_text(_MANIFEST.format(name=name, trigger=trigger))
    return folder


def of(app: str, event: str) -> Callable[[Event], bool]:
    return lambda each: each.get("event") == event and each.get("app") == app


def ticks(node: FleetNode, app: str) -> list[str]:
    return [each["tick"] for each in node.events if of(app, "tick.failed")(each)]


def first_of(fleet: Fleet, app: str, event: str, marks: dict[str, int]) -> FleetNode:
    """The node that says it, of those that run; all that do say it within some seconds, or never."""
    while True:
        for node in fleet.nodes.values():
            if node.process is not None and any(of(app, event)(each) for each in node.events[marks[node.name] :]):
                return node


def test_one_node_calls_a_tick_and_the_next_when_it_is_gone(fleet: Fleet, tmp_path: Path) -> None:
    fleet.push(app(tmp_path / "app", "clock", wat.text("cron"), CRON))
    marks = {name: node.mark() for name, node in fleet.nodes.items()}
    first = first_of(fleet, "clock", "tick.failed", marks)
    for _ in range(4):
        first.wait_for(of("clock", "tick.failed"), since=first.mark())
    settled = {name: node.mark() for name, node in fleet.nodes.items()}
    for _ in range(4):
        first.wait_for(of("clock", "tick.failed"), since=first.mark())
    called = [each["tick"] for each in first.events[settled[first.name] :] if of("clock", "tick.failed")(each)]
    assert len(set(called)) == len(called)
    for node in fleet.nodes.values():
        if node is not first:
            assert not any(of("clock", "tick.failed")(each) for each in node.events[settled[node.name] :])

    marks = {name: node.mark() for name, node in fleet.nodes.items()}
    before = ticks(first, "clock")[-1]
    first.kill()
    second = first_of(fleet, "clock", "tick.failed", marks)
    second.wait_for(lambda each: of("clock", "tick.failed")(each) and each["tick"] > before, since=marks[second.name])
    first.start()


def publish(redis: Service, message: bytes) -> int:
    """To the channel `news`; how many got it."""
    with socket.create_connection(("127.0.0.1", redis.port), timeout=60) as connection:
        connection.sendall(b"PUBLISH news %b\r\n" % message)
        return int(connection.makefile("rb").readline()[1:])


def test_one_node_listens_and_the_next_when_it_is_gone(fleet: Fleet, redis: Service, tmp_path: Path) -> None:
    trigger = f'[[trigger.redis]]\nid = "shared"\nchannel = "news"\naddress = "redis://127.0.0.1:{redis.port}"'
    fleet.push(app(tmp_path / "app", "news", READER, trigger))
    while publish(redis, b"hello") != 1:  # each listens, until it hears of one before it that does
        pass
    marks = {name: node.mark() for name, node in fleet.nodes.items()}
    publish(redis, b"hello")
    first = first_of(fleet, "news", "message.failed", marks)
    first.kill()
    while not publish(redis, b"hello"):  # nobody has noticed yet, and these are lost
        pass
    marks[first.name] = first.mark()
    assert first_of(fleet, "news", "message.failed", marks) is not first
    first.start()
