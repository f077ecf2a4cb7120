"""What a guest asks of its host, call by call: interfaces that write down every call and every answer."""

from __future__ import annotations

import functools
import hashlib
import inspect
import random as prng
import weakref
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CoroutineType
from typing import Any, ClassVar

from edged.host import clocks, random
from edged.host.interface import Err, Interface, Invocation, Ok, Resource, Some

_BYTES_SHOWN_MAX = 64


def show_bytes(data: bytes) -> str:
    """The bytes; of many of them the first, how many they are, and a hash."""
    if len(data) <= _BYTES_SHOWN_MAX:
        return repr(data)
    return f"{data[:_BYTES_SHOWN_MAX]!r}... {len(data)} {hashlib.sha256(data).hexdigest()[:16]}"


class Recording:
    """The calls of one guest, in order. What stands for a resource is its class and when it was first seen, so that two
    guests that do the same have the same recording.

    Attributes:
        calls: each a function's name, its arguments and its answer; drops of resources among them.
    """

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self._names: dict[int, str] = {}
        self._seen: list[object] = []  # kept, so that nothing else gets the same id

    def show(self, value: Any) -> str:
        """A value of `edged.host.interface`, exactly: a list is no tuple, and 1 is not True."""
        show = self.show
        match value:
            case bytes() | bytearray() | memoryview():
                return show_bytes(bytes(value))
            case None | bool() | int() | float() | str():
                return repr(value)
            case list():
                return f"[{', '.join(map(show, value))}]"
            case tuple():
                return f"({', '.join(map(show, value))})"
            case frozenset():
                return f"{{{', '.join(sorted(map(show, value)))}}}"
            case Ok() | Err() | Some():
                return f"{type(value).__name__} {show(value.value)}"
        return self._name(value)

    def _name(self, value: object) -> str:
        name = self._names.get(id(value))
        if name is None:
            self._seen.append(value)
            name = self._names[id(value)] = f"{type(value).__name__}-{len(self._seen)}"
        return name

    def begin(self, name: str, arguments: Sequence[Any]) -> list[str]:
        """A call. Its answer is to be added."""
        call = [name, *map(self.show, arguments)]
        self.calls.append(call)
        return call

    def drop(self, resource: object) -> None:
        """What was never in a call is only its class: nothing says which came first."""
        self.calls.append(["drop", self._names.get(id(resource), type(resource).__name__)])

    def end(self, call: list[str], answer: Any) -> None:
        call.append(f"-> {self.show(answer)}")

    def failed(self, call: list[str], error: BaseException) -> None:
        call.append(f"-> {self.show(error) if isinstance(error, Err) else type(error).__name__}")

    async def later(self, call: list[str], coroutine: Coroutine[Any, Any, Any]) -> Any:
        try:
            answer = await coroutine
        except BaseException as error:
            self.failed(call, error)
            raise
        self.end(call, answer)
        return answer


def recorded(interface: Interface, recording: Recording) -> Interface:
    """The same interface, with its calls written down."""
    methods = {
        name: type(owner.__name__, (), dict(_wrapped(f"{interface.wit}#{name}", owner, Resource, recording, 0)))
        for name, owner in interface.resources.items()
    }
    names = {"wit": interface.wit, "versions": interface.versions, "resources": methods}
    functions = dict(_wrapped(interface.wit, interface, Interface, recording, 1))
    made: Interface = type(type(interface).__name__, (Interface,), {**names, **functions})()
    return made


def _wrapped(
    prefix: str, owner: object, base: type, recording: Recording, skipped: int
) -> Iterator[tuple[str, staticmethod[..., Any]]]:
    """What `edged.wasm.provide.resolve` finds in an owner.

    Args:
        skipped: how many of the first arguments are not the guest's.
    """
    for name in dir(owner):
        function = getattr(owner, name)
        if not name.startswith("_") and callable(function) and not hasattr(base, name):
            yield name, staticmethod(_wrap(f"{prefix}.{name}", function, recording, skipped))


def _wrap(name: str, function: Callable[..., Any], recording: Recording, skipped: int) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def begin(*arguments: Any) -> Any:
            return await recording.later(recording.begin(name, arguments[skipped:]), function(*arguments))

        return begin

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        entry = recording.begin(name, arguments[skipped:])
        try:
            answer = function(*arguments)
        except BaseException as error:
            recording.failed(entry, error)
            raise
        if answer.__class__ is CoroutineType:
            later = recording.later(entry, answer)
            weakref.finalize(later, answer.close)  # a guest that ends before it waits
            return later
        recording.end(entry, answer)
        return answer

    return call


@contextmanager
def recorded_drops(interfaces: Iterable[Interface], recording: Recording) -> Iterator[None]:
    """Drops of resources too, by the guest or at the request's end, for as long as the block lasts."""
    classes = {base for each in interfaces for owner in each.resources.values() for base in owner.__mro__}
    originals = {each: each.__dict__["drop"] for each in classes if "drop" in each.__dict__}

    def wrap(drop: Callable[[Any], None]) -> Callable[[Any], None]:
        def dropped(resource: Any) -> None:
            recording.drop(resource)
            drop(resource)

        return dropped

    try:
        for owner, drop in originals.items():
            owner.drop = wrap(drop)  # type: ignore[attr-defined]
        yield
    finally:
        for owner, drop in originals.items():
            owner.drop = drop  # type: ignore[attr-defined]


class SeededRandom(random.Random):
    """Random bytes that are the same in every run. What they cost is what they always cost."""

    def __init__(self) -> None:
        self._generator = prng.Random(0)

    def get_random_bytes(self, invocation: Invocation, length: int) -> bytes:
        super().get_random_bytes(invocation, length)
        return self._generator.randbytes(length)

    def get_random_u64(self, invocation: Invocation) -> int:
        super().get_random_u64(invocation)
        return self._generator.getrandbits(64)


class SeededInsecure(random.Insecure):
    def __init__(self) -> None:
        self._generator = prng.Random(1)

    def get_insecure_random_bytes(self, invocation: Invocation, length: int) -> bytes:
        super().get_insecure_random_bytes(invocation, length)
        return self._generator.randbytes(length)

    def get_insecure_random_u64(self, invocation: Invocation) -> int:
        super().get_insecure_random_u64(invocation)
        return self._generator.getrandbits(64)


class SeededSeed(random.InsecureSeed):
    seed: ClassVar[tuple[int, int]] = (2, 3)

    def insecure_seed(self, invocation: Invocation) -> tuple[int, int]:
        super().insecure_seed(invocation)
        return self.seed


class StoppedWallClock(clocks.WallClock):
    """2026-11-21T03:25:01.5Z, always."""

    def now(self, _invocation: Invocation) -> clocks.Datetime:
        return clocks.Datetime(1_795_231_501, 500_000_000)


def repeatable() -> Mapping[str, Interface]:
    """By name, the interfaces whose answers would differ between two runs, with answers that do not."""
    fakes: Sequence[Interface] = (SeededRandom(), SeededInsecure(), SeededSeed(), StoppedWallClock())
    return {fake.wit: fake for fake in fakes}
