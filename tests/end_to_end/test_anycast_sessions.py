"""Sessions that cannot come up, with BIRD and FRR: what `edged status` says in words and in JSON, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.anycast_net import INTERNET, AnycastNet, anycast_internet
from tests.lab.anycast import may_run
from tests.lab.internet import Internet

PASSWORDS = {"ams": "between-us", "dal": "between-them"}
WRONG_ASN = 65299
ROUTERS = {"ams": "ams-1", "dal": "dal-1"}
"""BIRD and FRR, and the node of each."""

pytestmark = pytest.mark.skipif(bool(may_run()), reason=may_run() or "-")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnycastNet]:
    internet = Internet.load(INTERNET.parent / "two-regions.toml")
    with anycast_internet(tmp_path_factory.mktemp("net"), internet) as net:
        (net.folder / "right").mkdir()
        for node in ROUTERS.values():
            (net.folder / "right" / node).write_text(net.fleet[node].config.read_text())
        yield net


def test_passwords_differ(net: AnycastNet) -> None:
    secret = net.folder / "secrets" / "wrong"
    secret.touch(mode=0o600)
    secret.write_text("something-else\n")
    restart(net, lambda router: (f'password_file = "{password_file(net, router)}"', f'password_file = "{secret}"'))
    for router in ROUTERS:
        peer = wait_peer(net, router, "the passwords differ, or a filter drops it")
        assert "Set the same password on both ends" in peer["remedy"]
        assert "something-else" not in shown(net)
        assert PASSWORDS[router] not in shown(net)


def test_the_router_alone_demands_a_password(net: AnycastNet) -> None:
    """The kernel drops what is not signed, and neither end is told."""
    restart(net, lambda router: (f'password_file = "{password_file(net, router)}"\n', ""))
    for router in ROUTERS:
        peer = wait_peer(net, router, "the router demands a password (TCP-MD5)")
        assert "Put the router's password into the peer's password_file" in peer["remedy"]


def test_the_router_alone_demands_a_ttl(net: AnycastNet) -> None:
    restart(net, lambda _router: ("ttl_security = true\n", ""))
    for router in ROUTERS:
        peer = wait_peer(net, router, "TTL")
        assert "ttl_security" in peer["remedy"]


def test_the_router_is_of_another_network(net: AnycastNet) -> None:
    restart(net, lambda router: (f"\nasn = {net.internet.routers[router].asn}\n", f"\nasn = {WRONG_ASN}\n"))
    for router in ROUTERS:
        actual = net.internet.routers[router].asn
        # What it says first, or, where it is waiting after the last try, what was said on the session.
        peer = wait_peer(net, router, f"is AS{actual}, and this node", f"is not AS{WRONG_ASN}, which this node expects")
        assert "wrong AS number" in peer["error"]
        assert str(actual) in peer["error"]
        assert "asn" in peer["remedy"]


def test_the_node_is_of_another_network(net: AnycastNet) -> None:
    restart(net, lambda _router: (f"[bgp]\nasn = {net.internet.asn}\n", f"[bgp]\nasn = {WRONG_ASN}\n"))
    for router in ROUTERS:
        peer = wait_peer(net, router, f"does not expect AS{WRONG_ASN}, which this node is")
        assert "wrong AS number" in peer["error"]
        assert f"say AS{WRONG_ASN}, or correct the node's asn" in peer["remedy"]


def test_the_router_shut_the_session_down(net: AnycastNet) -> None:
    restart(net, None)
    back(net)
    for router, node in ROUTERS.items():
        net.lab.disable(router, node)
    try:
        for router in ROUTERS:
            assert wait_peer(net, router, "nothing listens at", "Cease", "shut")["remedy"]
    finally:
        for router, node in ROUTERS.items():
            net.lab.enable(router, node)
    back(net)


def test_the_router_is_dead(net: AnycastNet) -> None:
    """Nobody sees the node from elsewhere then: it is asked at its own place."""
    restart(net, None)
    router, node = next(iter(ROUTERS.items()))
    elsewhere = net.fleet.publisher
    net.lab.cut(router, node)
    net.fleet.publisher = node
    try:
        peer = wait_peer(net, router, "nobody on the link answers", "nothing at")
        assert "Look at the router" in peer["remedy"]
    finally:
        net.fleet.publisher = elsewhere
        net.lab.mend(router, node)
    back(net)


def restart(net: AnycastNet, mistake: Callable[[str], tuple[str, str]] | None) -> None:
    """Starts the nodes with something of their node.toml in place of something else; None for all as it should be.
    A node that has this already goes on.

    While a node is away, its router forgets it: where the TTL is wrong, BIRD hears nothing of the end of a connection
    either, and would turn the next ones away for minutes.
    """
    changed = []
    for router, name in ROUTERS.items():
        node = net.fleet[name]
        text = (net.folder / "right" / name).read_text()
        if mistake is not None:
            before, after = mistake(router)
            assert text.count(before) == 1
            text = text.replace(before, after)
        if text != node.config.read_text():
            changed.append((node, node.mark()))
            node.kill()
            net.lab.disable(router, name)
            net.lab.enable(router, name)
            node.config.write_text(text)
            node.start(wait=False)
    for node, mark in changed:
        node.wait_for(lambda event: event.get("event") == "node.ready", since=mark)


def password_file(net: AnycastNet, router: str) -> Path:
    return net.folder / "secrets" / router


def back(net: AnycastNet) -> None:
    """Until all sessions are up, and nothing is said of them any more."""
    net.wait_announced()
    net.fleet.wait_status(
        lambda status: all(peer["state"] == "established" for router in ROUTERS for peer in peers(status, router))
    )
    assert "the session with" not in shown(net)


def wait_peer(net: AnycastNet, router: str, *texts: str) -> dict[str, Any]:
    """The peer, once its node says any of these texts of it; a terminal shows the same, and what to do."""

    def found(status: dict[str, Any]) -> list[dict[str, Any]]:
        return [peer for peer in peers(status, router) if any(text in peer["error"] for text in texts)]

    peer = found(net.fleet.wait_status(lambda status: bool(found(status))))[0]
    assert peer["state"] != "established"
    terminal = shown(net)
    assert f"node {ROUTERS[router]} in {router}: the session with {router} (" in terminal
    assert any(text in terminal for text in texts)
    assert peer["remedy"] in terminal
    return peer


def peers(status: dict[str, Any], router: str) -> list[dict[str, Any]]:
    """Of a router's node; none while the node does not answer."""
    (node,) = [node for node in status["nodes"] if node["name"] == ROUTERS[router]]
    return (node["anycast"] or {}).get("peers", [])  # type: ignore[no-any-return]


def shown(net: AnycastNet) -> str:
    """`edged status`, as somebody reads it, in one line."""
    output = net.fleet.run("status")
    return " ".join(" ".join(str(each.get("text", "")) for each in output.events).split())
