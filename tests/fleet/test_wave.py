"""When a wave may go: each thing that can be heard of the waves before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edged.fleet.board import Seen
from edged.fleet.report import AppReport, NodeReport
from edged.fleet.wave import Go, Held, Verdict, Wait, Wave
from edged.limits import WAVE_SILENCE_S
from tests.fleet.kit import OTHER_RELEASE, RELEASE, deployment

SOAK_S = 10
RELEASES = dict.fromkeys(("eu", "us", "ap"), RELEASE)
DEPLOYMENT = deployment(sequence=5, regions=RELEASES, waves=(("eu",), ("us",), ("ap",)), soak_s=SOAK_S)
LIVE = AppReport(desired=5, running=5, release=RELEASE, stage="live")
BEFORE = AppReport(desired=4, running=4, release=OTHER_RELEASE, stage="live")


def node(name: str, app: AppReport | None = LIVE, state: str = "up", since: float = 0.0) -> tuple[str, Seen]:
    """What was heard of `REGION-N`. Its own clock says nothing: it stands at `since`."""
    region = name.split("-", maxsplit=1)[0]
    apps = {} if app is None else {"shop": app}
    report = None if state == "never" else NodeReport(name, region, 1, 1, time=0.0, apps=apps)
    return region, Seen(name, report, state, since, 1.0, False)  # type: ignore[arg-type]


def look(*nodes: tuple[str, Seen], region: str = "us", now: float = 0.0, wave: Wave | None = None) -> Verdict:
    return (wave or Wave(DEPLOYMENT, region)).verdict(nodes, now)


def soaked(*nodes: tuple[str, Seen], region: str = "us") -> Wave:
    """Of a region whose nodes have seen these for long enough."""
    wave = Wave(DEPLOYMENT, region)
    wave.verdict(nodes, 0.0)
    assert wave.verdict(nodes, SOAK_S) == Go()
    return wave


@pytest.mark.parametrize(
    ("waves", "region", "is_first"),
    [
        ((), "eu", True),
        ((("eu",), ("us", "ap")), "eu", True),
        ((("eu",), ("us", "ap")), "ap", False),
        ((("eu", "us"), ("ap",)), "us", True),
    ],
)
def test_who_goes_first(waves: Any, region: str, *, is_first: bool) -> None:
    wave = Wave(replace(DEPLOYMENT, waves=waves), region)
    assert wave.is_first == is_first
    assert (wave.verdict([], 0.0) == Go()) == is_first or not is_first


def test_it_goes_once_the_wave_before_has_served_it_for_long_enough() -> None:
    wave = Wave(DEPLOYMENT, "us")
    for now in (0.0, SOAK_S - 0.001):
        assert look(node("eu-1"), wave=wave, now=now) == Wait("eu has not served it for 10 s yet")
    assert look(node("eu-1"), wave=wave, now=SOAK_S) == Go()


def test_a_break_begins_the_time_anew() -> None:
    wave = Wave(DEPLOYMENT, "us")
    look(node("eu-1"), wave=wave)
    look(node("eu-1", replace(LIVE, stage="compile")), wave=wave, now=9.0)
    look(node("eu-1"), wave=wave, now=9.5)
    assert isinstance(look(node("eu-1"), wave=wave, now=SOAK_S), Wait)
    assert look(node("eu-1"), wave=wave, now=9.5 + SOAK_S) == Go()


@pytest.mark.parametrize(
    ("said_s", "now", "goes"),
    [(SOAK_S, 0.0, True), (SOAK_S - 1, 0.0, False), (-1e6, 0.0, False), (-1e6, SOAK_S, True), (1e9, 0.0, True)],
)
def test_what_a_node_says_of_its_own_time_shortens_the_wait_and_never_lengthens_it(
    said_s: float, now: float, *, goes: bool
) -> None:
    """Its clock may have jumped either way."""
    region, seen = node("eu-1", replace(LIVE, since=1_000_000.0))
    assert seen.report is not None
    seen = replace(seen, report=replace(seen.report, time=1_000_000.0 + said_s))
    wave = Wave(DEPLOYMENT, "us")
    wave.verdict([(region, seen)], 0.0)
    assert (wave.verdict([(region, seen)], now) == Go()) == goes


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (None, "has not begun"),
        (BEFORE, "has not begun"),
        (replace(BEFORE, desired=5, stage="fetch"), "fetch"),
        (replace(BEFORE, desired=5, stage="probe"), "probe"),
        (replace(LIVE, stage="compile"), "compile"),
        (replace(LIVE, release=OTHER_RELEASE), "live"),
    ],
)
def test_it_waits_for_every_node_that_is_heard_of(app: AppReport | None, said: str) -> None:
    wave = soaked(node("eu-1"))
    verdict = look(node("eu-1"), node("eu-2", app), wave=wave, now=SOAK_S)
    assert verdict == Wait(f"eu does not serve it yet: eu-2 ({said})")


@pytest.mark.parametrize("stage", ["failed", "reverted"])
@pytest.mark.parametrize("state", ["up", "silent"])
def test_a_node_that_could_not_serve_it_holds_it_whatever_became_of_the_node(stage: Any, state: str) -> None:
    bad = replace(BEFORE, desired=5, stage=stage, error_message="the probe said 500")
    verdict = look(node("eu-1"), node("eu-2", bad, state), now=1e6, wave=soaked(node("eu-1")))
    assert verdict == Held(f"eu/eu-2 {stage}: the probe said 500")


def test_what_failed_before_or_after_this_release_is_another_matter() -> None:
    for sequence in (4, 6):
        bad = replace(BEFORE, desired=sequence, stage="failed", error_message="no")
        assert isinstance(look(node("eu-1", bad)), Wait)


def test_a_hold_goes_before_a_wait_and_an_earlier_wave_before_a_later() -> None:
    bad = replace(BEFORE, desired=5, stage="reverted", error_code="rollout.crashed")
    assert look(node("eu-1", BEFORE), node("us-1", bad), region="ap") == Held("us/us-1 reverted: rollout.crashed")
    assert look(node("eu-1", BEFORE), node("us-1", BEFORE), region="ap") == Wait(
        "eu does not serve it yet: eu-1 (has not begun)"
    )


def test_a_hold_ends_when_who_kept_it_back_leaves() -> None:
    bad = node("eu-2", replace(BEFORE, desired=5, stage="failed"))
    wave = soaked(node("eu-1"))
    assert isinstance(look(node("eu-1"), bad, wave=wave, now=SOAK_S), Held)
    assert look(node("eu-1"), wave=wave, now=SOAK_S) == Go()


def test_nodes_of_its_own_wave_and_of_later_ones_do_not_count() -> None:
    bad = replace(BEFORE, desired=5, stage="failed")
    assert look(node("eu-1"), node("us-2", bad), node("ap-1", BEFORE), wave=soaked(node("eu-1")), now=SOAK_S) == Go()


def test_newer_is_as_good() -> None:
    newer = AppReport(desired=6, running=6, release=OTHER_RELEASE, stage="live")
    soaked(node("eu-1", newer))
    soaked(node("eu-1", replace(LIVE, desired=6, stage="fetch")))  # serves it, and has gone on to the next


# --- who is not heard of ---


@pytest.mark.parametrize(("silent_s", "goes"), [(WAVE_SILENCE_S, False), (WAVE_SILENCE_S + 1, True)])
@pytest.mark.parametrize("state", ["silent", "never"])
def test_a_region_of_which_nobody_is_heard_is_passed_over_after_a_while(
    state: str, silent_s: float, *, goes: bool
) -> None:
    silent = [node("eu-1", BEFORE, state), node("eu-2", BEFORE, state)]
    verdict = look(*silent, now=silent_s)
    assert verdict == (Go(("eu",)) if goes else Wait("nobody in eu is heard of"))


def test_one_node_that_is_heard_of_stands_for_its_region() -> None:
    """However long the others are silent."""
    wave = soaked(node("eu-1"))
    assert look(node("eu-1"), node("eu-2", BEFORE, "silent"), wave=wave, now=1e6) == Go()


def test_a_region_that_fell_silent_after_it_took_the_release_holds_it() -> None:
    taken = node("eu-1", replace(BEFORE, desired=5, stage="probe"), "silent")
    assert look(taken, now=WAVE_SILENCE_S) == Wait("nobody in eu is heard of")
    assert look(taken, now=WAVE_SILENCE_S + 1) == Held("nobody in eu is heard of since eu-1 took it")


def test_a_region_that_has_proven_it_may_fall_silent() -> None:
    wave = soaked(node("eu-1"), region="us")
    assert look(node("eu-1", LIVE, "silent", since=SOAK_S), wave=wave, now=1e6) == Go()


def test_who_is_heard_of_and_had_gone_on_stands_for_what_is_silent() -> None:
    """A node that joins while another region is dead need not find out by itself."""
    dead = node("eu-1", BEFORE, "silent")
    assert look(dead, node("us-2"), now=1.0) == Go(("eu",))
    assert isinstance(look(dead, node("us-2", BEFORE), now=1.0), Wait)
    assert isinstance(look(dead, node("us-2", LIVE, "silent"), now=1.0), Wait)


def test_a_region_without_nodes_keeps_nobody_back() -> None:
    assert look(region="ap") == Go()


def test_many_names_are_not_all_told() -> None:
    late = [node(f"eu-{number}", replace(BEFORE, desired=5, stage="fetch")) for number in range(5)]
    assert look(*late) == Wait("eu does not serve it yet: eu-0 (fetch), eu-1 (fetch), eu-2 (fetch) and 2 more")
