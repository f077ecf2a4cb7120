"""Triggers with a scope, in real fleets: one node calls, and another one when it is gone."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from edged.fleet.scope import ScopedTrigger, order
from tests.fleets import WAIT_S, Event, Fleet, FleetNode, fleet_on_loopback
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

ODD_SECONDS = "1/2 * * * * *"
CRON = f'[[trigger.cron]]\nid = "shared"\ncron_expression = "{ODD_SECONDS}"'
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
    with fleet_on_loopback(tmp_path_factory.mktemp("fleet"), regions, config=more) as fleet:
        yield fleet


def app(folder: Path, name: str, guest: str, trigger: str) -> Path:
    folder.mkdir()
    (folder / "guest.wat").write_text(guest)
    (folder / "spin.toml").write_text(_MANIFEST.format(name=name, trigger=trigger))
    return folder


Calls = Mapping[str, list[Event]]
"""By node, what it said of calls."""
Ticks = Mapping[str, list[int]]
"""By node, the ticks that it called; unix s."""


def calls(fleet: Fleet, app: str, event: str, marks: Mapping[str, int]) -> Calls:
    """What each node said since then; nodes that said nothing are left out."""
    said = {
        name: [each for each in node.events[marks[name] :] if (each.get("event"), each.get("app")) == (event, app)]
        for name, node in fleet.nodes.items()
    }
    return {name: events for name, events in said.items() if events}


@contextmanager
def without(node: FleetNode) -> Iterator[None]:
    """It is killed, and back after the block."""
    node.kill()
    try:
        yield
    finally:
        node.start()


def in_turn(fleet: Fleet, app: str, expression: str = "") -> list[str]:
    """The nodes, in the order in which they take their turn for the app's trigger."""
    return order(ScopedTrigger(app, "shared", "fleet", expression).key, fleet.nodes)


def ticks(fleet: Fleet, marks: Mapping[str, int]) -> Ticks:
    """That were called since then; nodes that called none are left out."""
    said = calls(fleet, "clock", "tick.failed", marks)
    return {name: [int(datetime.fromisoformat(each["tick"]).timestamp()) for each in said[name]] for name in said}


def wait_ticks(fleet: Fleet, node: str, marks: Mapping[str, int], count: int, *, later_than: int = 0) -> Ticks:
    """Until a node has called as many ticks since then, which are later than one. What each has called."""

    def enough() -> bool:
        return sum(tick > later_than for tick in ticks(fleet, marks).get(node, [])) >= count

    assert fleet.wait_until(enough), ticks(fleet, marks)
    return ticks(fleet, marks)


def wait_called_by(fleet: Fleet, node: str) -> None:
    """Until it is the only one that calls: four in a row, each once."""
    deadline = time.monotonic() + WAIT_S
    while True:
        seen = wait_ticks(fleet, node, fleet.marks(), 4)
        if seen.keys() == {node} and len(set(seen[node])) == len(seen[node]):
            return
        assert time.monotonic() < deadline, f"{node} is to call, each once, in place of {seen}"


def left_out(fleet: Fleet, marks: Mapping[str, int], node: str) -> set[int]:
    """Ticks, after the first that a node called since then, that nobody did."""
    seen = ticks(fleet, marks)
    called = {tick for each in seen.values() for tick in each}
    return set(range(seen[node][0], max(called), 2)) - called


def test_one_node_calls_a_tick_and_the_next_when_it_is_gone(fleet: Fleet, tmp_path: Path) -> None:
    first, second, _ = in_turn(fleet, "clock", ODD_SECONDS)
    marks = fleet.marks()
    fleet.push(app(tmp_path / "app", "clock", wat.text("cron"), CRON))
    wait_called_by(fleet, first)  # until each has heard that the others have it, more than one may call
    with without(fleet[first]):
        last = ticks(fleet, marks)[first][-1]
        wait_ticks(fleet, second, marks, 1, later_than=last)
    # The second may begin with some that it did not hear to be done, and passes over the next as soon as it does. What
    # it hears of from another node may be in that one's log, and not be read yet.
    assert fleet.wait_until(lambda: not left_out(fleet, marks, first)), ticks(fleet, marks)


def publish(redis: Service) -> int:
    """To the channel `news`; to how many it went."""
    with socket.create_connection(("127.0.0.1", redis.port), timeout=60) as connection:
        connection.sendall(b"PUBLISH news hello\r\n")
        return int(connection.makefile("rb").readline()[1:])


def who_handles(fleet: Fleet, redis: Service) -> list[str]:
    """The nodes that handle a message which is published now. It is lost where nobody listens, and with a node that
    goes before it has read it.
    """
    handled = partial(calls, fleet, "news", "message.failed", fleet.marks())
    count = publish(redis)
    fleet.wait_until(lambda: len(handled()) >= count > 0, timeout_s=1)
    return list(handled())


def wait_handled_by(fleet: Fleet, redis: Service, node: str) -> None:
    """Until it is the only one that handles what is published."""
    deadline = time.monotonic() + WAIT_S
    while (handled_by := who_handles(fleet, redis)) != [node]:
        assert time.monotonic() < deadline, f"{node} is to handle it, in place of {handled_by}"


def test_one_node_listens_and_the_next_when_it_is_gone(fleet: Fleet, redis: Service, tmp_path: Path) -> None:
    first, second, _ = in_turn(fleet, "news")
    trigger = f'[[trigger.redis]]\nid = "shared"\nchannel = "news"\naddress = "redis://127.0.0.1:{redis.port}"'
    fleet.push(app(tmp_path / "app", "news", READER, trigger))
    wait_handled_by(fleet, redis, first)  # each listens, until it hears of one before it that does
    with without(fleet[first]):
        wait_handled_by(fleet, redis, second)  # until it is noticed, messages are lost
