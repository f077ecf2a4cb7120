"""`fermyon:spin/key-value`, `spin:key-value` and `wasi:keyvalue` (store, batch, atomics): stores of one component.

    guest ── Store, Bucket ── KeyValue (edged.host.key_value.engine) ── SQLite

A label that the manifest does not give to the component is `access-denied`; one that it gives, but that nothing keeps
values for, is `no-such-store`. Keys and values are held to their limits here, before any engine sees them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

from edged.host.budget import Budget
from edged.host.channel import FutureReader, Pieces, Ready, StreamReader
from edged.host.interface import Err, Interface, Invocation, Ok, Resource, may_suspend
from edged.host.key_value.engine import LATER, KeyValue, StoreFailed
from edged.host.pages import TOO_MANY_STREAMS, Page, PagedStream, taken
from edged.limits import (
    KEY_VALUE_BATCH_BYTES_MAX,
    KEY_VALUE_BATCH_COUNT_MAX,
    KEY_VALUE_KEY_BYTES_MAX,
    KEY_VALUE_KEY_OVERHEAD_BYTES,
    KEY_VALUE_KEYS_MAX,
    KEY_VALUE_PAGE_COUNT,
    KEY_VALUE_VALUE_BYTES_MAX,
)

T = TypeVar("T")

Stores = Mapping[str, KeyValue | None]
"""Labels that the component may open -> what keeps their values, None where nothing does."""


class StoreHandle(Resource):
    """An open store, as all packages have it."""

    __slots__ = ("_budget", "engine")

    def __init__(self, engine: KeyValue, budget: Budget) -> None:
        self.engine = engine
        self._budget = budget
        budget.key_value_stores -= 1

    def drop(self) -> None:
        self._budget.key_value_stores += 1

    @may_suspend
    def get(self, key: str) -> bytes | Coroutine[Any, Any, bytes | None] | None:
        _check_keys(key)
        value = self.engine.get_nowait(key)
        return value if value is not LATER else self._wait_and_get(key)

    async def _wait_and_get(self, key: str) -> bytes | None:
        (value,) = await _answer(self.engine.get_many([key], KEY_VALUE_VALUE_BYTES_MAX))
        return value

    async def set(self, key: str, value: bytes) -> None:
        _check_keys(key)
        _check_value(value)
        await _answer(self.engine.set_many([(key, value)]))

    async def delete(self, key: str) -> None:
        _check_keys(key)
        await _answer(self.engine.delete_many([key]))

    @may_suspend
    def exists(self, key: str) -> bool | Coroutine[Any, Any, bool]:
        _check_keys(key)
        value = self.engine.get_nowait(key)
        return value is not None if value is not LATER else _answer(self.engine.exists(key))


class Store(StoreHandle):
    """`resource store` of fermyon:spin/key-value."""

    __slots__ = ()

    async def get_keys(self) -> Sequence[str]:
        keys = await _answer(self.engine.keys("", KEY_VALUE_KEYS_MAX + 1))
        if len(keys) > KEY_VALUE_KEYS_MAX:
            raise Err(
                ("other", f"the store has more than {KEY_VALUE_KEYS_MAX} keys; wasi:keyvalue lists them in pages")
            )
        return keys


class Store3(StoreHandle):
    """`resource store` of spin:key-value."""

    __slots__ = ()

    def get_keys(self) -> tuple[StreamReader, FutureReader[Ok | Err]]:
        """All keys, in order of their code points; what is set or deleted meanwhile may be among them or not.

        Error of the future: `other`.
        """
        try:
            with taken(self._budget, Err(("other", TOO_MANY_STREAMS))):
                stream = PagedStream(_Keys(self.engine), self._budget)
        except Err as refused:
            return Pieces(), Ready(refused)
        return stream, stream.outcome


class _Keys:
    """`Pages` of a store's keys. A page that was asked for in vain is asked for again."""

    def __init__(self, engine: KeyValue) -> None:
        self._engine = engine
        self._after = ""

    async def next(self) -> Page:
        keys = await _answer(self._engine.keys(self._after, KEY_VALUE_KEYS_MAX))
        self._after = keys[-1] if keys else ""
        size_bytes = KEY_VALUE_KEY_OVERHEAD_BYTES * len(keys) + sum(map(len, keys))
        return Page(keys, size_bytes, is_last=len(keys) < KEY_VALUE_KEYS_MAX)

    def close(self) -> None:
        pass


class KeyResponse(NamedTuple):
    """`record key-response`. The cursor is the last key, for the next page."""

    keys: Sequence[str]
    cursor: str | None


class Bucket(StoreHandle):
    """`resource bucket` of wasi:keyvalue/store."""

    __slots__ = ()

    async def list_keys(self, cursor: str | None) -> KeyResponse:
        """A page of keys, in order of their code points."""
        keys = await _answer(self.engine.keys(cursor or "", KEY_VALUE_PAGE_COUNT + 1))
        page = keys[:KEY_VALUE_PAGE_COUNT]
        return KeyResponse(page, page[-1] if len(keys) > len(page) else None)


class _KeyValue(Interface):
    """What Spin's two packages share. Subclasses name their class of stores."""

    _store: ClassVar[type[StoreHandle]]

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def store_open(self, invocation: Invocation, label: str) -> StoreHandle:
        """Errors: `access-denied`, `no-such-store`, `store-table-full`."""
        engine = _granted(self._stores, label)
        if invocation.budget.key_value_stores < 1:
            raise Err("store-table-full")
        return self._store(engine, invocation.budget)


class SpinKeyValue(_KeyValue):
    """`fermyon:spin/key-value@2.0.0` of one component."""

    wit: ClassVar[str] = "fermyon:spin/key-value"
    versions: ClassVar[tuple[str, ...]] = ("2.0.0",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"store": Store}
    _store = Store


class SpinKeyValue3(_KeyValue):
    """`spin:key-value/key-value@3.0.0` of one component."""

    wit: ClassVar[str] = "spin:key-value/key-value"
    versions: ClassVar[tuple[str, ...]] = ("3.0.0",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"store": Store3}
    _store = Store3


class WasiKeyValueStore(Interface):
    """`wasi:keyvalue/store@0.2.0-draft2` of one component."""

    wit: ClassVar[str] = "wasi:keyvalue/store"
    versions: ClassVar[tuple[str, ...]] = ("0.2.0-draft2",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"bucket": Bucket}

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def open(self, invocation: Invocation, identifier: str) -> Bucket:
        """Errors: `access-denied`, `no-such-store`, `other` where too many are open."""
        engine = _granted(self._stores, identifier)
        if invocation.budget.key_value_stores < 1:
            raise Err(("other", "too many open stores"))
        return Bucket(engine, invocation.budget)


class WasiKeyValueBatch(Interface):
    """`wasi:keyvalue/batch@0.2.0-draft2`. Each call is one atomic step, which is more than it promises."""

    wit: ClassVar[str] = "wasi:keyvalue/batch"
    versions: ClassVar[tuple[str, ...]] = ("0.2.0-draft2",)

    async def get_many(
        self, _invocation: Invocation, bucket: Bucket, keys: list[str]
    ) -> Sequence[tuple[str, bytes | None]]:
        _check_keys(*keys)
        return list(zip(keys, await _answer(bucket.engine.get_many(keys, KEY_VALUE_BATCH_BYTES_MAX)), strict=True))

    async def set_many(self, _invocation: Invocation, bucket: Bucket, key_values: list[tuple[str, bytes]]) -> None:
        _check_keys(*(key for key, _ in key_values))
        for _, value in key_values:
            _check_value(value)
        if sum(len(value) for _, value in key_values) > KEY_VALUE_BATCH_BYTES_MAX:
            raise Err(("other", f"the values have more than {KEY_VALUE_BATCH_BYTES_MAX} bytes"))
        await _answer(bucket.engine.set_many(key_values))

    async def delete_many(self, _invocation: Invocation, bucket: Bucket, keys: list[str]) -> None:
        _check_keys(*keys)
        await _answer(bucket.engine.delete_many(keys))


class Cas(Resource):
    """`resource cas`: a key and the value that it had. The swap succeeds while it still has that value.

    Args:
        budget: of which one swap was taken; it is given back.
    """

    __slots__ = ("_budget", "engine", "key", "value")

    def __init__(self, engine: KeyValue, budget: Budget, key: str, value: bytes | None) -> None:
        self.engine = engine
        self.key = key
        self.value = value
        self._budget = budget

    def drop(self) -> None:
        self._budget.key_value_swaps += 1

    def current(self) -> bytes | None:
        return self.value


class WasiKeyValueAtomics(Interface):
    """`wasi:keyvalue/atomics@0.2.0-draft2`."""

    wit: ClassVar[str] = "wasi:keyvalue/atomics"
    versions: ClassVar[tuple[str, ...]] = ("0.2.0-draft2",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"cas": Cas}

    async def increment(self, _invocation: Invocation, bucket: Bucket, key: str, delta: int) -> int:
        """The sum. The value is a number in decimal digits, 0 where there is none."""
        _check_keys(key)
        return await _answer(bucket.engine.increment(key, delta))

    async def cas_new(self, invocation: Invocation, bucket: Bucket, key: str) -> Cas:
        """Reads the value, so that `current` and `swap` are about the same one."""
        _check_keys(key)
        with invocation.budget.taking("key_value_swaps", Err(("other", "too many swaps under way"))):  # each holds one
            (value,) = await _answer(bucket.engine.get_many([key], KEY_VALUE_VALUE_BYTES_MAX))
            return Cas(bucket.engine, invocation.budget, key, value)

    async def swap(self, _invocation: Invocation, cas: Cas, value: bytes) -> None:
        """Takes the handle. Errors: `cas-failed` with one for the value that is there now, `store-error`."""
        try:
            _check_value(value)
            if await _answer(cas.engine.swap(cas.key, cas.value, value)):
                cas.drop()
                return
            (cas.value,) = await _answer(cas.engine.get_many([cas.key], KEY_VALUE_VALUE_BYTES_MAX))
        except Err as err:
            cas.drop()
            raise Err(("store-error", err.value)) from None
        raise Err(("cas-failed", cas))


def _granted(stores: Stores, label: str) -> KeyValue:
    if label not in stores:
        raise Err("access-denied")
    engine = stores[label]
    if engine is None:
        raise Err("no-such-store")
    return engine


def _check_keys(*keys: str) -> None:
    if len(keys) > KEY_VALUE_BATCH_COUNT_MAX:
        raise Err(("other", f"more than {KEY_VALUE_BATCH_COUNT_MAX} keys in one call"))
    if any(len(key.encode()) > KEY_VALUE_KEY_BYTES_MAX for key in keys):
        raise Err(("other", f"a key has more than {KEY_VALUE_KEY_BYTES_MAX} bytes"))


def _check_value(value: bytes) -> None:
    if len(value) > KEY_VALUE_VALUE_BYTES_MAX:
        raise Err(("other", f"a value has more than {KEY_VALUE_VALUE_BYTES_MAX} bytes"))


async def _answer(call: Awaitable[T]) -> T:
    """What the engine answers, its failure as the error that both packages have for it."""
    try:
        return await call
    except StoreFailed as failed:
        raise Err(("other", str(failed))) from None
