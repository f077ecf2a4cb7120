"""A `KeyValue` in memory."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from edged.host.key_value.engine import LATER, KeyValue, Later, StoreFailed, incremented


class MemoryKeyValue:
    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.broken: str | None = None
        """What every call fails with."""

    async def _turn(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.broken is not None:
            raise StoreFailed(self.broken)

    def get_nowait(self, key: str) -> Later:
        return LATER

    async def get_many(self, keys: Sequence[str], bytes_max: int) -> Sequence[bytes | None]:
        await self._turn()
        values = [self.values.get(key) for key in keys]
        if sum(len(value or b"") for value in values) > bytes_max:
            raise StoreFailed(f"the values have more than {bytes_max} bytes")
        return values

    async def set_many(self, pairs: Sequence[tuple[str, bytes]]) -> None:
        await self._turn()
        self.values.update(pairs)

    async def delete_many(self, keys: Sequence[str]) -> None:
        await self._turn()
        for key in keys:
            self.values.pop(key, None)

    async def exists(self, key: str) -> bool:
        await self._turn()
        return key in self.values

    async def keys(self, after: str, count_max: int) -> Sequence[str]:
        await self._turn()
        return [key for key in sorted(self.values) if not after or key > after][:count_max]

    async def increment(self, key: str, delta: int) -> int:
        await self._turn()
        number = incremented(self.values.get(key), delta)
        self.values[key] = b"%d" % number
        return number

    async def swap(self, key: str, expected: bytes | None, value: bytes) -> bool:
        await self._turn()
        if self.values.get(key) != expected:
            return False
        self.values[key] = value
        return True


def _is_a_key_value(store: MemoryKeyValue) -> KeyValue:
    return store
