"""What a person sees of a push."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from edged.cli.push_terminal import PushView
from edged.limits import MiB
from edged.publish import event as events
from edged.up.event import Building, Built

DIGEST = "sha256:" + "ab" * 32


def shown(*all_events: object, terminal: bool = False, width: int = 80) -> list[str]:
    """The lines that are left on the screen, without colours."""
    written = io.StringIO()
    view = PushView(Console(file=written, force_terminal=terminal, width=width, highlight=False, _environ={}))
    for event in all_events:
        view.show(event)
    view.close()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.getvalue())
    return [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]


def region(name: str, stage: str, *, live: int = 0, total: int = 1, done: int = 0, error: str = "") -> object:
    return events.RegionChanged(name, stage, live, total, 0, done, 10 * MiB, 0, error)


def a_push() -> tuple[object, ...]:
    return (
        Building("hello", "make"),
        Built("hello", 2.0),
        events.Packing("hello", 0, 37 * MiB),
        events.Packed("hello", "1.0", DIGEST, 12, 37 * MiB, 280),
        events.Connected("demo", "a", "a.example:7400"),
        events.Uploading(0, 10 * MiB, 0, 27 * MiB),
        events.Uploading(10 * MiB, 10 * MiB, 3 * MiB, 27 * MiB),
        events.Published("hello", 4, DIGEST, ("eu", "us")),
        region("eu", "waiting", total=2),
        region("eu", "fetch", total=2, done=5 * MiB),
        region("eu", "live", live=2, total=2),
        region("us", "failed", error="b: GET / answered 500\x1b[2J"),
        events.Finished("hello", 4, "http://hello.example/", {"eu": "live", "us": "failed"}, 1, 1, 1, 12.34),
    )


def test_plain_lines_where_there_is_no_terminal() -> None:
    assert shown(*a_push()) == [
        "  building hello  $ make",
        "hello 1.0  abababababab  37.0 MiB",
        "  to demo by a at a.example:7400",
        "  uploaded: 3.0 MiB sent, 27.0 MiB saved",
        "  published as sequence 4  release abababababab",
        "  eu: waiting  0 of 2 nodes",
        "  eu: fetch  5.0 MiB of 10.0 MiB",
        "  eu: live  2 nodes",
        "  us: failed  0 of 1 node",
        "  ✗ us: b: GET / answered 500\\x1b[2J",
        "  ✓ live in eu after 12.3 s",
        "  http://hello.example/",
        "  next: edged logs -f hello   edged status   edged rollback hello",
    ]


def test_bars_in_a_terminal() -> None:
    lines = shown(*a_push(), terminal=True)
    bars = [line for line in lines if "━" in line]
    last = {line.split()[0]: line for line in bars}
    assert set(last) == {"pack", "upload", "eu", "us"}
    assert "✓ done" in last["upload"]
    assert "3.0 MiB sent, 27.0 MiB saved" in last["upload"]
    assert "✓ live" in last["eu"]
    assert "✗ failed" in last["us"]
    assert all(len(line) <= 80 for line in bars)
    assert lines[-2] == "  http://hello.example/"


def test_a_release_that_is_there_already() -> None:
    assert shown(events.Uploading(0, 0, 0, 27 * MiB)) == ["  nothing to upload: all of 27.0 MiB is there already"]


def test_a_region_says_once_why_it_failed() -> None:
    first = region("us", "failed", total=2, error="b: no")
    assert shown(first, region("us", "failed", total=2, error="b, c: no")) == [
        "  us: failed  0 of 2 nodes",
        "  ✗ us: b: no",
    ]


def test_who_changes_an_app_otherwise_is_told_no_commands() -> None:
    finished = events.Finished("hello", 4, "http://hello.example/", {"eu": "live"}, 0, 0, 0, 1.0)
    assert shown(finished) == ["  ✓ live in eu after 1.0 s", "  http://hello.example/"]


def test_waves() -> None:
    assert shown(
        events.Published("hello", 5, DIGEST, ("ap", "eu", "us"), (("eu",), ("ap", "us")), 10),
        events.RegionChanged("eu", "waiting", 0, 1, 0, 0, 0, 0, wave=1),
        events.RegionChanged("us", "waiting", 0, 2, 0, 0, 0, 0, wave=2),
        events.RegionChanged("eu", "live", 1, 1, 0, 0, 0, 0, wave=1),
        events.RegionChanged("us", "held", 0, 2, 0, 0, 0, 0, "b: eu/a failed: no", 2),
    ) == [
        "  published as sequence 5  release abababababab",
        "  in 2 waves, 10 s apart: eu, then ap, us",
        "  eu: waiting  0 of 1 node, wave 1 of 2",
        "  us: waiting  0 of 2 nodes, wave 2 of 2",
        "  eu: live  1 node",
        "  us: held  0 of 2 nodes, wave 2 of 2",
        "  ✗ us: b: eu/a failed: no",
    ]


def test_why_a_wave_failed_is_not_said_again_for_those_that_it_holds() -> None:
    assert shown(
        events.RegionChanged("eu", "failed", 0, 1, 0, 0, 0, 0, "a: no", 1),
        events.RegionChanged("us", "held", 0, 1, 0, 0, 0, 0, "b: eu/a failed: no", 2),
        events.RegionChanged("ap", "failed", 0, 1, 0, 0, 0, 0, "c: neither", 1),
    ) == [
        "  eu: failed  0 of 1 node, wave 1 of 0",
        "  ✗ eu: a: no",
        "  us: held  0 of 1 node, wave 2 of 0",
        "  ap: failed  0 of 1 node, wave 1 of 0",
        "  ✗ ap: c: neither",
    ]


def test_a_removal() -> None:
    assert shown(
        events.Published("hello", 5, "", ()),
        region("eu", "removed", live=1),
        events.Finished("hello", 5, "", {"eu": "removed"}, 0, 0, 0, 1.0),
    ) == ["  published as sequence 5  hello is removed", "  eu: removed  1 node", "  ✓ hello is in no region any more"]


@pytest.mark.parametrize("terminal", [False, True], ids=["lines", "bars"])
def test_apps_that_are_removed_together(terminal: bool) -> None:
    """Each has bars and lines of its own, in the same regions."""
    lines = shown(
        *(events.Published(app, 2, "", ()) for app in ("blog", "wiki")),
        *(
            event
            for app in ("blog", "wiki")
            for event in (
                region("eu", "removed", live=1),
                events.Finished(app, 2, "", {"eu": "removed"}, 0, 0, 0, 1.0),
            )
        ),
        terminal=terminal,
    )
    assert lines[:2] == ["  published as sequence 2  blog is removed", "  published as sequence 2  wiki is removed"]
    said = [line for line in lines if line.startswith("  ✓")]
    assert said == ["  ✓ blog is in no region any more", "  ✓ wiki is in no region any more"]
    first, second = (lines.index(line) for line in said)
    assert [line for line in lines[2:first] if "eu" in line]
    assert [line for line in lines[first:second] if "eu" in line]


def test_nothing_live_has_no_address() -> None:
    finished = events.Finished("hello", 4, "http://hello.example/", {"eu": "failed"}, 1, 1, 1, 1.0)
    assert shown(finished) == []


def test_warnings_and_putting_back() -> None:
    assert shown(
        events.Warned("only in eu\x1b"),
        events.PuttingBack("hello", 5, DIGEST),
        events.PuttingBack("hello", 2, ""),
        events.Published("hello", 6, "", ()),
    ) == [
        "  warning only in eu\\x1b",
        "  interrupted sequence 5: release abababababab again",
        "  interrupted sequence 2: the app is removed again",
        "  published as sequence 6  hello is removed",
    ]


def test_every_event_is_shown_by_somebody() -> None:
    view = PushView(Console(file=io.StringIO()))
    kinds = [value for value in vars(events).values() if isinstance(value, type) and issubclass(value, events.Event)]
    assert set(view._shows) == {*kinds, Building, Built} - {events.Event}
