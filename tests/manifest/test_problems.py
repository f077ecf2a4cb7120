import pytest

from edged.errors import ManifestError
from edged.limits import MANIFEST_GUESS_COUNT_MAX, MANIFEST_PROBLEM_COUNT_MAX, MANIFEST_SHOWN_CHARS_MAX
from edged.manifest.problems import Invalid, Problem, Problems, manifest_error, nearest, shown


def fail(number: int) -> int:
    raise Invalid(Problem(number, "first"), Problem(number, "second"))


def test_problems_of_several_parts_are_raised_together() -> None:
    problems = Problems()
    assert problems.attempt(fail, 3) is None
    assert problems.attempt(abs, -4) == 4
    problems.add(1, "third")
    with pytest.raises(Invalid) as caught:
        problems.check()
    assert caught.value.problems == (Problem(3, "first"), Problem(3, "second"), Problem(1, "third"))


def test_no_problems_are_no_error() -> None:
    Problems().check()


def test_error_is_in_the_order_of_the_file_without_repeats() -> None:
    error = manifest_error("a/spin.toml", [Problem(9, "late"), Problem(2, "early"), Problem(9, "late")])
    assert isinstance(error, ManifestError)
    assert str(error) == "a/spin.toml:2: early\na/spin.toml:9: late"


def test_as_many_problems_as_fit_are_all_told() -> None:
    problems = [Problem(i, f"p{i}") for i in range(MANIFEST_PROBLEM_COUNT_MAX)]
    assert len(str(manifest_error("f", problems)).splitlines()) == MANIFEST_PROBLEM_COUNT_MAX


def test_one_more_problem_is_counted_only() -> None:
    problems = [Problem(i, f"p{i}") for i in range(MANIFEST_PROBLEM_COUNT_MAX + 1)]
    lines = str(manifest_error("f", problems)).splitlines()
    assert len(lines) == MANIFEST_PROBLEM_COUNT_MAX + 1
    assert lines[-1] == "f: and 1 more"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("route", "`route`"),
        ("\x1b[31mred", "`\\u001b[31mred`"),
        ("a\nb", "`a\\nb`"),
        ("x" * MANIFEST_SHOWN_CHARS_MAX, f"`{'x' * MANIFEST_SHOWN_CHARS_MAX}`"),
        ("x" * (MANIFEST_SHOWN_CHARS_MAX + 1), f"`{'x' * MANIFEST_SHOWN_CHARS_MAX}...`"),
    ],
)
def test_shown_text_is_safe_for_a_terminal(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_nearest_names_only_what_is_near() -> None:
    assert nearest("rout", ["route", "id"]) == ", did you mean `route`?"
    assert nearest("zzz", ["route", "id"]) == ""


def test_guesses_at_the_limit_and_over() -> None:
    far = [f"{number:09}" for number in range(MANIFEST_GUESS_COUNT_MAX - 1)]
    assert nearest("rout", [*far, "route"]) == ", did you mean `route`?"
    assert nearest("rout", [*far, "000000000", "route"]) == ""
