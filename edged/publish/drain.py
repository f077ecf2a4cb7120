"""Having a node leave traffic, or come back, and watching it do so."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import ClassVar

from edged.errors import AnycastMissing, DrainUnfinished, LinkError, ProtocolError, UsageError
from edged.event import Event
from edged.fleet.roster import Node
from edged.nursery import plain_errors
from edged.publish.link import Client, Connect
from edged.publish.signer import Signer
from edged.status.answer import Answer


@dataclass(frozen=True, slots=True)
class PrefixState:
    """One prefix on its way.

    Attributes:
        state, level: of docs/status.md.
        reason: a sentence without its end.
    """

    prefix: str
    state: str
    level: str
    reason: str


@dataclass(frozen=True, slots=True)
class Steered(Event):
    """How far a node is with leaving traffic, or with coming back.

    Attributes:
        step: of the last drain, of docs/status.md; "" if there was none since the node's start.
        withdrawal_proven: the withdrawal was seen to be sent to every router.
        connections: that are open.
    """

    name: ClassVar[str] = "anycast"
    node: str
    step: str
    withdrawal_proven: bool
    connections: int
    prefixes: tuple[PrefixState, ...]


Show = Callable[[Steered], None]


def find_node(signer: Signer, name: str | None) -> Node:
    """A node of the fleet by its name; the only one there is without.

    Raises:
        UsageError: there is none of that name, or several and none is named.
    """
    nodes = {node.name: node for node in (*signer.roster.nodes, *signer.admitted)}
    if name is None and len(nodes) == 1:
        return next(iter(nodes.values()))
    known = f"Name one of: {', '.join(sorted(nodes))}." if nodes else "The fleet has no nodes yet."
    if name is None:
        raise UsageError("it is not said which node", remedy=known)
    if name not in nodes:
        raise UsageError(f"the fleet has no node `{name}`", remedy=known)
    return nodes[name]


async def drain(connect: Connect, node: Node, show: Show) -> None:
    """Have a node leave traffic. It goes on although we do not listen any more.

    Raises:
        DrainUnfinished: it did not leave, or nobody saw it.
        LinkError: it does not answer.
        RemoteError: it will not.
    """
    last = await _follow(connect, node, "drain", show)
    if last.step not in ("drained", "cut short"):
        raise DrainUnfinished(
            f"{node.name} has not left traffic: {last.step or 'it did not begin'}",
            remedy="Somebody may have undone it; see `edged status`.",
        )


async def undrain(connect: Connect, node: Node, show: Show) -> None:
    """Have a node come back.

    Raises:
        DrainUnfinished: it stays away, since it is not healthy.
        LinkError, RemoteError: as `drain`.
    """
    last = await _follow(connect, node, "undrain", show)
    away = [each for each in last.prefixes if each.level == "withdrawn"]
    if away:
        raise DrainUnfinished(f"{node.name} does not announce {away[0].prefix}: {away[0].reason}")
    if not last.prefixes:
        raise AnycastMissing(f"{node.name} has no prefix that it could announce")


async def _follow(connect: Connect, node: Node, call: str, show: Show) -> Steered:
    with plain_errors():
        try:
            async with connect(node.address) as client:
                return await _items(client, node, call, show)
        except ProtocolError:
            raise
        except LinkError as error:
            raise LinkError(f"{node.name} at {node.address} does not answer: {error.message}") from None


async def _items(client: Client, node: Node, call: str, show: Show) -> Steered:
    last: Steered | None = None
    async with aclosing(client.stream(call)) as items:
        async for item in items:
            last = _steered(node.name, Answer(item, call))
            show(last)
    if last is None:
        raise DrainUnfinished(f"{node.name} said nothing")
    return last


def _steered(node: str, answer: Answer) -> Steered:
    return Steered(
        node,
        answer.get("step", str),
        answer.get("withdrawal_proven", bool),
        answer.get("connections", int),
        tuple(
            PrefixState(*(each.get(name, str) for name in ("prefix", "state", "level", "reason")))
            for each in answer.tables("prefixes")
        ),
    )
