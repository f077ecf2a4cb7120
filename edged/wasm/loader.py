"""From a component's file to a compiled component in this engine: look in the cache, or compile and keep."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import trio
import wasmtime
from wasmtime import component

from edged.errors import CompileFailed, ComponentTooLarge, SourceMissing
from edged.limits import COMPONENT_BYTES_MAX, MiB
from edged.wasm.cache import AotCache
from edged.wasm.compiler import compile_in_child
from edged.wasm.engine import Engine


class LoadedComponent(NamedTuple):
    """A compiled component and the sha256 (hex) of the file it came from."""

    compiled: component.Component
    digest: str
    from_cache: bool


async def load_component(
    engine: Engine,
    cache: AotCache,
    source: Path,
    *,
    on_compile: Callable[[], None] = lambda: None,
    bytes_max: int = COMPONENT_BYTES_MAX,
) -> LoadedComponent:
    """Load `source`, compiling it if the cache has no artefact of it.

    Args:
        on_compile: called when a compile begins, to show it to whoever waits.

    Raises:
        SourceMissing, ComponentTooLarge, ComponentInvalid, ComponentUnsupported, CompileFailed, CacheError,
        DigestMismatch.
    """
    digest = await trio.to_thread.run_sync(_digest, source, bytes_max)
    found = await trio.to_thread.run_sync(cache.find, digest)
    if found is not None:
        try:
            return LoadedComponent(_map(engine, found), digest, from_cache=True)
        except wasmtime.WasmtimeError:
            cache.remove(digest)
    on_compile()
    written = cache.reserve(digest)
    try:
        await compile_in_child(source, digest, written)
        path = await trio.to_thread.run_sync(cache.add, digest, written)
    finally:
        written.unlink(missing_ok=True)
    try:
        return LoadedComponent(_map(engine, path), digest, from_cache=False)
    except wasmtime.WasmtimeError as error:
        cache.remove(digest)
        raise CompileFailed(f"{source.name} compiled, but cannot be loaded: {error}") from None


def _map(engine: Engine, path: Path) -> component.Component:
    return component.Component.deserialize_file(engine.wasmtime, str(path))


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
