"""What a core module may import and export."""

from __future__ import annotations

import pytest

from edged.errors import ComponentUnsupported
from edged.host.core_module import Signature
from tests.wasm.core.conftest import Link


def test_exports_are_functions_of_integers(link: Link) -> None:
    program = link()
    add = program.export("add")
    assert add is not None
    assert add.signature == Signature("iI", "I")
    for name in ("missing", "memory", "table", "float", "two"):
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
        ('(import "host" "absent" (func (param f32)))', "host#absent with another type"),
    ],
)
def test_an_import_that_edged_does_not_have(link: Link, imported: str, message: str) -> None:
    with pytest.raises(ComponentUnsupported, match=message):
        link(f"(module {imported})")


def test_the_same_import_twice(link: Link) -> None:
    twice = '(import "host" "note" (func (param i32)))' * 2
    assert link(f'(module {twice} (func (export "_start")))').export("_start") == ("_start", ("", ""))
