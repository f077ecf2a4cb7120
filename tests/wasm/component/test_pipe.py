"""Types of streams and futures: one object for equal ones, and none kept that nobody has."""

from __future__ import annotations

import gc
import weakref

from edged.limits import STREAM_TYPES_KNOWN_MAX
from edged.wasm import types as wit
from edged.wasm.component import pipe
from edged.wasm.component.pipe import kind_of

ELEMENT = wit.Enum(("of", "this", "test"))


def test_equal_types_are_one_kind() -> None:
    assert kind_of(wit.Stream(ELEMENT)) is kind_of(wit.Stream(ELEMENT))
    assert kind_of(wit.Stream(ELEMENT)) is not kind_of(wit.Future(ELEMENT))


def test_types_that_are_known_are_bounded() -> None:
    """What is in use stays the same through it."""
    ty = wit.Stream(ELEMENT)
    kind = kind_of(ty)
    for _ in range(STREAM_TYPES_KNOWN_MAX + 1):
        assert kind_of(wit.Stream(ELEMENT)) is kind
        assert len(pipe._kinds) <= STREAM_TYPES_KNOWN_MAX
    assert kind_of(ty) is kind


def test_a_kind_that_nobody_has_is_forgotten() -> None:
    forgotten = weakref.ref(kind_of(wit.Stream(wit.Enum(("nobody", "has", "it")))))
    for _ in range(STREAM_TYPES_KNOWN_MAX + 1):
        kind_of(wit.Stream(ELEMENT))
    gc.collect()
    assert forgotten() is None
