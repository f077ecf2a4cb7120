"""From a file to a compiled component or core module in this engine: look in the cache, or compile and keep."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Literal, NamedTuple, TypeVar, overload

import trio
import wasmtime
from wasmtime import component

from edged.errors import CompileFailed, ComponentTooLarge, EdgedError, SourceMissing
from edged.limits import COMPONENT_BYTES_MAX, MiB
from edged.wasm.cache import AotCache
from edged.wasm.compiler import COMPONENT, MODULE, PLAN, Form, Kind, compile_in_child
from edged.wasm.engine import Engine
from edged.wasm.plan.artefact import read_artefact
from edged.wasm.plan.compiled import CompiledPlan, wiring
from edged.wasm.plan.elaborate import build_plan
from edged.wasm.trap import reason

CompiledT = TypeVar("CompiledT", component.Component, wasmtime.Module, CompiledPlan)


class Loaded(NamedTuple, Generic[CompiledT]):
    """A compiled component or core module, and the sha256 (hex) of the file it came from."""

    compiled: CompiledT
    digest: str
    from_cache: bool


LoadedComponent = Loaded[component.Component]
LoadedPlan = Loaded[CompiledPlan]
LoadedModule = Loaded[wasmtime.Module]


@overload
async def load_component(
    engine: Engine,
    cache: AotCache,
    source: Path,
    *,
    form: None = None,
    on_compile: Callable[[], None] = ...,
    bytes_max: int = ...,
) -> LoadedComponent | LoadedPlan: ...


@overload
async def load_component(
    engine: Engine,
    cache: AotCache,
    source: Path,
    *,
    form: Literal["plan"],
    on_compile: Callable[[], None] = ...,
    bytes_max: int = ...,
) -> LoadedPlan: ...


async def load_component(
    engine: Engine,
    cache: AotCache,
    source: Path,
    *,
    form: Form | None = None,
    on_compile: Callable[[], None] = lambda: None,
    bytes_max: int = COMPONENT_BYTES_MAX,
) -> LoadedComponent | LoadedPlan:
    """Load a component, compiling it if the cache has no artefact of it.

    Args:
        form: "plan" for a component on the core API; None: on the C API, but where it needs what that does not have.
        on_compile: called when a compile begins, to show it to whoever waits.

    Raises:
        SourceMissing, ComponentTooLarge, ComponentInvalid, ComponentUnsupported, CompileFailed, CacheError,
        DigestMismatch.
    """
    digest = await trio.to_thread.run_sync(_digest, source, bytes_max)
    shelf = _Shelf(engine, cache, digest)

    def look() -> component.Component | CompiledPlan | None:
        found = shelf.find_component() if form is None else None
        return shelf.find_plan() if found is None else found

    compiled: component.Component | CompiledPlan
    compiled, from_cache = await _load(shelf, source, look, kind="component", form=form, on_compile=on_compile)
    if isinstance(compiled, CompiledPlan):
        return Loaded(compiled, digest, from_cache)
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
    shelf = _Shelf(engine, cache, digest)
    compiled, from_cache = await _load(
        shelf, source, shelf.find_module, kind="module", form=None, on_compile=on_compile
    )
    return Loaded(compiled, digest, from_cache)


FoundT = TypeVar("FoundT")


async def _load(
    shelf: _Shelf,
    source: Path,
    look: Callable[[], FoundT | None],
    *,
    kind: Kind,
    form: Form | None,
    on_compile: Callable[[], None],
) -> tuple[FoundT, bool]:
    """What was compiled, and whether the cache had it.

    Args:
        look: for it on the shelf.
    """
    found = await trio.to_thread.run_sync(look)
    if found is not None:
        return found, True
    on_compile()
    with shelf.cache.reserve() as folder:
        await compile_in_child(source, shelf.digest, folder, kind=kind, form=form)
        await trio.to_thread.run_sync(shelf.add, folder)
    found = await trio.to_thread.run_sync(look)
    if found is None:
        raise CompileFailed(f"{source.name} compiled, but cannot be loaded: {shelf.refusal}")
    return found, False


class _Shelf:
    """What the cache has of one source, by the sha256 of which all of it is named.

    A key says what the source came to: what its bytes are as a component is an error, and no core module. The core
    modules of plans are named by what they are themselves: apps of one SDK have some in common.
    """

    def __init__(self, engine: Engine, cache: AotCache, digest: str) -> None:
        self.cache = cache
        self.digest = digest
        self.refusal = "it is not in the cache"
        """Why the engine did not take the last thing that was found."""
        self._engine = engine.wasmtime

    def find_component(self) -> component.Component | None:
        return self._load(self._key(COMPONENT), component.Component.deserialize_file)

    def find_module(self) -> wasmtime.Module | None:
        return self._load(self._key(MODULE), wasmtime.Module.deserialize_file)

    def find_plan(self) -> CompiledPlan | None:
        """The plan, if all of its modules are there and it is still the one that they were made for."""
        path = self.cache.find(self._key(PLAN))
        artefact = None if path is None else read_artefact(path.read_bytes())
        if artefact is None:
            return None
        loaded: dict[str, wasmtime.Module] = {}
        for name in artefact.modules:
            if name not in loaded:
                module = self._load(self._key(name), wasmtime.Module.deserialize_file)
                if module is None:
                    return None
                loaded[name] = module
        try:
            plan = build_plan(artefact.skeleton)
        except EdgedError:  # another version of edged took it: this one's compiler will say why it does not
            return None
        if wiring(plan) != artefact.wiring:
            return None
        return CompiledPlan(plan, tuple(loaded[name] for name in artefact.modules))

    def add(self, folder: Path) -> None:
        """Take in what the compiler left in `folder`; the plan last, since it needs the others."""
        files = sorted(folder.iterdir(), key=lambda file: file.name == PLAN)
        self.cache.add({self._key(file.name): file for file in files})

    def _key(self, name: str) -> str:
        if name in (MODULE, PLAN):
            return f"{self.digest} {name}"
        return self.digest if name == COMPONENT else f"{name} core"

    def _load(self, key: str, deserialize: Callable[[wasmtime.Engine, str], FoundT]) -> FoundT | None:
        path = self.cache.find(key)
        if path is None:
            return None
        try:
            return deserialize(self._engine, str(path))
        except wasmtime.WasmtimeError as error:
            self.refusal = reason(str(error))
            self.cache.remove(key)
            return None


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
