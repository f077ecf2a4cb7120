"""Which world a core module has, told by its names and by its component-type section."""

from __future__ import annotations

import random

import pytest
import wasmtime
import wasmtime.component

from edged.errors import ComponentInvalid, ComponentUnsupported, EdgedError
from edged.wasm.core import spin1
from edged.wasm.core.component_type import find_section, read_world
from edged.wasm.core.kinds import world_of
from edged.wasm.core.world import Drop, Imported, find_world
from edged.wasm.engine import Engine
from edged.wasm.types import ComponentType, InstanceType, describe
from tests.conftest import GuestPath


@pytest.fixture(scope="module")
def module(guest_path: GuestPath) -> bytes:
    """One that imports WASI 0.2."""
    return guest_path("streaming-c-module").read_bytes()


# --- by names ---


def test_a_program_has_no_world() -> None:
    assert find_world({"_start", "memory"}, {"wasi_snapshot_preview1"}, None) is None
    assert find_world(set(), set(), None) is None


@pytest.mark.parametrize(
    ("exports", "found"),
    [
        ({"handle-http-request"}, {"fermyon:spin/inbound-http"}),
        ({"handle-redis-message"}, {"fermyon:spin/inbound-redis"}),
        ({"handle-http-request", "handle-redis-message", "_start"}, {*spin1.EXPORTS}),
    ],
)
def test_old_bindings(exports: set[str], found: set[str]) -> None:
    world = find_world(exports, {"outbound-redis"}, None)
    assert world is not None
    assert world.is_old
    assert world.realloc == "canonical_abi_realloc"
    assert set(world.type.exports) == found


@pytest.mark.parametrize(
    ("module", "item", "interface", "function"),
    [
        ("key-value", "get-keys", "fermyon:spin/key-value", "get-keys"),
        ("llm", "infer", "fermyon:spin/llm", "infer"),
        ("outbound-mysql", "query", "fermyon:spin/mysql", "query"),
        ("outbound-pg", "execute", "fermyon:spin/postgres", "execute"),
        ("outbound-redis", "del", "fermyon:spin/redis", "del"),
        ("spin-config", "get-config", "fermyon:spin/config", "get-config"),
        ("sqlite", "close", "fermyon:spin/sqlite", "close"),
        ("wasi-outbound-http", "request", "fermyon:spin/http", "send-request"),
    ],
)
def test_names_of_old_bindings(module: str, item: str, interface: str, function: str) -> None:
    world = find_world({"handle-http-request"}, set(), None)
    assert world is not None
    assert world.imported(module, item) == Imported(interface, function, spin1.IMPORTS[interface].functions[function])
    assert world.imported(interface, function) is None, "newer names are not theirs"
    assert world.imported(module, "more") is None
    assert world.imported("more", item) is None


@pytest.mark.parametrize(
    ("exports", "imports"),
    [
        ({"fermyon:spin/inbound-http#handle-request"}, set()),
        ({"fermyon:spin/inbound-redis#handle-message"}, {"wasi_snapshot_preview1"}),
        ({"_start"}, {"fermyon:spin/key-value"}),
    ],
)
def test_spin_1(exports: set[str], imports: set[str]) -> None:
    world = find_world(exports, imports, None)
    assert world is not None
    assert (world.is_old, world.realloc) == (False, "cabi_realloc")
    assert set(world.type.exports) == {name.partition("#")[0] for name in exports if "#" in name}
    assert world.imported("fermyon:spin/redis", "get") is not None
    assert world.imported("fermyon:spin/redis@2.0.0", "get") is None
    assert world.exported("fermyon:spin/inbound-http", "handle-request") in {
        "fermyon:spin/inbound-http#handle-request",
    }


def test_exports_that_a_section_promises_and_the_module_does_not_have() -> None:
    run = InstanceType({"run": spin1.IMPORTS["fermyon:spin/config"].functions["get-config"]})
    declared = ComponentType({}, {"a:b/c": run, "a:b/d": run}, (), dict(run.functions))
    world = find_world({"a:b/c#run"}, set(), declared)
    assert world is not None
    assert (set(world.type.exports), set(world.type.functions)) == ({"a:b/c"}, set())
    world = find_world({"run"}, set(), declared)
    assert world is not None
    assert (set(world.type.exports), set(world.type.functions)) == (set(), {"run"})
    assert world.exported("", "run") == "run"


# --- by the section ---


def test_a_section_says_what_wasmtime_says_of_the_component(
    engine: Engine, module: bytes, guest_path: GuestPath
) -> None:
    """The same source as a component, of which wasmtime tells the types."""
    section = find_section(module)
    assert section is not None
    found = read_world(section)
    component = wasmtime.component.Component(engine.wasmtime, guest_path("streaming-c").read_bytes())
    told = describe(component, engine.wasmtime)
    assert set(told.imports) <= set(found.imports), "a component keeps only what its module imports"
    for name, interface in told.imports.items():
        for function, ty in interface.functions.items():
            ours = found.imports[name].functions[function]
            assert _named(ours, found) == _named(ty, told), f"{name}#{function}"
    assert set(found.exports) == set(told.exports)


def _named(ty: object, world: ComponentType) -> str:
    """A type with the names of its resources, whose numbers are each reader's own."""
    text = repr(ty)
    for number in range(len(world.resource_names), 0, -1):
        text = text.replace(f"resource={number},", f"resource={world.resource_names[number - 1][1]},")
    return text


def test_handles_that_a_module_drops(engine: Engine, module: bytes) -> None:
    world = world_of(wasmtime.Module(engine.wasmtime, module), module)
    assert world is not None
    drop = world.imported("wasi:io/streams@0.2.3", "[resource-drop]input-stream")
    assert isinstance(drop, Drop)
    assert world.type.resource_names[drop.resource - 1] == ("wasi:io/streams@0.2.3", "input-stream")
    assert world.imported("wasi:io/streams@0.2.3", "[resource-drop]other") is None


def test_modules_without_a_section(guest_path: GuestPath) -> None:
    assert find_section(guest_path("spin1").read_bytes()) is None
    assert find_section(b"(module)") is None
    assert find_section(b"") is None


def test_a_module_that_is_cut_off(module: bytes) -> None:
    refused = 0
    for length in range(8, len(module), 97):
        try:
            find_section(module[:length])
        except ComponentInvalid:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize("section", [b"", b"\0asm", b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0", b"x" * 100])
def test_sections_that_are_none(section: bytes) -> None:
    with pytest.raises(ComponentInvalid):
        read_world(section)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('(component (type (component)) (export "w" (type 0)))', "does not hold one world"),
        ('(component (type (component (type (component)) (type (component)))) (export "w" (type 0)))', "one world"),
        ('(component (import "a" (func)))', "does not hold one world"),
    ],
)
def test_components_that_are_no_world(text: str, error: str) -> None:
    with pytest.raises(ComponentInvalid, match=error):
        read_world(bytes(wasmtime.wat2wasm(text)))


def test_a_world_of_what_edged_does_not_have() -> None:
    inner = '(type (component (import "a:b/c" (instance (export "m" (core module))))))'
    with pytest.raises(ComponentUnsupported):
        read_world(bytes(wasmtime.wat2wasm(f'(component (type (component {inner})) (export "w" (type 0)))')))


def test_changed_sections_are_refused_or_read(module: bytes) -> None:
    section = find_section(module)
    assert section is not None
    rng = random.Random(7)
    refused = 0
    for _ in range(1_500):
        changed = bytearray(section)
        for _ in range(rng.randint(1, 3)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        try:
            read_world(bytes(changed))
        except EdgedError:
            refused += 1
    assert refused > 100


def test_nothing_of_it_is_a_programs(engine: Engine) -> None:
    assert world_of(wasmtime.Module(engine.wasmtime, "(module)"), b"(module)") is None
