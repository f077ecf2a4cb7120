"""What a node will not announce or take back, whoever asks for it: seen at real routers, BIRD and FRR, and said by
`edged status`. Rosters that a mistake made, a node.toml that names too much, and a daemon that lies to its own speaker.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import trio

from bgp.wire import Applied, PeerChanged, Refused, SetAnnouncements
from edged.anycast.sessions import static_sessions
from edged.node import config_file
from tests.anycast_net import INTERNET, PORT, AnycastNet, anycast_internet
from tests.bgp import parent
from tests.edged_command import edged_command
from tests.fleets import set_prefixes
from tests.lab.anycast import may_run
from tests.lab.internet import Internet

V4, V6 = PREFIXES = ("203.0.113.10/32", "2001:db8:a::10/128")
OTHERS = ("198.51.100.10/32", "2001:db8:b::10/128")
WIDE, LONGER, OUTSIDE = "198.51.100.0/24", "198.51.100.7/32", "192.0.2.9/32"
ALLOWED = (*PREFIXES, WIDE)
MASS = "the roster would take away"
ROUTERS: Mapping[str, str] = {"ams": "ams-1", "dal": "dal-1"}
"""BIRD and FRR, and the node of each."""

pytestmark = pytest.mark.skipif(bool(may_run()), reason=may_run() or "-")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnycastNet]:
    internet = Internet.load(INTERNET.parent / "two-regions.toml")
    with anycast_internet(tmp_path_factory.mktemp("net"), internet) as net:
        sign(net, ALLOWED)
        yield net


@pytest.fixture(autouse=True)
def as_before(net: AnycastNet) -> Iterator[None]:
    yield
    sign(net, ALLOWED)
    net.wait_announced()
    for node in ROUTERS.values():
        net.fleet.wait_status(lambda status, node=node: not any(MASS in alarm for alarm in alarms(status)[node]))  # type: ignore[misc]


@pytest.mark.parametrize("mistake", [(), OTHERS, OTHERS[:1]], ids=["none", "two others", "one other"])
def test_a_roster_that_takes_all_away_changes_nothing(net: AnycastNet, mistake: Sequence[str]) -> None:
    sign(net, mistake)
    for node in ROUTERS.values():
        wait_alarm(net, node, f"{MASS} 3 prefixes")
        assert f"node {node} in {node[:3]}: {MASS} 3 prefixes, and says that 0 may go" in shown(net)
    assert_announced(net, PREFIXES)


def test_a_node_announces_what_the_roster_has_and_as_it_is_written_there(net: AnycastNet) -> None:
    """A prefix that nobody allowed, and a part of one that is: neither goes out, and what is right does."""
    prefixes = [*PREFIXES, LONGER, OUTSIDE]
    with another_node_toml(net, "ams-1", prefixes):
        for prefix in (LONGER, OUTSIDE):
            problem = f"{prefix} is not announced: the roster does not have it"
            wait_alarm(net, "ams-1", problem)
            assert f"node ams-1 in ams: {problem}" in shown(net)
        net.wait_announced()
        assert_announced(net, PREFIXES)


async def test_a_speaker_refuses_its_own_daemon(net: AnycastNet) -> None:
    """`edged speaker` with a parent that lies to it. Its allow-list is from the rosters that the node keeps."""
    node = net.fleet["ams-1"]
    node.wait_for(lambda event: event.get("event") == "anycast.alarm" and WIDE in event["message"])
    table = config_file.load(node.config).bgp
    assert table is not None
    config = static_sessions(table)
    node.kill()
    try:
        inside = ["ip", "netns", "exec", net.lab.namespace("ams-1")]
        program = edged_command("speaker", "--state-dir", node.state)
        async with parent.speaking(config, allow=(), beats=True, inside=inside, program=program) as child:
            await child.event(PeerChanged, lambda event: event.state == "established")
            good = [parent.announcement(prefix) for prefix in PREFIXES]
            await child.say(SetAnnouncements(1, tuple(good)))
            await child.event(Applied)
            await trio.to_thread.run_sync(net.wait_announced)
            for number, wanted in enumerate(([OUTSIDE], [LONGER], [WIDE, LONGER], ["203.0.113.0/24"]), start=2):
                await child.say(SetAnnouncements(number, (*good, *map(parent.announcement, wanted))))
                refused = await child.event(Refused, lambda event, number=number: event.id == number)  # type: ignore[misc]
                assert refused.code == "bgp.prefix-refused"
            # Each set was refused as a whole, and what was there stays.
            await trio.to_thread.run_sync(assert_announced, net, PREFIXES)
    finally:
        node.start()


def test_what_a_roster_may_take_away(net: AnycastNet) -> None:
    """One of several; and as many as it says."""
    sign(net, [V4, WIDE])
    for router, node in ROUTERS.items():
        net.lab.wait_announced(router, node, V6, lambda seen: seen is None)
    assert_announced(net, [V4])
    sign(net, [], "allow_removal = 2\n")
    for router, node in ROUTERS.items():
        net.lab.wait_announced(router, node, V4, lambda seen: seen is None)
        net.lab.wait_session(router, node)  # it is not the session that went
    assert_announced(net, [])


def sign(net: AnycastNet, prefixes: Collection[str], more: str = "") -> None:
    """A roster with these prefixes, published. Nothing of one before stays."""
    file = net.fleet.operator / "fleet.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("allow_removal")]
    file.write_text("\n".join(lines) + "\n")
    set_prefixes(file, list(prefixes), more=more)
    net.fleet.run("fleet", "sign", "-C", net.fleet.operator, "--yes")
    net.fleet.run("fleet", "publish", "-C", net.fleet.operator)


def wait_alarm(net: AnycastNet, node: str, text: str) -> None:
    net.fleet.wait_status(lambda status: any(text in alarm for alarm in alarms(status)[node]))


def alarms(status: Mapping[str, Any]) -> dict[str, list[str]]:
    """What each node says that somebody has to look at."""
    return {node["name"]: (node["anycast"] or {}).get("alarms", []) for node in status["nodes"]}


def shown(net: AnycastNet) -> str:
    """`edged status`, as somebody reads it, in one line."""
    output = net.fleet.run("status")
    return " ".join(" ".join(str(each.get("text", "")) for each in output.events).split())


def assert_announced(net: AnycastNet, prefixes: Collection[str]) -> None:
    """The routers have these of their nodes, and were told of nothing else."""
    for router, node in ROUTERS.items():
        found = {
            prefix
            for prefix in {*PREFIXES, *OTHERS, WIDE, LONGER, OUTSIDE}
            if net.lab.from_node(router, node, prefix) is not None
        }
        assert found == set(prefixes)
    # BIRD counts what its own filter kept out: the lab's lets in the service's prefixes only.
    counts = [
        line.split()[2:]
        for line in net.lab.birdc("ams", "show", "protocols", "all", "ams_1").splitlines()
        if line.split()[:2] == ["Import", "updates:"]
    ]
    assert len(counts) == 2
    for _received, rejected, filtered, _ignored, _accepted in counts:
        assert (rejected, filtered) == ("0", "0")


@contextmanager
def another_node_toml(net: AnycastNet, name: str, prefixes: Sequence[str]) -> Iterator[None]:
    """Runs a node for a while whose node.toml names prefixes; it listens on all of them, as it has to."""
    node = net.fleet[name]
    before = node.config.read_text()
    strange = [prefix for prefix in prefixes if prefix not in PREFIXES]
    listen = json.dumps([*node.listen, *(f"{prefix.partition('/')[0]}:{PORT}" for prefix in strange)])
    other = before.replace(json.dumps(node.listen), listen).replace(
        "[bgp]\n", f"[bgp]\nprefixes = {json.dumps(prefixes)}\n"
    )
    for prefix in strange:
        net.lab.add_address(name, prefix)
    try:
        for text in (other, before):
            node.kill()
            node.config.write_text(text)
            node.start()
            if text is other:
                yield
    finally:
        for prefix in strange:
            net.lab.remove_address(name, prefix)
