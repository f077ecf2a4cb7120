"""What a core module may import and export."""

from __future__ import annotations

import pytest

from edged.errors import ComponentUnsupported
from edged.host.core_module import Signature
from tests.wasm.core.conftest import Link


def test_exports_are_functions_of_numbers(link: Link) -> None:
    program = link()
    add = program.export("add")
    assert add is not None
    assert add.signature == Signature("iI", "I")
    single = program.export("float")
    assert single is not None
    assert "f" in single.signature.params + single.signature.result
    for name in ("missing", "memory", "table", "two"):
        assert program.export(name) is None


@pytest.mark.parametrize(
    ("imported", "message"),
    [
        ('(import "host" "more" (func))', "imports host#more, which edged does not know"),
        ('(import "env" "note" (func (param i32)))', "imports env#note, which"),
        ('(import "a" "b" (func)) (import "c" "d" (memory 1))', "imports a#b, c#d, which"),
        ('(import "host" "note" (func (param i64)))', "host#note with another type"),
        ('(import "host" "note" (func (param i32) (result i32)))', "host#note with another type"),
        ('(import "host" "note" (memory 1))', "host#note with another type"),
        ('(import "host" "absent" (func (param f64)))', "host#absent with another type"),
        ('(import "host" "note" (func (param v128)))', "host#note with another type"),
        ('(type $t (func)) (import "host" "note" (func (param (ref null $t))))', "host#note with another type"),
        ('(import "host" "note" (func (param i32) (result anyref)))', "host#note with another type"),
    ],
)
def test_an_import_that_edged_does_not_have(link: Link, imported: str, message: str) -> None:
    with pytest.raises(ComponentUnsupported, match=message):
        link(f"(module {imported})")


def test_the_same_import_twice(link: Link) -> None:
    twice = '(import "host" "note" (func (param i32)))' * 2
    assert link(f'(module {twice} (func (export "_start")))').export("_start") == ("_start", ("", ""))


@pytest.mark.parametrize("other", ["(func (param i64))", "(memory 1)"])
@pytest.mark.parametrize("first", [True, False])
def test_the_same_import_twice_as_two_types(link: Link, other: str, *, first: bool) -> None:
    imports = [f'(import "host" "note" {other})', '(import "host" "note" (func (param i32)))']
    with pytest.raises(ComponentUnsupported, match="host#note with another type"):
        link(f"(module {' '.join(imports if first else reversed(imports))})")


@pytest.mark.parametrize("types", ["(param v128)", "(result v128)", "(param (ref null $t))", "(param i31ref)"])
def test_an_export_of_types_without_values_is_none(link: Link, types: str) -> None:
    assert link(f'(module (type $t (func)) (func (export "_start") {types} unreachable))').export("_start") is None
