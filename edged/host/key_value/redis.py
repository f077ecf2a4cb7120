"""Key-value stores in a Redis server that the operator names, for state that more than one node is to see.

    store of a label ── prefix + key ── RedisPool ── a string of Redis for each key

A value is the string at its key, as Spin has it. Spin gives all labels of a server the same keys; here each store has a
prefix of its own, so that neither labels nor apps meet. With an empty prefix the layout is Spin's.

Atomic are GET, MGET, MSET, DEL and INCRBY by themselves, and `swap` by a script. Redis has no order of keys and no
snapshot of them: `keys` goes through all keys of the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from urllib.parse import quote

from edged.host.key_value.engine import LATER, Later, StoreFailed
from edged.host.redis.address import RedisAddress
from edged.host.redis.connection import RedisFailed, RedisReplyTooLarge
from edged.host.redis.pool import RedisPool
from edged.host.redis.resp import ErrorReply, Reply
from edged.limits import KEY_VALUE_REDIS_KEYS_MAX

_SWAP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1"""
_SCAN_COUNT = 1_000  # keys looked at in one SCAN; servers answer a few more
_NUMBER_PROBLEMS = {
    "not an integer": "the value is not a decimal number of 64 bits",
    "would overflow": "the number does not fit into 64 bits",
}


def store_prefix(app: str, label: str) -> str:
    """What the keys of a store begin with, so that no store's keys begin with another's."""
    return f"edged:{quote(app, safe='')}:{quote(label, safe='')}:"


class RedisKeyValue:
    """A `KeyValue` on a server.

    Args:
        pool: of the app; its dialer must let pass the server's address.
        prefix: of all keys; see `store_prefix`.
    """

    def __init__(self, pool: RedisPool, address: RedisAddress, prefix: str) -> None:
        self._pool = pool
        self._address = address
        self._prefix = prefix.encode()

    def get_nowait(self, key: str) -> Later:  # noqa: ARG002 - a server is never at hand
        return LATER

    async def get_many(self, keys: Sequence[str], bytes_max: int) -> Sequence[bytes | None]:
        if not keys:
            return []
        too_many = StoreFailed(f"the values have more than {bytes_max} bytes")
        # One key by GET, which says where something else than a string is: MGET has no value there.
        command = "GET" if len(keys) == 1 else "MGET"
        try:
            framing = 32 * (len(keys) + 1)  # lines of lengths
            reply = await self._pool.command(
                self._address, command, *map(self._key, keys), bytes_max=bytes_max + framing
            )
        except RedisReplyTooLarge:
            raise too_many from None
        except RedisFailed as failed:
            raise _unreachable() from failed
        _check(reply)
        values = []
        for value in reply if isinstance(reply, list) else [reply]:
            if value is not None and not isinstance(value, bytes):
                raise _unexpected()
            values.append(value)
        if len(values) != len(keys):
            raise _unexpected()
        if sum(len(value or b"") for value in values) > bytes_max:
            raise too_many
        return values

    async def set_many(self, pairs: Sequence[tuple[str, bytes]]) -> None:
        if pairs:
            await self._ask("MSET", *(part for key, value in pairs for part in (self._key(key), value)))

    async def delete_many(self, keys: Sequence[str]) -> None:
        if keys:
            await self._ask("DEL", *map(self._key, keys))

    async def exists(self, key: str) -> bool:
        return await self._ask("EXISTS", self._key(key)) == 1

    async def keys(self, after: str, count_max: int) -> Sequence[str]:
        """See the protocol. Looks at all keys of the database, those of other stores included, and fails where there
        are too many. Keys that are no UTF-8, which no guest can have set, are passed over."""
        size = await self._ask("DBSIZE")
        if not isinstance(size, int) or size > KEY_VALUE_REDIS_KEYS_MAX:
            raise StoreFailed(f"the database has more than {KEY_VALUE_REDIS_KEYS_MAX} keys, too many to list")
        pattern = _literal(self._prefix) + b"*"
        found: set[str] = set()
        cursor: bytes = b"0"
        # A table that grows meanwhile is gone through once more at most, in part.
        for _ in range(2 * KEY_VALUE_REDIS_KEYS_MAX // _SCAN_COUNT + 1):
            match await self._ask("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT):
                case [bytes() as cursor, list() as names]:
                    found.update(self._names(names, after))
                case _:
                    raise _unexpected()
            if cursor == b"0":
                return sorted(found)[:count_max]
            if len(found) > 2 * count_max:
                found = set(sorted(found)[:count_max])
        raise StoreFailed("the database grows too quickly to be listed")

    async def increment(self, key: str, delta: int) -> int:
        reply = await self._ask("INCRBY", self._key(key), delta)
        if not isinstance(reply, int):
            raise _unexpected()
        return reply

    async def swap(self, key: str, expected: bytes | None, value: bytes) -> bool:
        if expected is None:
            return await self._ask("SET", self._key(key), value, "NX") == "OK"
        return await self._ask("EVAL", _SWAP, 1, self._key(key), expected, value) == 1

    def _key(self, key: str) -> bytes:
        return self._prefix + key.encode()

    def _names(self, keys: list[object], after: str) -> Iterator[str]:
        for key in keys:
            if isinstance(key, bytes) and key.startswith(self._prefix):
                with suppress(UnicodeDecodeError):
                    name = key[len(self._prefix) :].decode()
                    if not after or name > after:
                        yield name

    async def _ask(self, *arguments: bytes | str | int) -> Reply:
        try:
            reply = await self._pool.command(self._address, *arguments)
        except RedisFailed as failed:
            raise _unreachable() from failed
        _check(reply)
        return reply


def _literal(prefix: bytes) -> bytes:
    """A pattern that only `prefix` matches."""
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^-" else bytes([byte]) for byte in prefix)


def _check(reply: Reply) -> None:
    if isinstance(reply, ErrorReply):
        for part, reason in _NUMBER_PROBLEMS.items():
            if part in reply.text:
                raise StoreFailed(reason)
        # The rest of its text is about the operator's server.
        raise StoreFailed(f"the store refused: {reply.code}")


def _unreachable() -> StoreFailed:
    """Where the server is and what it said stays between us and the operator."""
    return StoreFailed("the store cannot be reached, or did not answer")


def _unexpected() -> StoreFailed:
    return StoreFailed("the store gave an answer of the wrong type")
