from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest
from wasmtime import component

from edged.errors import CompileFailed, ComponentInvalid, ComponentTooLarge, ComponentUnsupported, SourceMissing
from edged.limits import GuestLimits
from edged.wasm.cache import AotCache
from edged.wasm.compiler import Form
from edged.wasm.engine import Engine, fingerprint
from edged.wasm.loader import load_component, load_module
from edged.wasm.plan.artefact import PlanArtefact, read_artefact, write_artefact
from edged.wasm.plan.compiled import CompiledPlan
from tests.wasm.conftest import ASYNC, GUEST, SMALL_POOL


@pytest.fixture
def cache(tmp_path: Path) -> AotCache:
    return AotCache(tmp_path / "cache", fingerprint(SMALL_POOL))


async def test_a_component_is_compiled_once(engine: Engine, cache: AotCache) -> None:
    compiles: list[int] = []

    def on_compile() -> None:
        compiles.append(1)

    first = await load_component(engine, cache, GUEST, on_compile=on_compile)
    second = await load_component(engine, cache, GUEST, on_compile=on_compile)
    assert (first.from_cache, second.from_cache, len(compiles)) == (False, True, 1)
    assert first.digest == second.digest


async def test_a_core_module_is_compiled_once_and_never_taken_for_a_component(
    engine: Engine, cache: AotCache, tmp_path: Path
) -> None:
    source = tmp_path / "app.wat"
    source.write_text('(module (func (export "_start")))')
    first = await load_module(engine, cache, source)
    with pytest.raises(ComponentUnsupported, match="is a core module"):
        await load_component(engine, cache, source)
    second = await load_module(engine, cache, source)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert [exported.name for exported in second.compiled.exports] == ["_start"]


async def test_an_artefact_that_wasmtime_refuses_is_compiled_again(engine: Engine, cache: AotCache) -> None:
    """Rightly sealed, and still not for this engine: as after an upgrade that forgot to change the fingerprint."""
    first = await load_component(engine, cache, GUEST)
    put(cache, first.digest, b"\x7fELF of another engine")
    assert not (await load_component(engine, cache, GUEST)).from_cache
    assert (await load_component(engine, cache, GUEST)).from_cache


def put(cache: AotCache, key: str, content: bytes) -> None:
    with cache.reserve() as folder:
        file = folder / "artefact"
        file.write_bytes(content)
        cache.add({key: file})


def entry(cache: AotCache, key: str) -> Path:
    path = cache.find(key)
    assert path is not None
    return path


async def test_an_asynchronous_component_is_loaded_as_a_plan(engine: Engine, cache: AotCache) -> None:
    compiles: list[int] = []
    first = await load_component(engine, cache, ASYNC, on_compile=lambda: compiles.append(1))
    second = await load_component(engine, cache, ASYNC, on_compile=lambda: compiles.append(1))
    assert (first.from_cache, second.from_cache, len(compiles)) == (False, True, 1)
    for loaded in (first.compiled, second.compiled):
        assert isinstance(loaded, CompiledPlan)
        assert list(loaded.plan.exports) == ["test:guest/run"]
        assert len(loaded.modules) == len(loaded.plan.steps) == 3


async def test_the_same_component_has_both_forms(engine: Engine, cache: AotCache) -> None:
    usual = await load_component(engine, cache, GUEST)
    plan = await load_component(engine, cache, GUEST, form="plan")
    assert isinstance(usual.compiled, component.Component)
    assert isinstance(plan.compiled, CompiledPlan)
    assert not plan.from_cache, "each is compiled on its own"
    assert (await load_component(engine, cache, GUEST)).from_cache
    assert (await load_component(engine, cache, GUEST, form="plan")).from_cache


async def test_steps_that_come_to_the_same_share_a_module(engine: Engine, cache: AotCache) -> None:
    """async.wat instantiates one module twice with the same imports, and once with others."""
    loaded = (await load_component(engine, cache, ASYNC, form="plan")).compiled
    first, second, third = loaded.modules
    assert first is second
    assert first is not third


async def modules_of(engine: Engine, cache: AotCache) -> list[str]:
    """Keys of the core modules of async.wat, which is then in the cache."""
    loaded = await load_component(engine, cache, ASYNC)
    artefact = read_artefact(entry(cache, f"{loaded.digest} plan").read_bytes())
    assert artefact is not None
    return [f"{name} core" for name in artefact.modules]


async def test_a_plan_without_one_of_its_modules_is_compiled_again(engine: Engine, cache: AotCache) -> None:
    cache.remove((await modules_of(engine, cache))[-1])
    assert not (await load_component(engine, cache, ASYNC)).from_cache
    assert (await load_component(engine, cache, ASYNC)).from_cache


async def test_a_plan_with_a_damaged_module_is_compiled_again(engine: Engine, cache: AotCache) -> None:
    path = entry(cache, (await modules_of(engine, cache))[0])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert not (await load_component(engine, cache, ASYNC)).from_cache
    assert (await load_component(engine, cache, ASYNC)).from_cache


async def test_a_plan_with_a_module_that_wasmtime_refuses_is_compiled_again(engine: Engine, cache: AotCache) -> None:
    put(cache, (await modules_of(engine, cache))[0], b"\x7fELF of another engine")
    assert not (await load_component(engine, cache, ASYNC)).from_cache
    assert (await load_component(engine, cache, ASYNC)).from_cache


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"\xc1 of another version of edged",
        lambda good: msgpack.packb([99, *good]),
        lambda good: write_artefact(good._replace(wiring="of other trampolines")),
        lambda good: write_artefact(good._replace(skeleton=b"\0asm\x0d\0\1\0\xff")),
    ],
    ids=["no msgpack", "version", "wiring", "skeleton"],
)
async def test_a_plan_of_another_edged_is_made_again(
    engine: Engine, cache: AotCache, damage: Callable[[PlanArtefact], bytes]
) -> None:
    first = await load_component(engine, cache, ASYNC)
    key = f"{first.digest} plan"
    good = read_artefact(entry(cache, key).read_bytes())
    assert good is not None
    put(cache, key, damage(good))
    assert not (await load_component(engine, cache, ASYNC)).from_cache
    assert (await load_component(engine, cache, ASYNC)).from_cache


@pytest.mark.parametrize("form", [None, "plan"])
@pytest.mark.parametrize(("more", "loads"), [(0, True), (1, False)], ids=["at the limit", "one over"])
async def test_one_core_module_may_have_all_memories_and_tables_of_its_component(
    engine: Engine, cache: AotCache, tmp_path: Path, form: Form | None, more: int, loads: bool
) -> None:
    """The pool counts them for each module too, and refuses what it has no room for before anything runs."""
    limits = GuestLimits()
    source = tmp_path / "app.wat"
    inside = "(memory 0)" * limits.memory_count_max + "(table 0 funcref)" * (limits.table_count_max + more)
    source.write_text(f"(component (core module $m {inside}) (core instance (instantiate $m)))")
    if loads:
        await load_component(engine, cache, source, form=form)
    else:
        with pytest.raises(CompileFailed, match=r"cannot be loaded: .*limit of 64"):
            await load_component(engine, cache, source, form=form)


async def test_a_failed_compile_leaves_nothing(engine: Engine, cache: AotCache, tmp_path: Path) -> None:
    source = tmp_path / "app.wat"
    source.write_text("(component")
    with pytest.raises(ComponentInvalid):
        await load_component(engine, cache, source)
    assert sorted(file.name for file in (tmp_path / "cache").iterdir()) == ["key"]


async def test_a_missing_file(engine: Engine, cache: AotCache, tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="does not exist"):
        await load_component(engine, cache, tmp_path / "no.wasm")


async def test_a_folder_is_not_a_component(engine: Engine, cache: AotCache, tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="cannot be read"):
        await load_component(engine, cache, tmp_path)


async def test_size_limit(engine: Engine, cache: AotCache) -> None:
    size = GUEST.stat().st_size
    await load_component(engine, cache, GUEST, bytes_max=size)
    with pytest.raises(ComponentTooLarge):
        await load_component(engine, cache, GUEST, bytes_max=size - 1)
