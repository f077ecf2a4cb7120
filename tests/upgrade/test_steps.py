"""Every way through the steps of an upgrade."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from edged.upgrade.steps import FIRST, Course, Outcome, Step, following, is_step

COURSES = [
    Course(restart=restart, has_old=old, was_restarted=False)
    for restart, old in itertools.product((True, False), repeat=2)
]


Way = tuple[tuple[Step, bool], ...]


def ways(step: Step, course: Course, gone: Way = ()) -> Iterator[tuple[Way, Outcome]]:
    """All that can happen from a step on, each step done or failed."""
    assert len(gone) < 20, "it does not end"
    if step == "restart":
        course = replace(course, was_restarted=True)
    for done in (True, False):
        way = (*gone, (step, done))
        found = following(step, done=done, course=course)
        if is_step(found):
            yield from ways(found, course, way)  # type: ignore[arg-type]
        else:
            yield way, found  # type: ignore[misc]


ALL = [(course, way, outcome) for course in COURSES for way, outcome in ways(FIRST, course)]


def test_all_goes_well() -> None:
    course = Course(restart=True, has_old=True, was_restarted=False)
    steps = ("bring", "try", "switch", "restart", "watch", "finish")
    assert (tuple((step, True) for step in steps), "upgraded") in list(ways(FIRST, course))


def test_without_a_restart_nothing_is_restarted_nor_watched() -> None:
    for course, way, outcome in ALL:
        if not course.restart:
            assert not {step for step, _ in way} & {"restart", "watch", "restart back", "watch back"}
            assert outcome != "upgraded"


def test_every_switch_ends_with_the_new_one_proven_or_the_old_one_back() -> None:
    for course, way, outcome in ALL:
        done = {step for step, done in way if done}
        if outcome == "upgraded":
            assert {"try", "switch", "restart", "watch"} <= done
        if outcome == "switched":
            assert {"try", "switch"} <= done
        if outcome == "undone":
            assert course.has_old
            assert "switch back" in done
            was_restarted = "restart" in {step for step, _ in way}
            assert ({"restart back", "watch back"} <= done) is was_restarted
        if outcome == "unchanged":
            assert "switch" not in done
        if outcome == "stuck":
            assert not course.has_old or "switch back" in {step for step, _ in way}


def test_without_an_old_one_nothing_goes_back() -> None:
    for course, way, _ in ALL:
        if not course.has_old:
            assert not any(step.endswith("back") for step, _ in way)


@pytest.mark.parametrize("outcome", ["upgraded", "switched", "unchanged", "undone", "stuck"])
def test_every_outcome_can_be(outcome: Outcome) -> None:
    assert any(found == outcome for _, _, found in ALL)


def test_a_node_that_was_never_told_to_restart_is_not_restarted_to_go_back() -> None:
    """For instance if the disk is full."""
    course = Course(restart=True, has_old=True, was_restarted=False)
    assert following("switch", done=False, course=course) == "switch back"
    assert following("switch back", done=True, course=course) == "give up"
    assert following("switch back", done=True, course=replace(course, was_restarted=True)) == "restart back"
