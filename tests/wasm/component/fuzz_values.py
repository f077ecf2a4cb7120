"""Types and values by a number, and components that hand values on as they are."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import wasmtime
import wasmtime.component

from edged.errors import GuestBudgetExhausted, GuestError
from edged.host.channel import Pieces, Ready
from edged.host.interface import Err, Interface, Invocation, Ok, Some
from edged.wasm import types as wit
from edged.wasm.canonical_abi import PARAMS_FLAT_MAX
from edged.wasm.component.instance import Instance as CoreInstance
from edged.wasm.component.program import ComponentProgram
from edged.wasm.engine import Engine
from edged.wasm.instance import Instance
from edged.wasm.linear.signature import compile_values
from edged.wasm.linker import Program
from edged.wasm.plan.compiled import compile_in_process
from tests.wasm.component.wast import same
from tests.wasm.hosts import invocation
from tests.wasm.linear.values import PRIMITIVES, integer_range, names

_CHARACTERS = ("a", "\0", "\x7f", "é", "ÿ", "Ā", "€", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff")


def has_values(ty: wit.WitType | None) -> bool:
    """Whether values of a type can be made up: a handle is a thing."""
    match ty:
        case wit.Handle():
            return False
        case wit.List(inner) | wit.FixedList(inner, _) | wit.Option(inner) | wit.Future(inner):
            return has_values(inner)
        case wit.Stream(inner):
            return inner == wit.Primitive("U8")
        case wit.Tuple(elements):
            return all(map(has_values, elements))
        case wit.Record(pairs) | wit.Variant(pairs):
            return all(has_values(inner) for _, inner in pairs)
        case wit.Result(ok, err):
            return has_values(ok) and has_values(err)
    return True


def value(chance: random.Random, ty: wit.WitType | None) -> Any:
    """A value of a type that has some."""
    match ty:
        case None:
            return None
        case wit.Primitive(kind):
            return _primitive(chance, kind)
        case wit.List(wit.Primitive("U8")):
            return chance.randbytes(chance.randrange(20))
        case wit.FixedList(wit.Primitive("U8"), length):
            return chance.randbytes(length)
        case wit.List(element):
            return [value(chance, element) for _ in range(chance.choice((0, 1, 2, 3)))]
        case wit.FixedList(element, length):
            return [value(chance, element) for _ in range(length)]
        case wit.Tuple(elements):
            return tuple(value(chance, element) for element in elements)
        case wit.Record(pairs):
            return tuple(value(chance, inner) for _, inner in pairs)
        case wit.Variant(cases):
            name, payload = chance.choice(cases)
            return name if payload is None else (name, value(chance, payload))
        case wit.Enum(cases):
            return chance.choice(cases)
        case wit.Flags(flags):
            return frozenset(flag for flag in flags if chance.random() < 0.5)
        case wit.Option(payload):
            if chance.random() < 0.3:
                return None
            inner = value(chance, payload)
            return Some(inner) if isinstance(payload, wit.Option) else inner
        case wit.Result(ok, err):
            return Ok(value(chance, ok)) if chance.random() < 0.5 else Err(value(chance, err))
        case wit.Stream():
            return Pieces(chance.randbytes(chance.randrange(100)))
        case wit.Future(payload):
            return Ready(value(chance, payload))
    raise AssertionError(ty)


def _primitive(chance: random.Random, kind: str) -> Any:
    match kind:
        case "BOOL":
            return chance.random() < 0.5
        case "CHAR":
            return chance.choice(_CHARACTERS)
        case "STRING":
            return "".join(chance.choice(_CHARACTERS) for _ in range(chance.choice((0, 1, 3, 8))))
        case "F32":
            return struct.unpack("<f", struct.pack("<f", chance.choice((0.0, -0.0, 1.5, chance.gauss(0, 1e9)))))[0]
        case "F64":
            return chance.choice((0.0, -0.0, 1.5, chance.gauss(0, 1e99), float("inf")))
    low, high = integer_range(kind)
    return chance.choice((low, high, 0, 1, chance.randint(low, high)))


def wit_type(chance: random.Random, depth: int = 3) -> wit.WitType:
    """A type that both paths have values for."""
    if not depth or chance.random() < 0.25:
        return chance.choice(PRIMITIVES)

    def several(count_max: int) -> tuple[wit.WitType, ...]:
        return tuple(wit_type(chance, depth - 1) for _ in range(chance.randint(1, count_max)))

    def maybe() -> wit.WitType | None:
        return wit_type(chance, depth - 1) if chance.random() < 0.7 else None

    match chance.randrange(8):
        case 0:
            return wit.List(wit_type(chance, depth - 1))
        case 1:
            return wit.Option(wit_type(chance, depth - 1))
        case 2:
            return wit.Tuple(several(6))
        case 3:
            inner = several(6)
            return wit.Record(tuple(zip(names(len(inner)), inner, strict=True)))
        case 4:
            payloads = tuple(maybe() for _ in range(chance.choice((1, 2, 3, 5, 257 if depth == 1 else 4))))
            return wit.Variant(tuple(zip(names(len(payloads)), payloads, strict=True)))
        case 5:
            return wit.Enum(names(chance.choice((1, 2, 5, 256, 257))))
        case 6:
            return wit.Flags(names(chance.choice((1, 8, 9, 16, 17, 32))))
    return wit.Result(maybe(), maybe())


class Values(Interface):
    """`test:fuzz/values`, which the components here import."""

    wit = "test:fuzz/values"
    versions: ClassVar[tuple[str, ...]] = ("0.1",)

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def give_back(self, _invocation: Invocation, given: Any) -> Any:
        self.taken.append(given)
        return given

    def take(self, _invocation: Invocation, given: Any) -> None:
        self.taken.append(given)


# Text that turns out not to be of latin-1 is moved in the middle, and has to be there still.
REALLOC = """
        (global $top (mut i32) (i32.const 8192))
        (func (export "realloc") (param $old i32) (param $old-size i32) (param i32) (param $size i32) (result i32)
          (local $at i32)
          (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
          (global.set $top (i32.add (local.get $at) (local.get $size)))
          (if (i32.gt_u (local.get $old-size) (local.get $size)) (then (local.set $old-size (local.get $size))))
          (memory.copy (local.get $at) (local.get $old) (local.get $old-size))
          (local.get $at))"""


def component(ty: wit.WitType, encoding: str, content: bytes) -> str:
    """A component whose functions hand on values of a type: `echo` and `through` lists of them, `take` one, the last
    two to the host.

    `junk` answers with a list whose place and content are that of memory.

    Args:
        encoding: of strings.
        content: of memory, from 32 on, at most 4 KiB.
    """
    named = Named()
    shown = named.shown(ty)
    options = f"(memory $mem) (realloc $realloc) string-encoding={encoding}"
    data = "".join(f"\\{byte:02x}" for byte in content)
    return f"""(component
      (import "test:fuzz/values@0.1.0" (instance $host {" ".join(named.definitions)}
        (export "give-back" (func (param "v" (list {shown})) (result (list {shown}))))
        (export "take" (func (param "v" {shown})))))
      {" ".join(f'(alias export $host "{name}" (type ${name}))' for name in named.names)}
      (core module $Libc
        (memory (export "mem") 16)
        (data (i32.const 32) "{data}")
{REALLOC})
      (core instance $libc (instantiate $Libc))
      (alias core export $libc "mem" (core memory $mem))
      (alias core export $libc "realloc" (core func $realloc))
      (core func $give (canon lower (func $host "give-back") {options}))
      (core func $take (canon lower (func $host "take") {options}))
      (core module $M
        (import "" "mem" (memory 16))
        (import "" "give" (func $give (param i32 i32 i32)))
        (func (export "echo") (param i32 i32) (result i32)
          (i32.store (i32.const 8) (local.get 0)) (i32.store (i32.const 12) (local.get 1)) (i32.const 8))
        (func (export "through") (param i32 i32) (result i32)
          (call $give (local.get 0) (local.get 1) (i32.const 16)) (i32.const 16))
        (func (export "junk") (result i32) (i32.const 32)))
      (core instance $m (instantiate $M (with "" (instance (export "give" (func $give)) (export "mem" (memory $mem))))))
      (func (export "echo") (param "v" (list {shown})) (result (list {shown}))
        (canon lift (core func $m "echo") {options}))
      (func (export "through") (param "v" (list {shown})) (result (list {shown}))
        (canon lift (core func $m "through") {options}))
      (func (export "junk") (result (list {shown})) (canon lift (core func $m "junk") {options}))
      (func (export "take") (param "v" {shown}) (canon lift (core func $take) {options})))"""


def task(ty: wit.WitType, encoding: str) -> str:
    """A component with an asynchronous function `task` that returns the value that it is given."""
    named = Named()
    shown = named.shown(ty)
    letters = compile_values((ty,), PARAMS_FLAT_MAX).letters
    params = "(param " + " ".join(CORE_TYPES[letter] for letter in letters) + ")" if letters else ""
    gets = " ".join(f"(local.get {index})" for index in range(len(letters)))
    options = f"(memory $mem) string-encoding={encoding}"
    return f"""(component
      (import "test:fuzz/values@0.1.0" (instance $host {" ".join(named.definitions)}))
      {" ".join(f'(alias export $host "{name}" (type ${name}))' for name in named.names)}
      (core module $Libc
        (memory (export "mem") 16)
{REALLOC})
      (core instance $libc (instantiate $Libc))
      (alias core export $libc "mem" (core memory $mem))
      (core func $return (canon task.return (result {shown}) {options}))
      (core module $M
        (import "" "return" (func $return {params}))
        (func (export "task") {params} (result i32) (call $return {gets}) (i32.const 0))
        (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))
      (core instance $m (instantiate $M (with "" (instance (export "return" (func $return))))))
      (func (export "task") async (param "v" {shown}) (result {shown})
        (canon lift (core func $m "task") async (callback (core func $m "callback"))
          (realloc (core func $libc "realloc")) {options})))"""


CORE_TYPES = {"i": "i32", "I": "i64", "f": "f32", "F": "f64"}


class Named:
    """Types as text.

    Records, variants, enums and flags need names where functions use them. A resource type has `$r` and its number.

    Attributes:
        definitions: of an instance type that exports them.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.definitions: list[str] = []
        self._known: dict[wit.WitType, str] = {}

    def shown(self, ty: wit.WitType) -> str:
        """A type as component text has it."""
        if ty not in self._known:
            self._known[ty] = self._show(ty)
        return self._known[ty]

    def _show(self, ty: wit.WitType) -> str:
        match ty:
            case wit.Primitive(kind):
                return kind.lower()
            case wit.List(element):
                return f"(list {self.shown(element)})"
            case wit.Option(payload):
                return f"(option {self.shown(payload)})"
            case wit.Tuple(elements):
                return f"(tuple {' '.join(map(self.shown, elements))})"
            case wit.Record(pairs):
                return self._define("record", (f'(field "{name}" {self.shown(inner)})' for name, inner in pairs))
            case wit.Variant(cases):
                return self._define("variant", (self._case(name, inner) for name, inner in cases))
            case wit.Enum(cases):
                return self._define("enum", (f'"{name}"' for name in cases))
            case wit.Flags(flags):
                return self._define("flags", (f'"{name}"' for name in flags))
            case wit.Result(ok, err):
                parts = "" if ok is None else f" {self.shown(ok)}"
                return f"(result{parts}{'' if err is None else f' (error {self.shown(err)})'})"
            case wit.Handle(number, owned):
                return f"({'own' if owned else 'borrow'} $r{number})"
            case wit.Stream(element):
                return self._place("(stream)" if element is None else f"(stream {self.shown(element)})")
            case wit.Future(payload):
                return self._place("(future)" if payload is None else f"(future {self.shown(payload)})")
        raise AssertionError(ty)

    def _case(self, name: str, payload: wit.WitType | None) -> str:
        return f'(case "{name}")' if payload is None else f'(case "{name}" {self.shown(payload)})'

    def _place(self, text: str) -> str:
        """A type that wasmtime's text has no place for within others."""
        name = f"$s{len(self.definitions)}"
        self.definitions.append(f"(type {name} {text})")
        return name

    def _define(self, kind: str, parts: Iterable[str]) -> str:
        text = f"({kind} {' '.join(parts)})"
        name = f"t{len(self.names)}"
        self.names.append(name)
        self.definitions.append(f"(type ${name}' {text}) (export \"{name}\" (type ${name} (eq ${name}')))")
        return f"${name}"


# --- both paths ---


class Fault(Exception):
    """A value that arrives as another, or differently on the two paths."""


async def compare(engine: Engine, chance: random.Random) -> Counter[str]:
    """Hand values of one type on, on both paths. Returns how the calls ended.

    Raises:
        Fault
    """
    ty, encoding = wit_type(chance), chance.choice(("utf8", "utf16", "latin1+utf16"))
    content = struct.pack("<II", chance.choice((32, 64, 128, chance.randrange(8192))), chance.randrange(6))
    content += bytes(chance.choice((0, 0, 0, 1, 1, 2, 4, 8, 64, 97, 255, chance.randrange(256))) for _ in range(1000))
    data = bytes(wasmtime.wat2wasm(component(ty, encoding, content)))
    hosts = Values(), Values()
    plan = ComponentProgram(engine, compile_in_process(engine, data), [hosts[0]])
    native = Program(engine, wasmtime.component.Component(engine.wasmtime, data), [hosts[1]])
    outcomes: Counter[str] = Counter()
    for function, given in _calls(chance, ty):
        for host in hosts:
            host.taken.clear()
        one = await _outcome(CoreInstance(plan, invocation()), plan.export("", function), given)
        other = await _outcome(Instance(native, invocation()), native.export("", function), given)
        outcomes[one if isinstance(one, str) else "equal"] += 1
        _expect(one, other, hosts[0].taken, hosts[1].taken, f"{function} on the two paths", ty)
        if function != "junk":
            _expect(one, Ok(None if function == "take" else given[0]), [], [], function, ty)
            if hosts[0].taken:
                _expect(Ok(hosts[0].taken[-1]), Ok(given[0]), [], [], f"what {function} gave the host", ty)
    later = ComponentProgram(
        engine, compile_in_process(engine, bytes(wasmtime.wat2wasm(task(ty, encoding)))), [Values()]
    )
    for _ in range(3):
        given = (value(chance, ty),)
        one = await _outcome(CoreInstance(later, invocation()), later.export("", "task"), given)
        _expect(one, Ok(given[0]), [], [], "task", ty)
        outcomes["equal"] += 1
    return outcomes


def _calls(chance: random.Random, ty: wit.WitType) -> Iterator[tuple[str, tuple[Any, ...]]]:
    yield "junk", ()
    for _ in range(3):
        yield "take", (value(chance, ty),)
        yield chance.choice(("echo", "through")), (value(chance, wit.List(ty)),)


async def _outcome(instance: Any, export: Any, given: tuple[Any, ...]) -> Any:
    """What is answered, or the code of the error."""
    try:
        await instance.instantiate()
        return Ok(await instance.call(export, *given))
    except GuestError as error:
        return error.code
    finally:
        instance.close()


def _expect(one: Any, other: Any, *rest: Any) -> None:
    ours, theirs, what, ty = rest
    if GuestBudgetExhausted.code in (one, other):
        return  # what one call may hand over is counted differently
    if not same(one, other) or not same(ours, theirs):
        raise Fault(f"{what}: {one!r} and {other!r}, {ours!r} and {theirs!r}, of {ty!r}"[:2_000])
