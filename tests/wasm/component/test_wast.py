"""The runner itself: what is wrong is seen, and where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio.testing

from edged.host.interface import Err, Ok, Some
from edged.wasm.engine import Engine
from edged.wasm.types import Enum, Flags, List, Option, Primitive, Record, Result, Tuple, Variant, WitType
from tests.wasm.component import script, wast
from tests.wasm.component.wast import SMALL_POOL, run_script

ADD_ONE = """(component
  (core module $M (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "trap") (unreachable)))
  (core instance $m (instantiate $M))
  (func (export "f") (param "x" u32) (result u32) (canon lift (core func $m "f")))
  (func (export "trap") (canon lift (core func $m "trap"))))
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(SMALL_POOL)
    engine.start_ticking()
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("command", "verdict"),
    [
        ('(assert_return (invoke "f" (u32.const 1)) (u32.const 2))', "ok"),
        ('(assert_return (invoke "f" (u32.const 1)) (u32.const 3))', "fail"),
        ('(assert_return (invoke "f" (u32.const 1)))', "ok"),
        ('(assert_return (invoke "trap"))', "fail"),
        ('(assert_return (invoke "missing"))', "fail"),
        ('(assert_return (invoke "f"))', "fail"),
        ('(invoke "trap")', "fail"),
        ('(assert_trap (invoke "trap") "unreachable")', "ok"),
        ('(assert_trap (invoke "trap") "out of bounds")', "fail"),
        ('(assert_trap (invoke "f" (u32.const 1)) "unreachable")', "fail"),
        ('(assert_invalid (component (instance (instantiate 0))) "unknown component")', "ok"),
        ('(assert_invalid (component) "anything")', "fail"),
        ('(assert_malformed (component quote "(nonsense") "expected")', "ok"),
        ("(component instance $i $missing)", "fail"),
        ("(component (core func (canon thread.index)))", "gap"),
        ('(component (import "f" (func $f)))', "gap"),
        ("(component (func))", "fail"),
    ],
)
async def test_a_verdict(engine: Engine, command: str, verdict: str, autojump_clock: trio.testing.MockClock) -> None:
    outcomes = await run_script(engine, ADD_ONE + command)
    assert [outcome.verdict for outcome in outcomes] == ["ok", verdict]
    assert outcomes[1].line == 7
    assert bool(outcomes[1].said) == (verdict != "ok")


async def test_what_needs_a_gap_is_one(engine: Engine, autojump_clock: trio.testing.MockClock) -> None:
    text = """(component definition $C (core func (canon thread.index)))
        (component instance $i $C)
        (assert_return (invoke $i "f"))"""
    assert [outcome.verdict for outcome in await run_script(engine, text)] == ["gap", "gap", "gap"]


@pytest.mark.parametrize(
    ("text", "value", "ty"),
    [
        ("(u8.const 0xff)", 255, Primitive("U8")),
        ("(s64.const -1_000)", -1000, Primitive("S64")),
        ("(f32.const -0x1.8p1)", -3.0, Primitive("F32")),
        ("(f64.const -inf)", float("-inf"), Primitive("F64")),
        ("(bool.const true)", True, Primitive("BOOL")),
        (r'(char.const "\u{20ac}")', "€", Primitive("CHAR")),
        (r'(str.const "a\n\"\e2\82\ac")', 'a\n"€', Primitive("STRING")),
        ("(list.const (u8.const 1) (u8.const 2))", b"\1\2", List(Primitive("U8"))),
        ("(list.const (u16.const 1))", [1], List(Primitive("U16"))),
        ("(tuple.const (u8.const 1) (u16.const 2))", (1, 2), Tuple((Primitive("U8"), Primitive("U16")))),
        ('(record.const (field "a" u8.const 1))', (1,), Record((("a", Primitive("U8")),))),
        ('(variant.const "b" (u8.const 1))', ("b", 1), Variant((("a", None), ("b", Primitive("U8"))))),
        ('(variant.const "a")', "a", Variant((("a", None),))),
        ('(enum.const "a")', "a", Enum(("a", "b"))),
        ('(flags.const "a" "b")', frozenset({"a", "b"}), Flags(("a", "b", "c"))),
        ("(option.none)", None, Option(Primitive("U8"))),
        ("(option.some u8.const 1)", 1, Option(Primitive("U8"))),
        ("(option.some (option.none))", Some(None), Option(Option(Primitive("U8")))),
        ("(result.ok)", Ok(), Result(None, Primitive("U8"))),
        ("(result.err (u8.const 1))", Err(1), Result(None, Primitive("U8"))),
    ],
    ids=lambda part: part if isinstance(part, str) and part.startswith("(") else "",
)
def test_a_value(text: str, value: object, ty: WitType) -> None:
    (form,) = script.forms(text)
    assert script.value(form, ty) == value


@pytest.mark.parametrize(
    ("text", "ty"),
    [
        ("(u8.const 1)", Primitive("U16")),
        ("(list.const u8)", List(Primitive("U16"))),
        ('(record.const (field "b" u8.const 1))', Record((("a", Primitive("U8")),))),
        ("(str.const)", Primitive("STRING")),
        ("(str.const a)", Primitive("STRING")),
        ("(u8.const 1)", None),
    ],
    ids=["another type", "no form", "another field", "nothing", "no string", "no type"],
)
def test_a_value_that_does_not_fit(text: str, ty: WitType | None) -> None:
    (form,) = script.forms(text)
    with pytest.raises(script.ScriptError):
        script.value(form, ty)


@pytest.mark.parametrize(
    "text",
    ["(component", ")", "word", "(; no end", "(register)", '(invoke "f" "unclosed)'],
    ids=["open", "closed", "outside", "comment", "unknown", "string"],
)
def test_what_is_no_script(text: str) -> None:
    with pytest.raises(script.ScriptError):
        list(script.commands(text))


def test_comments_are_left_out() -> None:
    assert script.forms(";; (a)\n(; (b) (; nested ;) (c) ;)") == []


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (float("nan"), float("nan"), True),
        (1.0, float("nan"), False),
        ([1, (2.0,)], (1, [2.0]), True),
        ([1], [1, 2], False),
        (Ok(float("nan")), Ok(float("nan")), True),
        (Ok(1), Err(1), False),
        (b"a", b"a", True),
    ],
    ids=["nan", "one nan", "sequences", "lengths", "in ok", "ok and err", "bytes"],
)
def test_same(one: object, other: object, is_same: bool) -> None:
    assert wast.same(one, other) is is_same


def test_the_command_runs_each_script_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.wast").write_text("(component)")
    (tmp_path / "wrong.wast").write_text(ADD_ONE + '(assert_return (invoke "trap"))')
    (tmp_path / "none.wast").write_text("(component")
    assert wast.main([str(tmp_path)]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[1:] for line in shown if ".wast" in line and not line.startswith(" ")] == [
        ["ok", "1"],
        ["ok", "0", "died", "1"],
        ["ok", "1", "fail", "1"],
    ]
    assert shown[-1].split() == ["in", "all", "ok", "2", "fail", "1", "died", "1"]
    assert wast.main([str(tmp_path / "good.wast")]) == 0
