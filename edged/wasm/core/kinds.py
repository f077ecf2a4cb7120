"""Which kind of guest a core module is.

| kind | told by | world |
|---|---|---|
| a program over preview 1, for CGI | none of what follows | None |
| Spin 1.x | imports or exports of `fermyon:spin/...` | `edged.wasm.core.spin1` |
| wit-bindgen 0.2 | exports `handle-http-request` or `handle-redis-message` | the same under older names |
| any other bindings, WASI 0.2 | a `component-type` section | what the section says |
"""

from __future__ import annotations

import wasmtime

from edged.wasm.core.component_type import find_section, read_world
from edged.wasm.core.world import World, find_world


def world_of(compiled: wasmtime.Module, module: bytes) -> World | None:
    """The world of a core module; None for a program that has none.

    Args:
        module: the bytes that it was compiled from. Of text none but the two kinds without a section are told.

    Raises:
        ComponentInvalid, ComponentUnsupported, ComponentTooLarge: its component-type section is not one, or has what
            edged does not do.
    """
    section = find_section(module)
    declared = None if section is None else read_world(section)
    exports = {exported.name for exported in compiled.exports}
    imports = {imported.module for imported in compiled.imports}
    return find_world(exports, imports, declared)
