"""The compile child: what it refuses, and what it is kept from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edged.errors import CompileFailed, ComponentInvalid, ComponentUnsupported, DigestMismatch
from edged.limits import MiB
from edged.wasm.compiler import Kind, compile_in_child, kind_of
from tests.wasm.conftest import GUEST


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_text_compiles(tmp_path: Path) -> None:
    output = tmp_path / "guest.cwasm"
    await compile_in_child(GUEST, digest(GUEST), output)
    assert output.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"\0asm\x0d\0\1\0\xff", ComponentInvalid, "not a valid component"),
        (b"\0asm\x01\0\0\0", ComponentUnsupported, "core module"),
        (b"(component (import", ComponentInvalid, "nor valid WAT text"),
        (b"(module)", ComponentUnsupported, "core module"),
        (b"\xff\xfe\0", ComponentInvalid, "neither a WebAssembly binary nor text"),
        (b"", ComponentInvalid, r"nor valid WAT text: .*line 1, column 1"),
    ],
    ids=["corrupt", "core module", "wat syntax", "core module text", "neither", "empty"],
)
async def test_what_is_not_a_component_says_so(
    tmp_path: Path, content: bytes, error: type[Exception], message: str
) -> None:
    source = tmp_path / "app.wasm"
    source.write_bytes(content)
    with pytest.raises(error, match=message):
        await compile_in_child(source, digest(source), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"\0asm\x01\0\0\0\xff", ComponentInvalid, "not a valid core module"),
        (b"\0asm\x0d\0\1\0", ComponentUnsupported, "is a component, not a core module"),
        (b"(component)", ComponentUnsupported, "is a component, not a core module"),
        (b"(module (func (result i32)))", ComponentInvalid, "not a valid core module"),
        (b"(module (func", ComponentInvalid, "nor valid WAT text"),
        (b"", ComponentInvalid, "nor valid WAT text"),
    ],
    ids=["corrupt", "component", "component text", "type error", "wat syntax", "empty"],
)
async def test_what_is_not_a_core_module_says_so(
    tmp_path: Path, content: bytes, error: type[Exception], message: str
) -> None:
    source = tmp_path / "app.wasm"
    source.write_bytes(content)
    with pytest.raises(error, match=message):
        await compile_in_child(source, digest(source), tmp_path / "out", kind="module")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\0asm\x01\0\0\0", "module"),
        (b"\0asm\x0d\0\1\0", "component"),
        (b"(module)", "module"),
        (b" ;; (module)\n(; (module) ;)\n\t(component)", "component"),
        (b";; (component", "module"),
        (b"\xff", "module"),
        (b"", "module"),
    ],
)
def test_the_kind_of_a_file_is_known_by_its_first_bytes(tmp_path: Path, content: bytes, kind: Kind) -> None:
    source = tmp_path / "app.wasm"
    source.write_bytes(content)
    assert kind_of(source) == kind


async def test_a_file_that_changed_is_not_compiled(tmp_path: Path) -> None:
    with pytest.raises(DigestMismatch):
        await compile_in_child(GUEST, "0" * 64, tmp_path / "out")


def bomb(path: Path, functions: int) -> Path:
    """A valid component whose compilation is work: many functions with many locals and branches."""
    body = "(local.set 0 (i64.mul (local.get 0) (local.get 1)))" * 200
    function = f"(func (param i64 i64) {body})"
    path.write_text(f"(component (core module {function * functions}))")
    return path


async def test_memory_is_limited(tmp_path: Path) -> None:
    source = bomb(tmp_path / "bomb.wat", 3_000)
    with pytest.raises(CompileFailed, match="more than 200 MiB of memory"):
        await compile_in_child(source, digest(source), tmp_path / "out", memory_bytes_max=200 * MiB)


async def test_cpu_time_is_limited(tmp_path: Path) -> None:
    source = bomb(tmp_path / "bomb.wat", 4_000)
    with pytest.raises(CompileFailed, match="more than 1 s of CPU time"):
        await compile_in_child(source, digest(source), tmp_path / "out", cpu_s_max=1)
