"""A fleet as a publisher's command has it: who we are there, a link to it, and the newest roster.

context ── identity, roster ──> Signer ──┐
   └──── addresses ── connect ──> Link ──┴──> Fleet ──> push, status, logs, ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from edged.errors import ContextInvalid, EdgedError, ProtocolError
from edged.fleet.certificate import load_identity
from edged.fleet.client import connect
from edged.fleet.roster import Roster
from edged.fleet.session import Hello
from edged.publish.admitted import admitted
from edged.publish.context import Context, ContextStore
from edged.publish.deployments import Head, read_head
from edged.publish.link import Connect, Link, open_link
from edged.publish.signer import Signer
from edged.status.answer import Answer
from edged.status.parse import parse_status
from edged.status.view import StatusView
from edged.version import VERSION


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the commands work with.

    Attributes:
        link: to the node that answers.
        author: who we are.
    """

    link: Link
    author: Signer

    async def view(self) -> StatusView:
        """The whole fleet, as the node knows it."""
        return parse_status(await self.link.call("status"))

    async def head(self, app: str) -> Head:
        """The newest deployment of an app."""
        return await read_head(self.link.call, self.author, app)


def signer_of(context: Context) -> Signer:
    """Who we are in the fleet of a context. Blocking: reads two files.

    Raises:
        EdgedError: the key, the certificate or the roster cannot be used.
    """
    identity = load_identity(context.key, context.certificate)
    try:
        roster = Roster.open(context.roster, [bytes.fromhex(key) for key in context.root_keys])
    except EdgedError as error:
        raise ContextInvalid(f"the roster kept for {context.fleet} cannot be used: {error.message}") from None
    if roster.fleet != context.fleet:
        raise ContextInvalid(f"the roster kept for {context.fleet} is that of {roster.fleet}")
    return Signer(identity, roster)


def connector(signer: Signer) -> Connect:
    """How nodes are connected to: with our certificate, and only to those of the roster."""
    hello = Hello(
        fleet=signer.fleet,
        epoch=signer.roster.epoch,
        roster_version=signer.roster.version,
        name=signer.identity.name,
        edged=VERSION,
    )
    return lambda address: connect(address, signer.identity, signer.anchors, hello=hello)


@asynccontextmanager
async def open_fleet(context: Context, store: ContextStore, connect: Connect | None = None) -> AsyncIterator[Fleet]:
    """The fleet of a context, with the newest roster, which is kept for the next time.

    Args:
        connect: in place of TLS, for tests.

    Raises:
        FleetUnreachable, EdgedError: see `Link.call` and `signer_of`.
    """
    signer = await trio.to_thread.run_sync(signer_of, context)
    addresses = _addresses(context, signer.roster)
    async with open_link(addresses, connect or connector(signer)) as link:
        answer = await link.call("roster")
        for envelope in rosters(answer):
            if signer.renew(envelope):
                await trio.to_thread.run_sync(store.save_roster, context.fleet, envelope)
        signer.admitted = await trio.to_thread.run_sync(admitted, signer.roster, admissions(answer))
        link.add(node.address for node in (*signer.roster.nodes, *signer.admitted))
        yield Fleet(link, signer)


def rosters(answer: object) -> list[bytes]:
    """The answer to `roster`: envelopes, the oldest first."""
    envelopes = Answer(answer, "roster").blobs("envelopes")
    if not envelopes:
        raise ProtocolError("the node has no roster")
    return envelopes


def admissions(answer: object) -> list[bytes]:
    """Those of the answer to `roster`: of nodes that came with a voucher."""
    return Answer(answer, "roster").blobs("admissions")


def _addresses(context: Context, roster: Roster) -> tuple[str, ...]:
    """Those of the context first, then the roster's others: a node that moved away is no reason to fail."""
    return tuple(dict.fromkeys([*context.nodes, *(node.address for node in roster.nodes)]))
