"""`fermyon:spin/key-value` without a version, on what version 2 stands on. Stores are numbers."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from types import CoroutineType
from typing import Any, ClassVar

from edged.host.interface import Err, Invocation, may_suspend
from edged.host.key_value.interfaces import SpinKeyValue, Stores
from edged.host.legacy.session import Numbers, SessionInterface

_INVALID_STORE = "invalid-store"


class KeyValueSession:
    """Its functions. Errors: `invalid-store` for a number that is no open store, `io` for all that version 2 calls
    `other`."""

    def __init__(self, interface: SpinKeyValue, invocation: Invocation) -> None:
        self._interface = interface
        self._invocation = invocation
        self._stores: Numbers[Any] = Numbers()  # of Store

    def open(self, name: str) -> int:
        """Errors: `access-denied`, `no-such-store`, `store-table-full`."""
        return self._stores.add(self._interface.store_open(self._invocation, name))

    @may_suspend
    def get(self, store: int, key: str) -> bytes | Coroutine[Any, Any, bytes]:
        """Errors: `no-such-key`."""
        try:
            value = self._at(store).get(key)
        except Err as err:
            raise _io(err) from None
        return self._value_later(value) if isinstance(value, CoroutineType) else _there(value)

    async def _value_later(self, value: Coroutine[Any, Any, bytes | None]) -> bytes:
        return _there(await _answer(value))

    async def set(self, store: int, key: str, value: bytes) -> None:
        await _answer(self._at(store).set(key, value))

    async def delete(self, store: int, key: str) -> None:
        await _answer(self._at(store).delete(key))

    @may_suspend
    def exists(self, store: int, key: str) -> bool | Coroutine[Any, Any, bool]:
        try:
            found = self._at(store).exists(key)
        except Err as err:
            raise _io(err) from None
        return found if isinstance(found, bool) else _answer(found)

    async def get_keys(self, store: int) -> Sequence[str]:
        keys: Sequence[str] = await _answer(self._at(store).get_keys())
        return keys

    def close_store(self, store: int) -> None:
        self._stores.drop(store)

    def close(self) -> None:
        self._stores.close()

    def _at(self, number: int) -> Any:
        """The `Store` of a number."""
        store = self._stores.get(number)
        if store is None:
            raise Err(_INVALID_STORE)
        return store


class KeyValue1(SessionInterface):
    """`fermyon:spin/key-value` of one component.

    Args:
        stores: labels that it may open.
    """

    wit: ClassVar[str] = "fermyon:spin/key-value"
    versions: ClassVar[tuple[str, ...]] = ("",)
    session = KeyValueSession
    functions: ClassVar[Mapping[str, str]] = {
        "open": "open",
        "get": "get",
        "set": "set",
        "delete": "delete",
        "exists": "exists",
        "get-keys": "get_keys",
        "close": "close_store",
    }

    def __init__(self, stores: Stores) -> None:
        self._interface = SpinKeyValue(stores)

    def open(self, invocation: Invocation) -> KeyValueSession:
        return KeyValueSession(self._interface, invocation)


def _there(value: bytes | None) -> bytes:
    if value is None:
        raise Err("no-such-key")
    return value


async def _answer(call: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await call
    except Err as err:
        raise _io(err) from None


def _io(err: Err) -> Err:
    """An error of version 2 as this one has it."""
    return Err(("io", err.value[1])) if isinstance(err.value, tuple) else err
