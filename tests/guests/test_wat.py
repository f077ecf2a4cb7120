"""The guests of WebAssembly text: valid, with the imports and exports that their names promise."""

from __future__ import annotations

import pytest
import wasmtime
from wasmtime import _ffi, component

from tests.guests import wat

HANDLER = "wasi:http/incoming-handler@0.2.0"
SHARED_IMPORTS = {
    "wasi:cli/stderr@0.2.0",
    "wasi:clocks/monotonic-clock@0.2.0",
    "wasi:http/types@0.2.0",
    "wasi:io/error@0.2.0",
    "wasi:io/poll@0.2.0",
    "wasi:io/streams@0.2.0",
}
OWN_IMPORTS = {
    "exit": {"wasi:cli/exit@0.2.0"},
    "fetch": {"wasi:http/outgoing-handler@0.2.0"},
    "key-value": {"fermyon:spin/key-value@2.0.0"},
    "region": {"fermyon:spin/variables@2.0.0"},
    "unknown-import": {"acme:thing/x"},
}
NOT_HANDLERS = {"cron", "no-handler", "core-module", "syntax-error"}
HANDLER_WASI3 = "wasi:http/handler@0.3.0"
SHARED_IMPORTS_WASI3 = {"wasi:clocks/monotonic-clock@0.3.0", "wasi:http/types@0.3.0"}
OWN_IMPORTS_WASI3 = {"proxy3": {"wasi:http/client@0.3.0"}}
WASI3 = {name for name in wat.names() if name.endswith("3")}


@pytest.fixture(scope="module")
def engine() -> wasmtime.Engine:
    return wasmtime.Engine()


@pytest.fixture(scope="module")
def engine_wasi3() -> wasmtime.Engine:
    """One that takes the components of WASI 0.3 as valid; it could not run them."""
    config = wasmtime.Config()
    _ffi.wasmtime_config_concurrency_support_set(config.ptr(), True)
    _ffi.wasmtime_config_wasm_component_model_async_set(config.ptr(), True)
    _ffi.wasmtime_config_wasm_component_model_more_async_builtins_set(config.ptr(), True)
    return wasmtime.Engine(config)


def imports_of(engine: wasmtime.Engine, content: bytes) -> set[str]:
    return set(component.Component(engine, content).type.imports(engine))


def exports_of(engine: wasmtime.Engine, content: bytes) -> set[str]:
    return set(component.Component(engine, content).type.exports(engine))


@pytest.mark.parametrize("name", sorted(set(wat.names()) - NOT_HANDLERS - WASI3 - {"hello"}))
def test_a_guest_is_a_handler_and_imports_what_all_share_and_its_own(engine: wasmtime.Engine, name: str) -> None:
    content = wat.wasm(name)
    assert exports_of(engine, content) == {HANDLER}
    assert imports_of(engine, content) == SHARED_IMPORTS | OWN_IMPORTS.get(name, set())


@pytest.mark.parametrize("name", sorted(WASI3))
def test_a_guest_of_wasi_0_3_is_a_handler_and_imports_what_all_share_and_its_own(
    engine: wasmtime.Engine, engine_wasi3: wasmtime.Engine, name: str
) -> None:
    content = wat.wasm(name)
    with pytest.raises(wasmtime.WasmtimeError, match="async"):
        component.Component(engine, content)
    assert exports_of(engine_wasi3, content) == {HANDLER_WASI3}
    assert imports_of(engine_wasi3, content) == SHARED_IMPORTS_WASI3 | OWN_IMPORTS_WASI3.get(name, set())


def test_hello_stands_alone(engine: wasmtime.Engine) -> None:
    content = (wat.FOLDER / "hello.wat").read_bytes()
    assert exports_of(engine, content) == {HANDLER}
    assert imports_of(engine, content) == {"wasi:io/error@0.2.0", "wasi:io/streams@0.2.0", "wasi:http/types@0.2.0"}


def test_no_handler_is_a_component_without_one(engine: wasmtime.Engine) -> None:
    assert exports_of(engine, wat.wasm("no-handler")) == {"add"}


def test_core_module_is_a_module_and_no_component(engine: wasmtime.Engine) -> None:
    content = wat.wasm("core-module")
    wasmtime.Module(engine, content)
    with pytest.raises(wasmtime.WasmtimeError):
        component.Component(engine, content)


def test_syntax_error_is_not_text(engine: wasmtime.Engine) -> None:
    with pytest.raises(wasmtime.WasmtimeError, match="expected valid component field"):
        wat.wasm("syntax-error")


def test_corrupt_is_a_component_by_its_first_bytes_only(engine: wasmtime.Engine) -> None:
    assert wat.corrupt()[:8] == wat.wasm("hello")[:8]
    with pytest.raises(wasmtime.WasmtimeError):
        component.Component(engine, wat.corrupt())


@pytest.mark.parametrize("size_bytes", [20_000, 70_000, 3_000_000])
def test_a_guest_of_a_size_has_it_and_is_valid(engine: wasmtime.Engine, size_bytes: int) -> None:
    content = wat.with_size(size_bytes)
    assert len(content) == size_bytes
    assert exports_of(engine, content) == {HANDLER}


# --- as much of something as was asked for: a store that allows it takes it, one that allows one less does not ---


def instantiate(content: bytes, **limits: int) -> None:
    engine = wasmtime.Engine()
    guest = component.Component(engine, content)
    linker = component.Linker(engine)
    linker.define_unknown_imports_as_traps(guest)
    store = wasmtime.Store(engine)
    store.set_limits(**limits)
    linker.instantiate(store, guest)


@pytest.mark.parametrize(
    ("make", "limit", "unit"),
    [
        (wat.with_memories, "memories", 1),
        (wat.with_tables, "tables", 1),
        (wat.with_table_elements, "table_elements", 1),
        (wat.with_instances, "instances", 1),
        (wat.with_memory_pages, "memory_size", 65_536),
    ],
)
def test_a_guest_with_as_much_as_asked_for_and_no_more(make: object, limit: str, unit: int) -> None:
    assert callable(make)
    content = make(20)
    instantiate(content, **{limit: 20 * unit})
    with pytest.raises(wasmtime.WasmtimeError):
        instantiate(content, **{limit: 20 * unit - 1})


def test_cron(engine: wasmtime.Engine) -> None:
    """The plugin's world: its types are an interface of nothing else, and its function stands outside of any."""
    content = wat.wasm("cron")
    assert imports_of(engine, content) == {"fermyon:spin-cron/cron-types@2.0.0"}
    assert exports_of(engine, content) == {"handle-cron-event"}
