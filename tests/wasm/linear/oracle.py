"""wasmtime's own component model as the judge of our codecs: a component that shows what it does with a value.

`take(x: T)` keeps the core values that wasmtime lowers `x` to and hands over all of the memory: what our codecs lift
from these is to be `x`. `put` sets the memory to what our codecs made of a value, and `give` calls the host with the
core values in it: what wasmtime lifts from these is to be the value.
"""

from __future__ import annotations

from typing import Any

from wasmtime import component

from edged.host.interface import Interface, Invocation
from edged.wasm import types as wit
from edged.wasm.canonical_abi import PARAMS_FLAT_MAX, Encoding
from edged.wasm.engine import Engine
from edged.wasm.linker import Program
from tests.wasm.conftest import instance_of
from tests.wasm.mirror import _core, _define, _flat, _names

SLOT_SIZE = 8
HEAP = SLOT_SIZE * PARAMS_FLAT_MAX
"""Where memory that is allocated begins: behind the core values."""
LETTERS = {"i32": "i", "i64": "I", "f32": "f", "f64": "F"}


def letters(ty: wit.WitType) -> str:
    """The core values of a parameter, by another implementation than ours."""
    flat = _flat(ty)
    return "".join(LETTERS[core] for core in flat) if len(flat) <= PARAMS_FLAT_MAX else "i"


def oracle(ty: wit.WitType, encoding: Encoding = "utf8") -> str:
    definitions: list[str] = []
    name = _define(ty, definitions)
    flat = _flat(ty)
    params = flat if len(flat) <= PARAMS_FLAT_MAX else ["i32"]
    keep = " ".join(
        f"({core}.store (i32.const {SLOT_SIZE * index}) (local.get {index}))" for index, core in enumerate(params)
    )
    loads = " ".join(f"({core}.load (i32.const {SLOT_SIZE * index}))" for index, core in enumerate(params))
    options = f"(memory $mem) (realloc $realloc) string-encoding={encoding}"
    return f"""
(component
  (import "test:oracle/host" (instance $host
    {chr(10).join(definitions)}
    (export "g" (func (param "x" {name})))))
  {"".join(f'(alias export $host "{n}" (type {n_id}))' for n, n_id in _names(definitions))}
  (core module $memory
    (memory (export "memory") 16)
    (global $top (export "top") (mut i32) (i32.const {HEAP}))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $p i32)
      (if (i32.and (i32.ne (local.get 0) (i32.const 0)) (i32.le_u (local.get 3) (local.get 1)))
        (then (return (local.get 0))))
      (local.set $p (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $p) (local.get 3)))
      (memory.copy (local.get $p) (local.get 0) (local.get 1))
      (local.get $p)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $g (canon lower (func $host "g") {options}))
  (core module $main
    (import "h" "g" (func $g {_core("param", params)}))
    (import "m" "memory" (memory 16))
    (import "m" "top" (global $top (mut i32)))
    (func (export "take") {_core("param", params)} (result i32) (local $p i32)
      {keep}
      (local.set $p (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (i32.store (local.get $p) (i32.const 0))
      (i32.store offset=4 (local.get $p) (global.get $top))
      (local.get $p))
    (func (export "put") (param i32 i32) (memory.copy (i32.const 0) (local.get 0) (local.get 1)))
    (func (export "give") (call $g {loads})))
  (core instance $main (instantiate $main
    (with "h" (instance (export "g" (func $g)))) (with "m" (instance $memory))))
  (func $take (param "x" {name}) (result (list u8)) (canon lift (core func $main "take") {options}))
  (func $put (param "data" (list u8)) (canon lift (core func $main "put") (memory $mem) (realloc $realloc)))
  (func $give (canon lift (core func $main "give")))
  (instance $guest (export "take" (func $take)) (export "put" (func $put)) (export "give" (func $give)))
  (export "test:oracle/guest" (instance $guest)))
"""


class Host(Interface):
    wit = "test:oracle/host"
    versions = ("",)

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def g(self, _invocation: Invocation, value: Any) -> None:
        self.seen.append(value)


class Oracle:
    """wasmtime's answers for one type."""

    def __init__(self, engine: Engine, ty: wit.WitType, encoding: Encoding = "utf8") -> None:
        self._host = Host()
        self._program = Program(engine, component.Component(engine.wasmtime, oracle(ty, encoding)), [self._host])

    def _export(self, name: str) -> Any:
        export = self._program.export("test:oracle/guest", name)
        assert export is not None
        return export

    async def memory_of(self, value: Any) -> bytes:
        """The memory, its core values in front, once wasmtime has lowered a value."""
        async with instance_of(self._program) as instance:
            data = await instance.call(self._export("take"), value)
            assert isinstance(data, bytes)
            return data

    async def value_of(self, memory: bytes) -> Any:
        """What wasmtime lifts from such a memory."""
        async with instance_of(self._program) as instance:
            await instance.call(self._export("put"), memory)
            await instance.call(self._export("give"))
            (value,) = self._host.seen
            self._host.seen.clear()
            return value
