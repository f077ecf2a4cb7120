from __future__ import annotations

from typing import Any

import pytest
import wasmtime

from edged.errors import GuestTrap
from edged.wasm import ffi
from edged.wasm.engine import Engine
from edged.wasm.linear.context import BETWEEN_GUESTS, LIST, RESULT, STRING, TO_HOST, VALUES, Boundary, linear_memory
from tests.wasm.linear.memory import PAGE, FakeMemory

BOUNDARIES = {"to-host": TO_HOST, "between-guests": BETWEEN_GUESTS}
ALLOCATOR_LIES = {
    "to-host": {
        VALUES: "realloc return: beyond end of memory",
        STRING: "realloc return: beyond end of memory",
        LIST: "realloc return: beyond end of memory",
    },
    "between-guests": {
        VALUES: "wasm trap: out of bounds memory access",
        STRING: "wasm trap: string content out-of-bounds",
        LIST: "wasm trap: list content out-of-bounds",
    },
}


def boundary(name: str) -> Boundary:
    return BOUNDARIES[name]


def test_grow_looks_at_the_memory_again() -> None:
    memory = FakeMemory()
    cx = memory.context()
    memory.size = 2 * PAGE
    assert cx.size == PAGE
    cx.grow(2 * PAGE)
    assert cx.size == len(cx.view) == 2 * PAGE
    with pytest.raises(GuestTrap, match=r"^pointer out of bounds$"):
        cx.grow(2 * PAGE + 1)


@pytest.mark.parametrize("kind", [VALUES, STRING, LIST, RESULT])
@pytest.mark.parametrize("side", list(BOUNDARIES))
def test_check_at_the_end_and_one_over(side: str, kind: int) -> None:
    cx = FakeMemory().context(boundary=boundary(side))
    cx.check(PAGE - 8, 8, 8, kind)
    cx.check(PAGE, 0, 8, kind)
    with pytest.raises(GuestTrap) as trap:
        cx.check(PAGE - 8, 9, 8, kind)
    assert trap.value.message == boundary(side).bounds[kind]
    with pytest.raises(GuestTrap):
        cx.check(2**32 - 8, 16, 8, kind)
    with pytest.raises(GuestTrap) as trap:
        cx.check(PAGE - 4, 4, 8, kind)
    assert trap.value.message == boundary(side).unaligned[kind]


def test_alloc_asks_for_new_memory_and_sees_that_it_grew() -> None:
    memory = FakeMemory(start=8)
    cx = memory.context()
    assert cx.alloc(4, 3 * PAGE) == 8
    assert memory.calls == [(4, 3 * PAGE)]
    assert cx.size == memory.size == 4 * PAGE


@pytest.mark.parametrize("kind", [VALUES, STRING, LIST])
@pytest.mark.parametrize("side", list(BOUNDARIES))
def test_an_allocator_that_lies_traps(side: str, kind: int) -> None:
    memory = FakeMemory()
    cx = memory.context(boundary=boundary(side))
    memory.answer = PAGE - 8
    assert cx.alloc(8, 8, kind) == PAGE - 8
    for answer, size in (PAGE - 8, 9), (PAGE + 8, 0), (2**32 - 8, 0), (0, PAGE + 1):
        memory.answer = answer
        with pytest.raises(GuestTrap) as trap:
            cx.alloc(1, size, kind)
        assert trap.value.message == ALLOCATOR_LIES[side][kind]
    memory.answer = PAGE
    assert cx.alloc(1, 0, kind) == PAGE
    for answer in 2, 4, 2**32 - 1:  # the alignment is looked at first
        memory.answer = answer
        with pytest.raises(GuestTrap, match="aligned"):
            cx.alloc(8, 8, kind)


def test_nothing_is_reached_through_a_closed_context() -> None:
    cx = FakeMemory().context()
    cx.close()
    with pytest.raises(GuestTrap):
        cx.check(0, 1, 1)
    assert len(cx.view) == 0


def test_a_context_without_memory_has_none() -> None:
    memory = FakeMemory()
    cx = type(memory.context())(memory.context().instance)
    with pytest.raises(GuestTrap):
        cx.grow(1)


def _grown(engine: wasmtime.Engine, pages: int) -> tuple[Any, Any, Any]:
    store = wasmtime.Store(engine)
    store.set_epoch_deadline(1_000_000)
    module = wasmtime.Module(engine, f'(module (memory (export "m") 1 {pages}))')
    memory = wasmtime.Instance(store, module, []).exports(store)["m"]
    assert isinstance(memory, wasmtime.Memory)
    return store, memory, ffi.address(wasmtime._ffi.byref(memory._memory))


@pytest.mark.parametrize("pages", [1, 4_096, 65_536])
def test_a_memory_grows_where_it_is(engine: Engine, pages: int) -> None:
    """Contexts rely on it: a view of what the memory was remains a view of what it is."""
    store, memory, where = _grown(engine.wasmtime, pages)
    look = linear_memory(ffi.address(store._context()), where)
    before = look()
    assert len(before) == PAGE
    grow = min(pages, 2_048) - 1
    memory.grow(store, grow)
    after = look()
    assert len(after) == (1 + grow) * PAGE
    before[7] = 42
    assert after[7] == 42
    assert memory.data_ptr(store)[7] == 42
