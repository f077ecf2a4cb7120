"""The scanner against texts whose lines are known, written and generated."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.manifest.lines import Path, line_numbers

TEXT = '''\
# a comment with [brackets] and "quotes
title = "x # not a comment"   # but this is = one

[owner]
"quoted key" = 1
'literal.key' = 2
"esc\\u0041ped" = 3
dotted . deep = { a = 1, "b" = [1, 2], c.d = {} }

[[trigger.http]]
route = "/a]"
[[trigger.http.nested]]
x = 1
[[trigger.http]]
route = '/b"'
[trigger.http.table]
y = [
  "one", # ]
  { z = """
  ] multi "" line
  """""},

  [ 3,
    4 ],
]
[[trigger.http.nested]]
x = \'\'\'it\'s''\'\'\'
[a.b.c]
when = 1979-05-27 07:32:00
[a]
last = true'''

EXPECTED = {
    ("title",): 2,
    ("owner",): 4,
    ("owner", "quoted key"): 5,
    ("owner", "literal.key"): 6,
    ("owner", "escAped"): 7,
    ("owner", "dotted"): 8,
    ("owner", "dotted", "deep", "a"): 8,
    ("owner", "dotted", "deep", "b", 1): 8,
    ("owner", "dotted", "deep", "c", "d"): 8,
    ("trigger", "http"): 10,
    ("trigger", "http", 0): 10,
    ("trigger", "http", 0, "route"): 11,
    ("trigger", "http", 0, "nested"): 12,
    ("trigger", "http", 0, "nested", 0, "x"): 13,
    ("trigger", "http", 1): 14,
    ("trigger", "http", 1, "route"): 15,
    ("trigger", "http", 1, "table"): 16,
    ("trigger", "http", 1, "table", "y"): 17,
    ("trigger", "http", 1, "table", "y", 0): 18,
    ("trigger", "http", 1, "table", "y", 1): 19,
    ("trigger", "http", 1, "table", "y", 1, "z"): 19,
    ("trigger", "http", 1, "table", "y", 2): 23,
    ("trigger", "http", 1, "table", "y", 2, 1): 24,
    ("trigger", "http", 1, "nested", 0): 26,
    ("trigger", "http", 1, "nested", 0, "x"): 27,
    ("a", "b"): 28,
    ("a", "b", "c", "when"): 29,
    ("a",): 30,
    ("a", "last"): 31,
}


@pytest.mark.parametrize(("path", "line"), EXPECTED.items(), ids=str)
def test_written_text(path: Path, line: int) -> None:
    assert line_numbers(TEXT)[path] == line


def test_every_value_has_a_line_and_no_line_is_without_a_value() -> None:
    assert set(line_numbers(TEXT)) == set(paths(tomllib.loads(TEXT)))


def test_empty_text() -> None:
    assert line_numbers("") == {(): 1}


def paths(value: object, where: Path = ()) -> list[Path]:
    found: list[Path] = [where]
    if isinstance(value, dict):
        for key, child in value.items():
            found += paths(child, (*where, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            found += paths(child, (*where, index))
    return found


# --- generated: what is written tells the line of each key ---

keys = st.sampled_from(["a", "b-1", "_", '"q.q"', "'l\"'", '"\\""', "0"])
scalars = st.sampled_from(
    [
        "1",
        "-0.5e3",
        "true",
        '"s#,]}"',
        "'l]'",
        '"\\\\"',
        '""',
        '"""\n]#\n"""',
        "'''\n'\n'''",
        '"""a\\\n  b"""""',
        "07:32:00",
    ]
)
gaps = st.sampled_from(["", " ", "\n", ' # ]"\n', "\n\n\t"])


@st.composite
def values(draw: st.DrawFn, depth: int = 2) -> str:
    kind = draw(st.sampled_from(["scalar", "array", "table"])) if depth else "scalar"
    if kind == "array":
        items = draw(st.lists(values(depth=depth - 1), max_size=3))
        return "[" + ",".join(draw(gaps) + item + draw(gaps) for item in items) + draw(gaps) + "]"
    if kind == "table":
        names = draw(st.lists(keys, unique=True, max_size=3))
        return "{" + ", ".join(f"{name} = {draw(values(depth=depth - 1))}" for name in names) + "}"
    return draw(scalars)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[Path, int]]:
    text, expected, table = "", {}, ()
    for number in range(draw(st.integers(1, 6))):
        text += draw(st.sampled_from(["", "\n", "# [x]\n", "  "]))
        line = text.count("\n") + 1
        if draw(st.booleans()):
            path: Path = (f"t{number}",)
            if draw(st.booleans()):
                text += f"[t{number}] # ]]\n"
            else:
                text += f"[[ t{number} ]]\n"
                path = (f"t{number}", 0)
            table = path
            expected[path] = line
        else:
            key = draw(keys)
            text += f"k{number} . {key}={draw(values())}\n"
            expected[(*table, f"k{number}")] = line
    return text, expected


@given(documents())
def test_generated_text(document: tuple[str, dict[Path, int]]) -> None:
    text, expected = document
    values: Any = tomllib.loads(text)
    lines = line_numbers(text)
    assert expected.items() <= lines.items()
    assert set(lines) == set(paths(values))
