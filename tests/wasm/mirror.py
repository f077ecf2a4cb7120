"""Component text that hands a value of any type from the guest's export to the host's import and back.

The core module forwards flat arguments untouched, so what comes back went through wasmtime's lift and lower and through
our codecs twice in each direction.
"""

from __future__ import annotations

from edged.wasm import types as wit

_KEYWORDS = {
    "BOOL": "bool",
    "CHAR": "char",
    "STRING": "string",
    "F32": "f32",
    "F64": "f64",
    **{f"{sign}{bits}": f"{sign.lower()}{bits}" for sign in "SU" for bits in (8, 16, 32, 64)},
}
_FLAT_PARAMS_MAX = 16


def mirror(ty: wit.WitType) -> str:
    """A component that imports `test:mirror/host#g: func(x: T) -> T` and exports `test:mirror/guest#f`, the same."""
    definitions: list[str] = []
    name = _define(ty, definitions)
    flat = _flat(ty)
    params = flat if len(flat) <= _FLAT_PARAMS_MAX else ["i32"]
    by_pointer = len(flat) > 1
    lowered = params + (["i32"] if by_pointer else [])
    results = ["i32"] if by_pointer else flat
    gets = " ".join(f"(local.get {index})" for index in range(len(params)))
    body = f"(call $g {gets} (i32.const 8)) (i32.const 8)" if by_pointer else f"(call $g {gets})"
    return f"""
(component
  (import "test:mirror/host" (instance $host
    {chr(10).join(definitions)}
    (export "g" (func (param "x" {name}) (result {name})))))
  {"".join(f'(alias export $host "{n}" (type {n_id}))' for n, n_id in _names(definitions))}
  (core module $memory
    (memory (export "memory") 16)
    (global $top (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $p i32)
      (local.set $p (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $p) (local.get 3)))
      (local.get $p)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $g (canon lower (func $host "g") (memory $mem) (realloc $realloc)))
  (core module $main
    (import "h" "g" (func $g {_core("param", lowered)} {_core("result", [] if by_pointer else results)}))
    (func (export "f") {_core("param", params)} {_core("result", results)} {body}))
  (core instance $main (instantiate $main (with "h" (instance (export "g" (func $g))))))
  (func $f (param "x" {name}) (result {name})
    (canon lift (core func $main "f") (memory $mem) (realloc $realloc)))
  (instance $guest (export "f" (func $f)))
  (export "test:mirror/guest" (instance $guest)))
"""


def _core(keyword: str, types: list[str]) -> str:
    return f"({keyword} {' '.join(types)})" if types else ""


def _names(definitions: list[str]) -> list[tuple[str, str]]:
    return [(f"t{index}", f"$t{index}") for index in range(len(definitions))]


def _define(ty: wit.WitType, definitions: list[str]) -> str:
    """The name of a type, after defining it and what it is made of. Every compound type gets a name: only named
    records, variants, enums and flags may cross a component's border."""

    def inner(other: wit.WitType) -> str:
        return _define(other, definitions)

    match ty:
        case wit.Primitive(kind):
            return _KEYWORDS[kind]
        case wit.List(element):
            text = f"(list {inner(element)})"
        case wit.Tuple(elements):
            text = f"(tuple {' '.join(inner(element) for element in elements)})"
        case wit.Record(fields):
            text = "(record " + " ".join(f'(field "{key}" {inner(value)})' for key, value in fields) + ")"
        case wit.Variant(cases):
            parts = [f'(case "{key}"{"" if value is None else " " + inner(value)})' for key, value in cases]
            text = f"(variant {' '.join(parts)})"
        case wit.Enum(names):
            text = "(enum " + " ".join(f'"{key}"' for key in names) + ")"
        case wit.Flags(names):
            text = "(flags " + " ".join(f'"{key}"' for key in names) + ")"
        case wit.Option(payload):
            text = f"(option {inner(payload)})"
        case wit.Result(ok, err):
            text = f"(result{'' if ok is None else ' ' + inner(ok)}{'' if err is None else f' (error {inner(err)})'})"
        case _:
            raise AssertionError(ty)
    index = len(definitions)
    definitions.append(f'(type $d{index} {text}) (export "t{index}" (type $t{index} (eq $d{index})))')
    return f"$t{index}"


def _flat(ty: wit.WitType) -> list[str]:
    """The core types a value flattens to (CanonicalABI.md, Flattening)."""
    match ty:
        case wit.Primitive("STRING") | wit.List():
            return ["i32", "i32"]
        case wit.Primitive(kind):
            return [{"S64": "i64", "U64": "i64", "F32": "f32", "F64": "f64"}.get(kind, "i32")]
        case wit.Tuple(elements):
            return [core for element in elements for core in _flat(element)]
        case wit.Record(fields):
            return [core for _, value in fields for core in _flat(value)]
        case wit.Variant(cases):
            return ["i32", *_join([value for _, value in cases])]
        case wit.Option(payload):
            return ["i32", *_flat(payload)]
        case wit.Result(ok, err):
            return ["i32", *_join([ok, err])]
        case _:
            return ["i32"]


def _join(payloads: list[wit.WitType | None]) -> list[str]:
    joined: list[str] = []
    for payload in payloads:
        for index, core in enumerate([] if payload is None else _flat(payload)):
            if index == len(joined):
                joined.append(core)
            elif joined[index] != core:
                joined[index] = "i32" if {joined[index], core} == {"i32", "f32"} else "i64"
    return joined
