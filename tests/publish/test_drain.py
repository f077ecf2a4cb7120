"""`edged drain` and `edged undrain` against a node that the test plays: which one, what is shown, how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from edged.errors import DrainUnfinished, LinkError, ProtocolError, UsageError
from edged.fleet.roster import Node
from edged.publish.drain import Steered, drain, find_node, undrain
from edged.publish.link import Client, Connect
from edged.publish.signer import Signer
from tests.fleet.kit import identity, node, roster

NODE = node("n1")
Item = dict[str, Any]


def item(step: str, level: str = "withdrawn", **changes: Any) -> Item:
    prefix = {"prefix": "203.0.113.10/32", "state": "s", "level": level, "reason": "why"}
    return {"step": step, "withdrawal_proven": True, "connections": 3, "prefixes": [prefix], **changes}


def played(items: Sequence[object], calls: list[str], *, lost: bool = False) -> Connect:
    class Played:
        async def stream(self, name: str) -> AsyncIterator[object]:
            calls.append(name)
            for one in items:
                yield one
            if lost:
                raise LinkError("gone")

    @asynccontextmanager
    async def connect(address: str) -> AsyncIterator[Client]:
        assert address == NODE.address
        yield cast(Client, Played())

    return connect


async def test_drain() -> None:
    shown: list[Steered] = []
    calls: list[str] = []
    await drain(played([item("shifting", "last-resort"), item("drained")], calls), NODE, shown.append)
    assert calls == ["drain"]
    assert [one.step for one in shown] == ["shifting", "drained"]
    assert shown[0].as_json() == {
        "event": "anycast",
        "node": "n1",
        "step": "shifting",
        "withdrawal_proven": True,
        "connections": 3,
        "prefixes": ({"prefix": "203.0.113.10/32", "state": "s", "level": "last-resort", "reason": "why"},),
    }


@pytest.mark.parametrize("items", [[], [item("undrained")], [item("lingering")]])
async def test_a_drain_that_did_not_end(items: list[Item]) -> None:
    with pytest.raises(DrainUnfinished):
        await drain(played(items, []), NODE, lambda _event: None)


async def test_undrain() -> None:
    await undrain(played([item("undrained", "plain")], []), NODE, lambda _event: None)
    with pytest.raises(DrainUnfinished, match="why"):
        await undrain(played([item("undrained")], []), NODE, lambda _event: None)


async def test_a_node_that_goes_away() -> None:
    with pytest.raises(LinkError, match="n1 at"):
        await drain(played([], [], lost=True), NODE, lambda _event: None)


@pytest.mark.parametrize("wrong", [None, {}, {**item("x"), "step": 3}, {**item("x"), "prefixes": [{}]}])
async def test_nonsense(wrong: object) -> None:
    with pytest.raises(ProtocolError):
        await drain(played([wrong], []), NODE, lambda _event: None)


def signer(*nodes: Node) -> Signer:
    return Signer(identity("operator"), roster(nodes=nodes))


def test_which_node() -> None:
    assert find_node(signer(NODE), None) == NODE
    both = signer(NODE, node("n2", "us"))
    assert find_node(both, "n1") == NODE
    with pytest.raises(UsageError, match="which node") as caught:
        find_node(both, None)
    assert "n1, n2" in caught.value.remedy
    with pytest.raises(UsageError, match="no node `n3`"):
        find_node(both, "n3")
    with pytest.raises(UsageError):
        find_node(signer(), None)
