"""From a file to a compiled component or core module in this engine: look in the cache, or compile and keep."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import trio
import wasmtime
from wasmtime import component

from edged.errors import CompileFailed, ComponentTooLarge, SourceMissing
from edged.limits import COMPONENT_BYTES_MAX, MiB
from edged.wasm.cache import AotCache
from edged.wasm.compiler import Kind, compile_in_child
from edged.wasm.engine import Engine

CompiledT = TypeVar("CompiledT", component.Component, wasmtime.Module)


class Loaded(NamedTuple, Generic[CompiledT]):
    """A compiled component or core module, and the sha256 (hex) of the file it came from."""

    compiled: CompiledT
    digest: str
    from_cache: bool


LoadedComponent = Loaded[component.Component]
LoadedModule = Loaded[wasmtime.Module]


async def load_component(
    engine: Engine,
    cache: AotCache,
    source: Path,
    *,
    on_compile: Callable[[], None] = lambda: None,
    bytes_max: int = COMPONENT_BYTES_MAX,
) -> LoadedComponent:
    """Load a component, compiling it if the cache has no artefact of it.

    Args:
        on_compile: called when a compile begins, to show it to whoever waits.

    Raises:
        SourceMissing, ComponentTooLarge, ComponentInvalid, ComponentUnsupported, CompileFailed, CacheError,
        DigestMismatch.
    """
    digest = await trio.to_thread.run_sync(_digest, source, bytes_max)

    def load(path: Path) -> component.Component:
        return component.Component.deserialize_file(engine.wasmtime, str(path))

    compiled, from_cache = await _load(
        cache, digest, source, digest, load=load, kind="component", on_compile=on_compile
    )
    return Loaded(compiled, digest, from_cache)


async def load_module(
    engine: Engine,
    cache: AotCache,
    source: Path,
    *,
    on_compile: Callable[[], None] = lambda: None,
    bytes_max: int = COMPONENT_BYTES_MAX,
) -> LoadedModule:
    """Load a core module. As `load_component`."""
    digest = await trio.to_thread.run_sync(_digest, source, bytes_max)

    def load(path: Path) -> wasmtime.Module:
        return wasmtime.Module.deserialize_file(engine.wasmtime, str(path))

    # A key of its own: what the same bytes would come to as a component is an error, and not this artefact.
    compiled, from_cache = await _load(
        cache, f"{digest} module", source, digest, load=load, kind="module", on_compile=on_compile
    )
    return Loaded(compiled, digest, from_cache)


async def _load(
    cache: AotCache,
    key: str,
    source: Path,
    digest: str,
    *,
    load: Callable[[Path], CompiledT],
    kind: Kind,
    on_compile: Callable[[], None],
) -> tuple[CompiledT, bool]:
    """What was compiled, and whether it was found in the cache, where `key` names it."""
    found = await trio.to_thread.run_sync(cache.find, key)
    if found is not None:
        try:
            return load(found), True
        except wasmtime.WasmtimeError:
            cache.remove(key)
    on_compile()
    written = cache.reserve(key)
    try:
        await compile_in_child(source, digest, written, kind=kind)
        path = await trio.to_thread.run_sync(cache.add, key, written)
    finally:
        written.unlink(missing_ok=True)
    try:
        return load(path), False
    except wasmtime.WasmtimeError as error:
        cache.remove(key)
        raise CompileFailed(f"{source.name} compiled, but cannot be loaded: {error}") from None


def _digest(source: Path, bytes_max: int) -> str:
    try:
        size = source.stat().st_size
        if size > bytes_max:
            raise ComponentTooLarge(
                f"{source.name} has {size / MiB:.1f} MiB, and a component may have {bytes_max // MiB} MiB"
            )
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise SourceMissing(f"the component {source} does not exist") from None
    except OSError as error:
        raise SourceMissing(f"the component {source} cannot be read: {error.strerror}") from error
