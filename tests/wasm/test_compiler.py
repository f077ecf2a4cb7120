"""The compile child: what it refuses, and what it is kept from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edged.errors import CacheError, CompileFailed, ComponentInvalid, ComponentUnsupported, DigestMismatch
from edged.limits import MiB
from edged.wasm.compiler import COMPONENT, PLAN, Form, Kind, compile_in_child, kind_of
from edged.wasm.plan.artefact import read_artefact
from tests.wasm.conftest import ASYNC, GUEST


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files(folder: Path) -> dict[str, int]:
    """Sizes by name."""
    return {file.name: file.stat().st_size for file in folder.iterdir()}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


async def test_text_compiles(tmp_path: Path) -> None:
    await compile_in_child(GUEST, digest(GUEST), tmp_path)
    ((name, size),) = files(tmp_path).items()
    assert name == COMPONENT
    assert size > 10_000


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
    tmp_path: Path, output: Path, content: bytes, error: type[Exception], message: str
) -> None:
    source = tmp_path / "app.wasm"
    source.write_bytes(content)
    with pytest.raises(error, match=message):
        await compile_in_child(source, digest(source), output)
    assert not files(output)


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
    tmp_path: Path, output: Path, content: bytes, error: type[Exception], message: str
) -> None:
    source = tmp_path / "app.wasm"
    source.write_bytes(content)
    with pytest.raises(error, match=message):
        await compile_in_child(source, digest(source), output, kind="module")
    assert not files(output)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\0asm\x01\0\0\0", "module"),
        (b"\0asm\x0d\0\1\0", "component"),
        (b"(module)", "module"),
        (b" ;; (module)\n(; (module) ;)\n\t(component)", "component"),
        (b"(\n component (import", "component"),
        (b"(components)", "module"),
        (b";; (component", "module"),
        (b"\xff", "module"),
        (b"", "module"),
    ],
)
def test_the_kind_of_a_file_is_known_by_its_first_bytes(tmp_path: Path, content: bytes, kind: Kind) -> None:
    source = tmp_path / "app.wasm"
    source.write_bytes(content)
    assert kind_of(source) == kind


async def test_an_asynchronous_component_comes_to_a_plan(output: Path) -> None:
    await compile_in_child(ASYNC, digest(ASYNC), output)
    names = sorted(files(output))
    assert names.pop() == PLAN
    artefact = read_artefact((output / PLAN).read_bytes())
    assert artefact is not None
    assert names == sorted(set(artefact.modules))


async def test_any_component_comes_to_a_plan_if_asked(output: Path) -> None:
    await compile_in_child(GUEST, digest(GUEST), output, form="plan")
    assert PLAN in files(output)
    assert COMPONENT not in files(output)


NO_BODY = '(core module $m (func (export "f") (result i32)))'


@pytest.mark.parametrize("form", [None, "plan"])
@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (
            f'(component (import "f" (func async)) {NO_BODY} (core instance (instantiate $m)))',
            ComponentInvalid,
            "a core module of the component is not valid: .*type mismatch",
        ),
        (
            f'(component (import "f" (func async)) {NO_BODY})',
            ComponentInvalid,
            "a core module of the component is not valid",
        ),
        (
            '(component (import "f" (func async)) (core func (canon error-context.drop)))',
            ComponentUnsupported,
            "what edged does not run: .*error-context",
        ),
        ("(component (type (list u8 4)))", ComponentUnsupported, "what edged does not run: .*ixed-length lists"),
        (
            '(component (import "f" (func async)) (core func (canon resource.drop 7)))',
            ComponentInvalid,
            "unknown type 7",
        ),
        (f"(component {NO_BODY} (core instance (instantiate $m)))", ComponentInvalid, "type mismatch"),
    ],
    ids=["body", "body of an unused module", "error context", "fixed length", "async and invalid", "invalid"],
)
async def test_what_no_form_can_take_says_so(
    tmp_path: Path, output: Path, content: str, error: type[Exception], message: str, form: Form | None
) -> None:
    source = tmp_path / "app.wasm"
    source.write_text(content)
    with pytest.raises(error, match=rf"app\.wasm.*{message}"):
        await compile_in_child(source, digest(source), output, form=form)
    assert PLAN not in files(output)


async def test_a_file_that_changed_is_not_compiled(output: Path) -> None:
    with pytest.raises(DigestMismatch):
        await compile_in_child(GUEST, "0" * 64, output)


def bomb(path: Path, functions: int) -> Path:
    """A valid component whose compilation is work: many functions with many locals and branches."""
    body = "(local.set 0 (i64.mul (local.get 0) (local.get 1)))" * 200
    function = f"(func (param i64 i64) {body})"
    path.write_text(f"(component (core module $m {function * functions}) (core instance (instantiate $m)))")
    return path


@pytest.mark.parametrize("form", [None, "plan"])
async def test_a_full_disk_is_said_to_be_one(output: Path, form: Form | None) -> None:
    (output / (form or COMPONENT)).symlink_to("/dev/full")
    with pytest.raises(CacheError, match="No space left on device"):
        await compile_in_child(GUEST, digest(GUEST), output, form=form)


@pytest.mark.parametrize("form", [None, "plan"])
async def test_memory_is_limited(tmp_path: Path, output: Path, form: Form | None) -> None:
    source = bomb(tmp_path / "bomb.wat", 3_000)
    with pytest.raises(CompileFailed, match="more than 200 MiB of memory"):
        await compile_in_child(source, digest(source), output, form=form, memory_bytes_max=200 * MiB)


@pytest.mark.parametrize("form", [None, "plan"])
async def test_cpu_time_is_limited(tmp_path: Path, output: Path, form: Form | None) -> None:
    source = bomb(tmp_path / "bomb.wat", 4_000)
    with pytest.raises(CompileFailed, match="more than 1 s of CPU time"):
        await compile_in_child(source, digest(source), output, form=form, cpu_s_max=1)
