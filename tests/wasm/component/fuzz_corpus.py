"""What is mutated, as text: components that use every built-in, guests of both WASIs, and core modules of each kind."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import wasmtime

from edged.errors import ComponentUnsupported
from edged.host.core_module import Signature
from edged.host.preview1.module import Preview1
from edged.wasm.core import spin1
from edged.wasm.core.canonical import signature_of
from edged.wasm.core.component_type import read_world
from edged.wasm.plan.elaborate import build_plan
from edged.wasm.types import ComponentType, signature
from tests.guests import wat
from tests.wasm.component import script
from tests.wasm.component.conftest import TASKS
from tests.wasm.component.fuzz_callers import world
from tests.wasm.component.test_hostile import ACTS, DOWN, GUEST, PLACES
from tests.wasm.plan.fuzz_plan import NESTED

_CASES = Path(__file__).with_name("cases")
_BROKEN = ("syntax-error", "core-module")


@functools.cache
def components() -> tuple[str, ...]:
    """Small components, most of them of WASI 0.3 or of built-ins alone."""
    return (*_guests("3"), *_guests("3"), *_guests(""), *_cases(), *_cases(), *_hostile(), TASKS.read_text())


@functools.cache
def import_signatures() -> frozenset[tuple[str, str, str]]:
    """Interface, function and type of all that components here import, as it is before anything is changed."""
    types = [*map(_type_of, components()), world()]
    return frozenset(found for ty in types for found in signatures(ty))


def signatures(ty: ComponentType) -> Iterator[tuple[str, str, str]]:
    """Of all imported functions."""
    for interface, imported in ty.imports.items():
        for name, function in imported.functions.items():
            yield interface, name, signature(function, ty.resource_names)


def _type_of(text: str) -> ComponentType:
    try:
        return build_plan(bytes(wasmtime.wat2wasm(text))).type
    except ComponentUnsupported:
        return ComponentType({}, {}, ())


def _guests(suffix: str) -> list[str]:
    """Guests of WASI 0.3 end in 3."""
    names = [name for name in wat.names() if name not in _BROKEN and name.endswith("3") == bool(suffix)]
    return [wat.text(name) for name in names]


def _cases() -> list[str]:
    """Components of the specification's cases that stand as text."""
    found = []
    for path in sorted(_CASES.rglob("*.wast")):
        for command in script.commands(path.read_text()):
            source = command.source if isinstance(command, script.Define | script.Instantiate) else None
            if source is not None and source.form == "text":
                found.append(source.content.decode())
    return found


def _hostile() -> list[str]:
    """Guests that call their host from where they must not."""
    found = [DOWN, f"(component {NESTED})"]
    for place in PLACES:
        for act in ("a call that waits", "a yield", "a wait on a set", "a task's answer", "a drop of a resource"):
            text = GUEST
            for name, code in (dict.fromkeys(PLACES, "") | {place: ACTS[act]}).items():
                text = text.replace("{" + name + "}", code)
            found.append(text)
    return found


# --- core modules ---

_LETTERS = {"i": "i32", "I": "i64", "f": "f32", "F": "f64"}
_OLD_NAMES: Mapping[str, str] = {
    "config": "spin-config",
    "http": "wasi-outbound-http",
    "key-value": "key-value",
    "llm": "llm",
    "mysql": "outbound-mysql",
    "postgres": "outbound-pg",
    "redis": "outbound-redis",
    "sqlite": "sqlite",
}
_SPIN = "fermyon:spin/"
_HTTP2 = "wasi:http/incoming-handler@0.2.0"
KINDS = ("spin1", "spin02", "wasi2", "program")
"""Of core modules, by what they import: Spin 1, the same under older names, WASI 0.2, preview 1."""
_Import = tuple[str, str, Signature]


@functools.cache
def section() -> bytes:
    """A `component-type` section of the world that guests of WASI 0.2 here have."""
    imports = wat.text("hello").partition("(component")[2].partition("(core module $Memory")[0]
    return bytes(
        wasmtime.wat2wasm(
            f"""(component
              (type (component (type (component {imports}
                (type $handler (instance
                  (alias outer 1 $incoming-request (type $r)) (alias outer 1 $response-outparam (type $o))
                  (export "handle" (func (param "request" (own $r)) (param "response-out" (own $o))))))
                (export "{_HTTP2}" (instance (type $handler)))))
                (export "root:component/world" (component (type 0)))))
              (export "world" (type 0)))"""
        )
    )


@functools.cache
def _imports(kind: str) -> tuple[_Import, ...]:
    if kind == "program":
        return tuple(("wasi_snapshot_preview1", name, ty) for name, ty in Preview1.functions.items())
    world = read_world(section()).imports if kind == "wasi2" else spin1.IMPORTS
    found: list[_Import] = []
    for interface, ty in world.items():
        for name, function in ty.functions.items():
            signature = signature_of(function)
            if kind == "spin02":
                module = _OLD_NAMES[interface.removeprefix(_SPIN)]
                found.append((module, "request" if name == "send-request" else name, signature))
            else:
                found.append((interface, name, signature))
        found += [(interface, f"[resource-drop]{name}", Signature("i", "")) for name in ty.resources]
    return tuple(found)


def _exports(kind: str) -> list[tuple[str, Signature]]:
    lowered = signature_of(spin1.EXPORTS[spin1.INBOUND_HTTP].functions["handle-request"])
    http = Signature(lowered.params[:-1], "i")  # what is lifted returns the address that what is lowered takes
    redis = Signature("ii", "i")
    match kind:
        case "spin1":
            return [(f"{spin1.INBOUND_HTTP}#handle-request", http), (f"{spin1.INBOUND_REDIS}#handle-message", redis)]
        case "spin02":
            return [("handle-http-request", http), ("handle-redis-message", redis)]
        case "wasi2":
            return [(f"{_HTTP2}#handle", Signature("ii", ""))]
    return [("_start", Signature("", ""))]


def module(chance: random.Random, kind: str) -> str:
    """A core module that calls some of what its kind may import, with numbers that are often addresses."""
    imports = chance.sample(_imports(kind), min(len(_imports(kind)), chance.randrange(3, 12)))
    declared = [
        f'(import "{name}" "{item}" (func $f{index} {_declare(ty)}))' for index, (name, item, ty) in enumerate(imports)
    ]
    functions = []
    for name, ty in _exports(kind):
        calls = []
        for _ in range(chance.randrange(1, 8)):
            index = chance.randrange(len(imports))
            arguments = " ".join(
                f"({_LETTERS[letter]}.const {chance.choice((0, 1, 2, 8, 64, 1000, 65_528))})"
                for letter in imports[index][2].params
            )
            call = f"(call $f{index} {arguments})"
            calls.append(f"(drop {call})" if imports[index][2].result else call)
        answer = "(i32.const 1024)" if ty.result else ""
        functions.append(f'(func (export "{name}") {_declare(ty)} {" ".join(calls)} {answer})')
    content = "".join(f"\\{chance.choice((0, 0, 0, 1, 2, 4, 8, 97)):02x}" for _ in range(256))
    realloc = "canonical_abi_realloc" if kind == "spin02" else "cabi_realloc"
    return f"""(module {" ".join(declared)} (memory (export "memory") 2)
      (global $top (mut i32) (i32.const 8192))
      (data (i32.const 0) "{content}") (data (i32.const 1024) "\\c8\\00\\00\\00")
      (func (export "{realloc}") (param i32 i32 i32 i32) (result i32)
        (global.set $top (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
        (global.set $top (i32.add (global.get $top) (local.get 3)))
        (i32.sub (global.get $top) (local.get 3)))
      {" ".join(functions)})"""


def _declare(ty: Signature) -> str:
    params = " ".join(_LETTERS[letter] for letter in ty.params)
    results = " ".join(_LETTERS[letter] for letter in ty.result)
    return (f"(param {params}) " if params else "") + (f"(result {results})" if results else "")
