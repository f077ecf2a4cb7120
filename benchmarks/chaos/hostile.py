"""Who does harm to a fleet with a key or certificate that it trusts; a process at a place of the lab.

    python -m benchmarks.chaos.hostile WHAT --fleet FOLDER --as KEY --at HOST:PORT [--at ...] [--app APP] [--seed N]

`old` and `equivocating` come with a publisher's key, say in a line of JSON what was answered, and end. `garbage`,
`floods` and `stalls` come with a node's, again and again until they are ended, and say how often they came.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import trio

from edged.errors import EdgedError, RemoteError
from edged.fleet.certificate import Identity, load_identity
from edged.fleet.client import connect
from edged.fleet.folder import FleetFolder
from edged.fleet.handshake import open_tls
from edged.fleet.roster import Roster
from edged.fleet.session import Hello, Session
from edged.limits import LINK_REQUESTS_OPEN_MAX
from edged.publish.deployments import read_head
from edged.publish.signer import Signer

_READ_BYTES = 64 * 1024
_GARBAGE_BYTES = 256 * 1024
_FLOOD_FRAMES = 4 * LINK_REQUESTS_OPEN_MAX
_STALL_S = 60.0
_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Attacker:
    """Attributes:
    identity: whose certificate is shown, and whose key signs.
    at: addresses of nodes.
    """

    identity: Identity
    roster: Roster
    at: tuple[str, ...]
    app: str
    rng: random.Random

    @property
    def hello(self) -> Hello:
        return Hello(self.roster.fleet, self.roster.epoch, self.roster.version, self.identity.name, "0")

    @property
    def signer(self) -> Signer:
        return Signer(self.identity, self.roster)


# --- with a publisher's key: one try, and what came of it ---


async def old(attacker: Attacker) -> Mapping[str, str]:
    """The oldest deployment that a node still has, given to it once more."""
    address, signer = attacker.at[0], attacker.signer
    async with connect(address, attacker.identity, signer.anchors, hello=attacker.hello) as client:
        envelopes = (await client.call("history", app=attacker.app))["envelopes"]
        if len(envelopes) < 2:
            return {}
        return {address: await _given(client.call, envelopes[-1])}


async def equivocating(attacker: Attacker) -> Mapping[str, str]:
    """The next number for as many records as there are nodes, one at each; then another of that number to the first.

    They differ in what they say of themselves only: nothing else is to be served.
    """
    signer = attacker.signer
    said: dict[str, str] = {}
    async with connect(attacker.at[0], attacker.identity, signer.anchors, hello=attacker.hello) as first:
        head = (await read_head(first.call, signer, attacker.app)).known()
        record = replace(head, sequence=head.sequence + 1, previous=head.digest)
        for number, address in enumerate(attacker.at):
            envelope = signer.sign_deployment(replace(record, message=f"one of {len(attacker.at)}: {number}"))
            async with connect(address, attacker.identity, signer.anchors, hello=attacker.hello) as client:
                said[address] = await _given(client.call, envelope)
        said["again"] = await _given(first.call, signer.sign_deployment(replace(record, message="another")))
    return said


async def _given(call: Callable[..., Awaitable[Any]], envelope: bytes) -> str:
    """What a node says to a record: its outcome, or the code of its refusal."""
    try:
        return str((await call("put_record", envelope=envelope))["outcome"])
    except RemoteError as error:
        return error.code


# --- with a node's certificate: again and again ---


async def garbage(attacker: Attacker, address: str) -> None:
    """A hello as it should be, then whatever."""
    async with _greeted(attacker, address, Session(attacker.hello)) as stream:
        await stream.send_all(attacker.rng.randbytes(_GARBAGE_BYTES))
        await _read(stream)


async def floods(attacker: Attacker, address: str) -> None:
    """Requests and pings without end, of which no answer is read; then more requests at once than anybody may have."""
    session = Session(attacker.hello)
    async with _greeted(attacker, address, session) as stream:
        frames = [session.ask("heads", {"hash": attacker.rng.randbytes(32)})[1] for _ in range(LINK_REQUESTS_OPEN_MAX)]
        await stream.send_all(b"".join([*frames, *(session.ping()[1] for _ in range(_FLOOD_FRAMES))]))
        more = Session(attacker.hello)  # which does not know of those above, so that it lets itself ask for more
        await stream.send_all(b"".join(more.ask("heads", {"hash": b""})[1] for _ in range(LINK_REQUESTS_OPEN_MAX)))
        await _read(stream)


async def stalls(attacker: Attacker, address: str) -> None:
    """Asks for all there is, reads none of it, says nothing."""
    session = Session(attacker.hello)
    async with _greeted(attacker, address, session) as stream:
        for _ in range(LINK_REQUESTS_OPEN_MAX):
            await stream.send_all(session.ask("buckets", {"indexes": list(range(256))})[1])
        await trio.sleep(_STALL_S)


@asynccontextmanager
async def _greeted(attacker: Attacker, address: str, session: Session) -> AsyncIterator[trio.abc.Stream]:
    """A connection on which this end has said hello; closed without a word at the end."""
    stream = (await open_tls(address, attacker.identity, attacker.signer.anchors)).stream
    try:
        await stream.send_all(session.say_hello())
        yield stream
    finally:
        await trio.aclose_forcefully(stream)


async def _read(stream: trio.abc.Stream) -> None:
    """Until the other end has had enough."""
    while await stream.receive_some(_READ_BYTES):
        continue


ONCE: Mapping[str, Callable[[Attacker], Awaitable[Mapping[str, str]]]] = {"old": old, "equivocating": equivocating}
WITHOUT_END: Mapping[str, Callable[[Attacker, str], Awaitable[None]]] = {
    "garbage": garbage,
    "floods": floods,
    "stalls": stalls,
}


async def _without_end(attacker: Attacker, attack: Callable[[Attacker, str], Awaitable[None]], address: str) -> None:
    count = 0
    while True:
        try:
            await attack(attacker, address)
        except (EdgedError, OSError, trio.BrokenResourceError) as error:
            reason = str(error)  # it was cut off, or not let in again so soon
        else:
            reason = ""
        count += 1
        _say({"at": address, "times": count, "reason": reason})
        await trio.sleep(_AGAIN_S)


async def _run(what: str, attacker: Attacker) -> None:
    if what in ONCE:
        try:
            _say(dict(await ONCE[what](attacker)))
        except EdgedError as error:
            _say({"failed": error.code})
        return
    async with trio.open_nursery() as nursery:
        for address in attacker.at:
            nursery.start_soon(_without_end, attacker, WITHOUT_END[what], address)


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.chaos.hostile")
    parser.add_argument("what", choices=[*ONCE, *WITHOUT_END])
    parser.add_argument("--fleet", type=Path, required=True, help="the operator's folder")
    parser.add_argument("--as", dest="key", type=Path, required=True, help="key whose certificate lies beside it")
    parser.add_argument("--at", action="append", required=True, help="host:port of a node")
    parser.add_argument("--app", default="")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    roster = FleetFolder(given.fleet).signed()
    assert roster is not None, "the fleet has none"
    identity = load_identity(given.key, given.key.with_suffix(".crt"))
    trio.run(_run, given.what, Attacker(identity, roster, tuple(given.at), given.app, random.Random(given.seed)))


if __name__ == "__main__":
    main()
