"""The calls of the protocol: who may make each, and what arguments it takes.

    Link ─ (peer, name, args) ─> Dispatcher: known? ── allowed? ── parsed ──> handler(peer, **arguments)

docs/protocol.md lists the same calls. What a handler gets has been checked here: digests are digests, lists have a
bound, there are no arguments that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import trio

from edged.errors import CallForbidden, RecordInvalid, RequestInvalid
from edged.fleet.beats import parse_beats
from edged.fleet.names import check_app
from edged.fleet.peer import Peer
from edged.fleet.record import KINDS, Key
from edged.fleet.report import parse_reports
from edged.limits import (
    CERTIFICATE_BYTES_MAX,
    CHUNKS_PER_MESSAGE_MAX,
    LOG_TAIL_LINE_COUNT,
    RECORD_BYTES_MAX,
    RECORDS_PER_MESSAGE_MAX,
    REPORT_COUNT_MAX,
    SYNC_BUCKET_COUNT,
    VOUCHER_BYTES_MAX,
)
from registry.blob import Chunk
from registry.digest import Digest, parse_digest
from registry.errors import RegistryError
from registry.limits import CHUNK_BYTES_MAX, ENVELOPE_BYTES_MAX
from registry.limits import FRAME_BYTES_MAX as CHUNK_FRAME_BYTES_MAX
from registry.strict import Reader

Handler = Callable[..., Any]
"""Called with the peer and the call's arguments; gives a value, an awaitable of one, or an async iterator of items."""

_NAME_BYTES_MAX = 255
_SIGNATURE_BYTES = 64
_HASH_BYTES_MAX = 16

ANYONE = frozenset({"anyone", "node", "key"})
NODES = frozenset({"node"})
PARTIES = frozenset({"node", "key"})
"""Whoever has a certificate of the roster, whatever its roles."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One call.

    Attributes:
        who: kinds of peers, and roles of keys; one of them is enough.
        parse: the arguments out of those that came; raises RegistryError or EdgedError.
        is_for_own_apps: keys with the role deploy may make it too, about apps that they may change.
        is_long: the arguments are thousands of values, so they are parsed in a thread.
    """

    who: frozenset[str]
    parse: Callable[[Reader], dict[str, Any]]
    is_for_own_apps: bool = False
    is_long: bool = False

    def allows(self, peer: Peer) -> bool:
        """Whatever it is about."""
        return peer.kind in self.who or not self.who.isdisjoint(peer.roles)


class Dispatcher:
    """Answers requests by the table below. A `Link` calls it.

    Args:
        handlers: by name of the call. A call of the table without one is not known here.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        unknown = handlers.keys() - CALLS.keys()
        assert not unknown, f"no such calls: {unknown}"
        self._handlers = dict(handlers)

    async def __call__(self, peer: Peer, call: str, args: dict[str, Any]) -> Any:
        """
        Raises:
            RequestInvalid, CallForbidden; and what the handler raises.
        """
        handler = self._handlers.get(call)
        if handler is None:
            raise RequestInvalid(f"there is no call {call!r}")
        if CALLS[call].is_long:
            parsed = await trio.to_thread.run_sync(arguments, peer, call, args)
        else:
            parsed = arguments(peer, call, args)
        result = handler(peer, **parsed)
        return await result if hasattr(result, "__await__") else result


def arguments(peer: Peer, call: str, args: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call of the table, if the peer may make it.

    Raises:
        RequestInvalid, CallForbidden
    """
    rule = CALLS[call]
    is_allowed = rule.allows(peer)
    if not is_allowed and not (rule.is_for_own_apps and "deploy" in peer.roles):
        raise CallForbidden(f"{peer.name or 'somebody without a certificate'} may not call {call}")
    reader = Reader(args, call)
    try:
        parsed = rule.parse(reader)
        reader.end()
    except (RegistryError, RecordInvalid) as error:
        raise RequestInvalid(error.message) from None
    if not is_allowed:
        check_may_change(peer, parsed["app"])
    return parsed


def check_may_change(peer: Peer, app: str) -> None:
    """
    Raises:
        CallForbidden: it is no key that may deploy this app.
    """
    if not peer.may_change(app):
        raise CallForbidden(f"the key {peer.name} may not deploy {app}")


def _nothing(_reader: Reader) -> dict[str, Any]:
    return {}


def _app(reader: Reader) -> dict[str, Any]:
    return {"app": check_app(reader.line("app", _NAME_BYTES_MAX))}


def _digest(reader: Reader) -> dict[str, Any]:
    return {"digest": parse_digest(reader.text("digest", _NAME_BYTES_MAX))}


def _missing(reader: Reader) -> dict[str, Any]:
    digests: list[Digest] = [parse_digest(item) for item in reader.array("digests", CHUNKS_PER_MESSAGE_MAX)]
    return {"digests": digests, "lease": reader.text("lease", _NAME_BYTES_MAX)}


def _put_chunk(reader: Reader) -> dict[str, Any]:
    digest = parse_digest(reader.text("digest", _NAME_BYTES_MAX))
    chunk = Chunk(digest, reader.integer("size", 1, CHUNK_BYTES_MAX))
    return {"chunk": chunk, "frame": reader.bytes_("frame", CHUNK_FRAME_BYTES_MAX)}


def _release_envelope(reader: Reader) -> dict[str, Any]:
    return {"envelope": reader.bytes_("envelope", ENVELOPE_BYTES_MAX)}


def _record_envelope(reader: Reader) -> dict[str, Any]:
    return {"envelope": reader.bytes_("envelope", RECORD_BYTES_MAX)}


def _records(reader: Reader) -> dict[str, Any]:
    records = reader.array("records", RECORDS_PER_MESSAGE_MAX)
    for record in records:
        if not isinstance(record, bytes) or len(record) > RECORD_BYTES_MAX:
            raise reader.refused("records", f"has an item that is no record of up to {RECORD_BYTES_MAX} bytes")
    return {"records": records}


def _reports(reader: Reader) -> dict[str, Any]:
    # One of the many may be made by a version whose fields we do not know: the parser says so as an error of ours.
    return {"reports": parse_reports(reader.array("reports", REPORT_COUNT_MAX))}


def _beats(reader: Reader) -> dict[str, Any]:
    beats = parse_beats(reader.array("beats", REPORT_COUNT_MAX))
    return {"beats": beats} | _reports(reader)


def _watch(reader: Reader) -> dict[str, Any]:
    return _app(reader) | {"sequence": reader.integer("sequence")}


def _logs(reader: Reader) -> dict[str, Any]:
    return _app(reader) | {
        "tail": reader.integer("tail", 0, LOG_TAIL_LINE_COUNT),
        "follow": reader.boolean("follow"),
    }


def _join(reader: Reader) -> dict[str, Any]:
    return {
        "voucher": reader.bytes_("voucher", VOUCHER_BYTES_MAX),
        "certificate": reader.bytes_("certificate", CERTIFICATE_BYTES_MAX),
        "proof": reader.bytes_("proof", _SIGNATURE_BYTES),
    }


def _removed(reader: Reader) -> dict[str, Any]:
    return {
        "certificate": reader.bytes_("certificate", CERTIFICATE_BYTES_MAX),
        "proof": reader.bytes_("proof", _SIGNATURE_BYTES),
        "version": reader.integer("roster_version"),
    }


def _heads(reader: Reader) -> dict[str, Any]:
    return {"hash_": reader.bytes_("hash", _HASH_BYTES_MAX)}


def _buckets(reader: Reader) -> dict[str, Any]:
    indexes = reader.array("indexes", SYNC_BUCKET_COUNT)
    if not all(type(index) is int and 0 <= index < SYNC_BUCKET_COUNT for index in indexes):
        raise reader.refused("indexes", f"has an item that is no number below {SYNC_BUCKET_COUNT}")
    return {"indexes": indexes}


def _keys(reader: Reader) -> dict[str, Any]:
    keys: list[Key] = []
    for item in reader.array("keys", RECORDS_PER_MESSAGE_MAX):
        match item:
            case [str(kind), str(name)] if kind in KINDS and len(name) <= _NAME_BYTES_MAX:
                keys.append(Key(next(known for known in KINDS if known == kind), name))
            case _:
                raise reader.refused("keys", "has an item that is no pair of kind and name")
    return {"keys": keys}


DEPLOY = frozenset({"deploy"})
NOBODY: frozenset[str] = frozenset()
READ_ALL = frozenset({"read", "admit", "node"})
READ = frozenset({"read", "deploy", "admit", "node"})
STEER = frozenset({"admit"})

CALLS: Mapping[str, Rule] = {
    # between nodes; what keys may ask of it, for backups and checkpoints, `NodeCalls` says
    "heads": Rule(NODES, _heads),
    "buckets": Rule(PARTIES, _buckets),
    "records": Rule(PARTIES, _keys),
    "offer": Rule(NODES, _records),
    "release": Rule(DEPLOY | NODES, _digest),
    "chunk": Rule(DEPLOY | NODES, _digest),
    "reports": Rule(NODES, _reports, is_long=True),
    "beats": Rule(NODES, _beats, is_long=True),
    # from publishers and operators
    "missing": Rule(DEPLOY | NODES, _missing, is_long=True),
    "put_chunk": Rule(DEPLOY, _put_chunk),
    "put_release": Rule(DEPLOY, _release_envelope),
    "put_record": Rule(PARTIES, _record_envelope),
    "head": Rule(NOBODY, _app, is_for_own_apps=True),
    "history": Rule(NOBODY, _app, is_for_own_apps=True),
    "apps": Rule(READ, _nothing),
    "roster": Rule(PARTIES, _nothing),
    "alarms": Rule(READ, _nothing),
    "keys": Rule(READ, _nothing),
    "status": Rule(READ, _nothing),
    "watch": Rule(READ_ALL, _watch, is_for_own_apps=True),
    "logs": Rule(READ_ALL, _logs, is_for_own_apps=True),
    # from operators, to the node itself
    "drain": Rule(STEER, _nothing),
    "undrain": Rule(STEER, _nothing),
    # from new nodes
    "join": Rule(ANYONE, _join),
    # from nodes that the roster may have no more
    "removed": Rule(ANYONE, _removed),
}
