from __future__ import annotations

from pathlib import Path

import pytest

from edged.errors import ComponentInvalid, ComponentTooLarge, ComponentUnsupported, SourceMissing
from edged.wasm.cache import AotCache
from edged.wasm.engine import Engine, fingerprint
from edged.wasm.loader import load_component, load_module
from tests.wasm.conftest import GUEST, SMALL_POOL


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
    written = cache.reserve(first.digest)
    written.write_bytes(b"\x7fELF of another engine")
    cache.add(first.digest, written)
    assert not (await load_component(engine, cache, GUEST)).from_cache
    assert (await load_component(engine, cache, GUEST)).from_cache


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
