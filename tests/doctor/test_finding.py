"""One cause is one problem, and what follows from it names it."""

from __future__ import annotations

from edged.doctor.finding import Finding, as_json, fold, problems, then

FOLLOWS = {"start": ("binary", "config"), "node": ("start",), "bgp": ("node",)}


def test_what_follows_becomes_a_note_that_names_the_first_cause() -> None:
    folded = fold(
        [
            Finding("binary", "problem", "no binary", "Bring it."),
            Finding("start", "problem", "it ends", "Do this."),
            Finding("node", "problem", "silent", "Do that."),
            Finding("bgp", "warning", "down", "Wait."),
        ],
        FOLLOWS,
    )
    assert folded[0] == Finding("binary", "problem", "no binary", "Bring it.")
    assert folded[1:] == tuple(
        Finding(check, "note", f"{text} (follows from `binary`)")
        for check, text in (("start", "it ends"), ("node", "silent"), ("bgp", "down"))
    )


def test_without_the_cause_it_is_a_problem_of_its_own() -> None:
    found = [Finding("binary", "ok", "there"), Finding("config", "warning", "odd"), Finding("start", "problem", "ends")]
    assert fold(found, FOLLOWS) == tuple(found)


def test_what_is_well_or_unknown_stays_so() -> None:
    found = [Finding("config", "problem", "bad"), Finding("start", "unknown", "who knows"), Finding("node", "ok", "up")]
    assert fold(found, FOLLOWS) == tuple(found)


def test_several_problems_of_one_check_do_not_fold_each_other() -> None:
    found = [Finding("config", "problem", "one"), Finding("config", "problem", "two")]
    assert fold(found, FOLLOWS) == tuple(found)
    assert problems(fold(found, FOLLOWS)) == tuple(found)


def test_json() -> None:
    shape = as_json([Finding("a", "ok", "well"), Finding("b", "problem", "bad", "Mend it.")])
    assert shape["problems"] == 1
    assert shape["findings"][1] == {"check": "b", "state": "problem", "message": "bad", "remedy": "Mend it."}


def test_sentences() -> None:
    assert then("Do this.", "Then wait.") == then("Do this", "Then wait.") == "Do this. Then wait."
    assert then("", "Then wait.") == "Then wait."
