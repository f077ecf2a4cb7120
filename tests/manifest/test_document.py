from typing import cast

import pytest

from edged.limits import MANIFEST_DEPTH_MAX, MANIFEST_DOTS_PER_LINE_MAX
from edged.manifest.document import Node, parse_document
from edged.manifest.problems import Invalid


def child(node: Node, *keys: str | int) -> Node:
    for key in keys:
        node = cast("dict[str | int, Node]", node.value)[key]
    return node


def test_nodes_know_line_path_and_name() -> None:
    root = parse_document('[[a.b]]\n\n"c d" = [1, { e = 2 }]\r\nf = 3')
    found = child(root, "a", "b", 0, "c d", 1, "e")
    assert (found.value, found.line, found.path, found.name) == (2, 3, 'a.b[0]."c d"[1].e', "e")
    assert child(root, "a", "b", 0, "f").line == 4
    assert (root.line, root.path, root.label) == (1, "", "the manifest")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{}", "a table"),
        ("[]", "an array"),
        ('""', "a string"),
        ("true", "a boolean"),
        ("1", "an integer"),
        ("1.0", "a float"),
        ("07:32:00", "a date or time"),
        ("1979-05-27", "a date or time"),
    ],
)
def test_kinds(text: str, kind: str) -> None:
    assert child(parse_document(f"x = {text}"), "x").kind == kind


def test_plain_values_are_immutable() -> None:
    plain = parse_document("a = [1, { b = [2] }]").plain_table()
    assert plain == {"a": (1, {"b": (2,)})}
    with pytest.raises(TypeError):
        plain["a"] = 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = \n", 1),
        ("a = 1\nb", 2),
        ("a = 1\n\n[a]\n", 3),
        ("a = 1\na = 2", 2),
        ('a = 1\nb = "\n"', 2),
        ("a = [1,\n2", 2),
        ("a = 1 b = 2", 1),
        ("\n\na = tru\n\n\n", 3),
    ],
)
def test_bad_toml_is_told_with_its_line(text: str, line: int) -> None:
    with pytest.raises(Invalid) as caught:
        parse_document(text)
    [problem] = caught.value.problems
    assert problem.line == line
    assert problem.text.startswith("not valid TOML: ")
    assert "(at" not in problem.text


def nested(levels: int) -> str:
    # The document itself is the first level.
    return f"x = {'[' * (levels - 1)}1{']' * (levels - 1)}"


def test_depth_at_the_limit() -> None:
    assert child(parse_document(nested(MANIFEST_DEPTH_MAX)), "x")


@pytest.mark.parametrize("levels", [MANIFEST_DEPTH_MAX + 1, 500, 100_000])
def test_depth_over_the_limit(levels: int) -> None:
    with pytest.raises(Invalid, match="nested deeper"):
        parse_document(nested(levels))


def test_dots_at_the_limit() -> None:
    assert parse_document(f'x = "{"." * MANIFEST_DOTS_PER_LINE_MAX}"')


def test_dots_over_the_limit() -> None:
    with pytest.raises(Invalid) as caught:
        parse_document(f"\n{'a.' * (MANIFEST_DOTS_PER_LINE_MAX + 1)}a = 1")
    assert caught.value.problems[0].line == 2
