"""Core modules that call everything that they can with numbers that mean nothing. Only they suffer from it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import wasmtime

from edged.errors import GuestError
from edged.host.http.outbound import Outgoing
from edged.host.registry import HostConfig, core_modules, spin1_interfaces, spin_interfaces, wasi_interfaces
from edged.host.sqlite.database import Database
from edged.wasm.core import spin1
from edged.wasm.core.canonical import signature_of
from edged.wasm.core.component_type import find_section, read_world
from edged.wasm.core.instance import CoreInstance
from edged.wasm.core.program import CoreProgram
from edged.wasm.core.world import World
from edged.wasm.engine import Engine
from edged.wasm.types import ComponentType
from tests.conftest import GuestPath
from tests.host.http.transports import FakeTransport, grant
from tests.host.key_value.memory import MemoryKeyValue
from tests.wasm.hosts import invocation

TYPES = {"i": "i32", "I": "i64", "f": "f32", "F": "f64"}
NUMBERS = (0, 1, 2, 3, 8, 16, 64, 1024, 4096, 65_528, 65_532, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1)
CALLS = 4  # of each function, with other numbers each time
# Waiting is for ever where nothing comes, which is no error.
SKIPPED = ("block", "blocking", "poll", "subscribe")


@pytest.fixture
def host(tmp_path: Path, nursery: trio.Nursery) -> Iterator[HostConfig]:
    database = Database(tmp_path / "a.db")
    (tmp_path / "a").write_bytes(b"content")
    network = FakeTransport()
    network.answer.set()
    yield HostConfig(
        environment={"a": "b"},
        files={"/a": tmp_path / "a"},
        key_value={"": MemoryKeyValue()},
        databases={"": database},
        grant=grant("*://*:*"),
        outgoing=Outgoing(network, nursery),
        variables={"a": "b"},
    )
    database.close()


def _imports(world: ComponentType) -> list[tuple[str, str, str, str]]:
    """Module, name, and letters of parameters and result."""
    found = []
    for interface, ty in world.imports.items():
        for name, function in ty.functions.items():
            if not any(part in name for part in SKIPPED):
                found.append((interface, name, *signature_of(function)))
        found += [(interface, f"[resource-drop]{name}", "i", "") for name in ty.resources]
    return found


def _module(imports: list[tuple[str, str, str, str]], rng: random.Random) -> str:
    """A function for each call. Memory holds small numbers, so that what is pointed to may be something."""
    declared, functions = [], []
    for index, (module, name, params, result) in enumerate(imports):
        types = " ".join(TYPES[letter] for letter in params)
        answer = f"(result {TYPES[result]})" if result else ""
        declared.append(f'(import "{module}" "{name}" (func $f{index} (param {types}) {answer}))')
        for call in range(CALLS):
            arguments = " ".join(f"({TYPES[letter]}.const {rng.choice(NUMBERS)})" for letter in params)
            code = f"(call $f{index} {arguments})"
            functions.append(f'(func (export "{index} {call}") (call $make) {f"(drop {code})" if result else code})')
    # Some handles that are there.
    made = [index for index, each in enumerate(imports) if each[1].startswith("[constructor]") and not each[2]]
    make = " ".join(f"(drop (call $f{index}))" for index in made)
    content = "".join(f"\\{rng.choice((0, 0, 0, 1, 2, 4, 8, 97, 255)):02x}" for _ in range(4096))
    return f"""(module {" ".join(declared)} (memory (export "memory") 1) (data (i32.const 0) "{content}")
      (func $make {make})
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8192))
      {" ".join(functions)})"""


async def _run(engine: Engine, host: HostConfig, world: ComponentType, seed: int) -> int:
    imports = _imports(world)
    compiled = wasmtime.Module(engine.wasmtime, _module(imports, random.Random(seed)))
    interfaces = [*wasi_interfaces(host), *spin_interfaces(host), *spin1_interfaces(host)]
    program = CoreProgram(
        engine, compiled, core_modules(host), world=World(world), interfaces=interfaces, refusable=("",)
    )
    before, calls = engine.instances, 0
    for index in range(len(imports)):
        for call in range(CALLS):
            export = program.export(f"{index} {call}")
            assert export is not None
            instance = CoreInstance(program, invocation())
            try:
                await instance.instantiate()
                await instance.call(export)
            except GuestError:
                pass
            finally:
                instance.close()
            calls += 1
    assert engine.instances == before
    return calls


@pytest.mark.parametrize("seed", range(3))
async def test_spin_1(engine: Engine, host: HostConfig, seed: int) -> None:
    assert await _run(engine, host, ComponentType(spin1.IMPORTS, {}, ()), seed) > 100


@pytest.mark.parametrize("seed", range(3))
async def test_wasi_0_2_and_spin_2(engine: Engine, host: HostConfig, seed: int, guest_path: GuestPath) -> None:
    section = find_section(guest_path("wasip1-p2").read_bytes())
    assert section is not None
    assert await _run(engine, host, read_world(section), seed) > 200
