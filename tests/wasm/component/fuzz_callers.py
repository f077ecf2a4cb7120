"""Components that call what a world has, with numbers that mean little: handles that may be there, addresses of junk.

ComponentType ── some functions of it ── text of a component that imports and calls them
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeGuard

import wasmtime

from edged.host.core_module import Signature
from edged.wasm import types as wit
from edged.wasm.canonical_abi import ASYNC_PARAMS_FLAT_MAX
from edged.wasm.core.canonical import signature_of
from edged.wasm.linear.signature import compile_values
from edged.wasm.plan.elaborate import build_plan
from edged.wasm.types import ComponentType, Function, InstanceType
from tests.wasm.component.fuzz_values import CORE_TYPES, REALLOC, Named

INTERFACES = Path(__file__).with_name("interfaces.wat")
_NUMBERS = (0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 16, 64, 1024, 4096, 65_528, -1)
_FUNCTIONS_MAX = 14
_LITERAL_CHANCE = 0.15  # of a handle that came in a list, or is another's
_FLAT_MAX = 100  # any that there is
_UNGUARDED_CHANCE = 0.04
_CALLS_MAX = 24


class _Imported(NamedTuple):
    """One function: its place, its type, and how it is lowered."""

    interface: str
    name: str
    type: Function
    is_async: bool

    @property
    def signature(self) -> Signature:
        if not self.is_async:
            return signature_of(self.type)
        params = compile_values(self.type.params, ASYNC_PARAMS_FLAT_MAX).letters
        return Signature(params + "i" * (self.type.result is not None), "i")


@functools.cache
def world() -> ComponentType:
    """All that guests of WASI 0.3 may import, Spin's interfaces too."""
    return build_plan(bytes(wasmtime.wat2wasm(INTERFACES.read_text()))).type


def caller(chance: random.Random, ty: ComponentType) -> str:
    """A component that imports some functions, and calls them."""
    interfaces = chance.sample([name for name, item in ty.imports.items() if item.functions], chance.randint(1, 3))
    every = [(interface, name) for interface in interfaces for name in ty.imports[interface].functions]
    chosen = [
        _Imported(interface, name, function, function.is_async and chance.random() < 0.7)
        for interface, name in chance.sample(every, min(len(every), _FUNCTIONS_MAX))
        for function in (ty.imports[interface].functions[name],)
    ]
    options = f"(memory $mem) (realloc $realloc) string-encoding={chance.choice(('utf8', 'utf8', 'utf16'))}"
    lowered = [
        f'(core func $f{index} (canon lower (func ${_label(each.interface)} "{each.name}")'
        f" {options}{' async' if each.is_async else ''}))"
        for index, each in enumerate(chosen)
    ]
    drops = sorted({number for interface in interfaces for number in ty.imports[interface].resources.values()})
    lowered += [f"(core func $drop{number} (canon resource.drop $r{number}))" for number in drops]
    functions = [(f"$f{index}", each.signature) for index, each in enumerate(chosen)]
    functions += [(f"$drop{number}", Signature("i", "")) for number in drops]
    functions += list(_BUILT_INS.items())
    # What needs no handle comes first: it may give one.
    order = sorted(range(len(chosen)), key=lambda index: any(map(_is_handle, chosen[index].type.params)))
    statements = [_call(chance, index, chosen[index]) for index in order]
    statements += [_statement(chance, functions, chosen) for _ in range(chance.randint(1, _CALLS_MAX))]
    words = (chance.choice((0, 0, 0, 1, 1, 2, 3, 4, 8, 64, 0x61616161, 2**32 - 1)) for _ in range(512))
    content = "".join(f"\\{byte:02x}" for word in words for byte in word.to_bytes(4, "little"))
    return f"""(component
      {" ".join(imports(ty, interfaces))}
      (core module $Libc (memory (export "mem") 2) (data (i32.const 0) "{content}") {REALLOC})
      (core instance $libc (instantiate $Libc))
      (alias core export $libc "mem" (core memory $mem))
      (alias core export $libc "realloc" (core func $realloc))
      (type $bytes (stream u8))
      {" ".join(lowered)}
      (core func $return (canon task.return (result u32)))
      (core func $set.new (canon waitable-set.new))
      (core func $set.wait (canon waitable-set.wait (memory $mem)))
      (core func $join (canon waitable.join))
      (core func $bytes.new (canon stream.new $bytes))
      (core func $bytes.read (canon stream.read $bytes async (memory $mem)))
      (core func $bytes.write (canon stream.write $bytes async (memory $mem)))
      (core func $bytes.drop-readable (canon stream.drop-readable $bytes))
      (core func $bytes.drop-writable (canon stream.drop-writable $bytes))
      (core func $subtask.drop (canon subtask.drop))
      (core instance $host {" ".join(f'(export "{name}" (func {name}))' for name, _ in functions)})
      (core module $M
        (import "libc" "mem" (memory 1))
        {" ".join(f'(import "host" "{name}" (func {name} {_declared(ty)}))' for name, ty in functions)}
        (global $set (mut i32) (i32.const 0))
        (func $driven (param i32)
          (local.set 0 (i32.shr_u (local.get 0) (i32.const 4)))
          (if (i32.eqz (global.get $set)) (then (global.set $set (call $set.new))))
          (if (local.get 0) (then
            (call $join (local.get 0) (global.get $set)) (drop (call $set.wait (global.get $set) (i32.const 64)))
            (call $join (local.get 0) (i32.const 0)))))
        {" ".join(f"(global $h{number} (mut i32) (i32.const 0))" for number in drops)}
        (func (export "run") (call $return (i32.const 1)) {" ".join(statements)}))
      (core instance $m (instantiate $M (with "libc" (instance $libc)) (with "host" (instance $host))))
      (func (export "run") async (result u32) (canon lift (core func $m "run") async)))"""


_BUILT_INS = {
    "$return": Signature("i", ""),
    "$set.new": Signature("", "i"),
    "$set.wait": Signature("ii", "i"),
    "$join": Signature("ii", ""),
    "$bytes.new": Signature("", "I"),
    "$bytes.read": Signature("iii", "i"),
    "$bytes.write": Signature("iii", "i"),
    "$bytes.drop-readable": Signature("i", ""),
    "$bytes.drop-writable": Signature("i", ""),
    "$subtask.drop": Signature("i", ""),
}


def _statement(chance: random.Random, functions: list[tuple[str, Signature]], chosen: list[_Imported]) -> str:
    index = chance.randrange(len(chosen) + (chance.random() < 0.3) * (len(functions) - len(chosen)))
    if index < len(chosen):
        return _call(chance, index, chosen[index])
    name, ty = functions[index]
    if name in ("$return", "$set.wait"):
        return ""
    if name.startswith("$drop"):
        register = f"$h{name.removeprefix('$drop')}"
        drop = f"(call {name} (global.get {register})) (global.set {register} (i32.const 0))"
        return f"(if (global.get {register}) (then {drop}))"
    arguments = " ".join(f"({CORE_TYPES[letter]}.const {chance.choice(_NUMBERS)})" for letter in ty.params)
    return f"(drop (call {name} {arguments}))" if ty.result else f"(call {name} {arguments})"


def _call(chance: random.Random, index: int, imported: _Imported) -> str:
    """A call with arguments of its type. A handle that it gives is kept."""
    ty, at = imported.type, 8 * chance.randrange(64)
    flat = [argument for param in ty.params for argument in _arguments(chance, param)]
    letters = imported.signature.params
    by_pointer = len(letters) - len(flat)  # the result's place; fewer letters: parameters lie in memory
    if by_pointer not in (0, 1):
        flat, by_pointer = [f"(i32.const {8 * chance.randrange(64)})"], len(letters) - 1
    call = f"(call $f{index} {' '.join([*flat, *[f'(i32.const {at})'] * by_pointer])})"
    given = ty.result.ok if isinstance(ty.result, wit.Result) else ty.result
    if imported.is_async:
        call = f"(call $driven {call})"
    elif imported.signature.result:
        if _is_handle(given):
            return f"(global.set $h{given.resource} {call})"
        call = f"(drop {call})"
    if _is_handle(given) and by_pointer:
        offset = at + chance.choice((0, 4, 4, 8))
        call += f" (if (i32.eqz (i32.load8_u (i32.const {at}))) (then"
        call += f" (global.set $h{given.resource} (i32.load (i32.const {offset})))))"
    if chance.random() < _UNGUARDED_CHANCE:
        return call
    for number in sorted({param.resource for param in ty.params if isinstance(param, wit.Handle)}):
        call = f"(if (global.get $h{number}) (then {call}))"
    return call


def _is_handle(ty: wit.WitType | None) -> TypeGuard[wit.Handle]:
    return isinstance(ty, wit.Handle)


def _arguments(chance: random.Random, ty: wit.WitType) -> list[str]:
    """Core values of a parameter."""
    letters = compile_values((ty,), _FLAT_MAX).letters
    match ty:
        case wit.Handle(number):
            literal = f"(i32.const {chance.randrange(1, 4)})"
            return [literal if chance.random() < _LITERAL_CHANCE else f"(global.get $h{number})"]
        case wit.Primitive("STRING") | wit.List():
            return [f"(i32.const {8 * chance.randrange(256)})", f"(i32.const {chance.choice((0, 1, 1, 2, 4))})"]
        case wit.Stream() | wit.Future():
            return [f"(i32.const {chance.randrange(1, 8)})"]
        case wit.Record(pairs):
            return [argument for _, inner in pairs for argument in _arguments(chance, inner)]
        case wit.Tuple(elements):
            return [argument for inner in elements for argument in _arguments(chance, inner)]
        case wit.Variant() | wit.Option() | wit.Result():
            case, payload = letters[0], letters[1:]
            numbers = [f"({CORE_TYPES[letter]}.const {chance.choice((0, 1, 2, 8, 64))})" for letter in payload]
            return [f"({CORE_TYPES[case]}.const {chance.choice((0, 0, 1, 1, 2))})", *numbers]
        case wit.Enum() | wit.Flags():
            return [f"(i32.const {chance.choice((0, 1, 2))})"]
    return [f"({CORE_TYPES[letter]}.const {chance.choice(_NUMBERS)})" for letter in letters]


def _declared(ty: Signature) -> str:
    params = " ".join(CORE_TYPES[letter] for letter in ty.params)
    return (f"(param {params}) " if params else "") + (f"(result {CORE_TYPES[ty.result]})" if ty.result else "")


# --- imports as text ---


def imports(ty: ComponentType, interfaces: list[str]) -> Iterator[str]:
    """Import these interfaces, and of others the resources that they use, each under `$r` and its number."""
    wanted = {number for name in interfaces for number in ty.imports[name].resources.values()}
    owners = {ty.resource_names[number - 1][0] for number in wanted}
    done: set[int] = set()
    for name, item in ty.imports.items():
        if name in interfaces or name in owners:
            yield _import(name, item, done, with_functions=name in interfaces)
            for resource, number in item.resources.items():
                if number not in done:
                    yield f'(alias export ${_label(name)} "{resource}" (type $r{number}))'
                done.add(number)


def _import(name: str, item: InstanceType, done: set[int], *, with_functions: bool) -> str:
    named = Named()
    parts = []
    known: set[int] = set()
    for resource, number in item.resources.items():
        if number in known:
            parts.append(f'(export "{resource}" (type (eq $r{number})))')
        elif number in done:
            parts.append(f"(alias outer 1 $r{number} (type $o{number}))")
            parts.append(f'(export "{resource}" (type $r{number} (eq $o{number})))')
        else:
            parts.append(f'(export "{resource}" (type $r{number} (sub resource)))')
        known.add(number)
    functions = []
    for function, ty in item.functions.items() if with_functions else ():
        names = ["self" if index == 0 and "[method]" in function else f"p{index}" for index in range(len(ty.params))]
        params = " ".join(
            f'(param "{each}" {named.shown(param)})' for each, param in zip(names, ty.params, strict=True)
        )
        result = "" if ty.result is None else f"(result {named.shown(ty.result)})"
        functions.append(f'(export "{function}" (func {"async " if ty.is_async else ""}{params} {result}))')
    return f'(import "{name}" (instance ${_label(name)} {" ".join([*parts, *named.definitions, *functions])}))'


def _label(interface: str) -> str:
    return interface.replace(":", ".").replace("@", ".")
