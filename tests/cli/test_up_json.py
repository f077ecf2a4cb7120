"""The JSON lines of `edged up --json`."""

from __future__ import annotations

import io
import json
import sys
from typing import ClassVar

import pytest

from edged.cli.up_json import JsonView
from edged.errors import BuildFailed, ManifestError
from edged.event import Event
from edged.up import event as events
from edged.up.trigger import Route, Scheduled, Subscribed
from tests.docs.tables import events_of

EXAMPLES: list[tuple[Event, dict[str, object]]] = [
    (
        events.Loading("app", "/a/spin.toml", ("x", "y")),
        {"event": "loading", "app": "app", "manifest": "/a/spin.toml", "components": ["x", "y"]},
    ),
    (events.Warned("old"), {"event": "warning", "message": "old"}),
    (events.Building("x", "make"), {"event": "building", "component": "x", "command": "make"}),
    (events.Built("x", 1.5), {"event": "built", "component": "x", "seconds": 1.5}),
    (events.Compiling("x", 7), {"event": "compiling", "component": "x", "bytes": 7}),
    (
        events.Loaded("x", "ab", True, 0.5, ("a:b/c",)),
        {
            "event": "loaded",
            "component": "x",
            "digest": "ab",
            "compiled": True,
            "seconds": 0.5,
            "refused": ["a:b/c"],
        },
    ),
    (
        events.Listening(
            ("http://h:1",),
            (Route("app", "/", "http://h:1/", None, None), Route("app", None, "http://x.spin.internal/...", "x")),
            (Subscribed("app", "x", "news", "h:6379"), Scheduled("app", "x", "@daily", "2026-11-22T00:00:00Z")),
            True,
        ),
        {
            "event": "listening",
            "urls": ["http://h:1"],
            "routes": [
                {"app": "app", "route": "/", "url": "http://h:1/", "target": None, "executor": None},
                {
                    "app": "app",
                    "route": None,
                    "url": "http://x.spin.internal/...",
                    "target": "x",
                    "executor": "spin",
                },
            ],
            "triggers": [
                {"app": "app", "component": "x", "channel": "news", "server": "h:6379", "type": "redis"},
                {
                    "app": "app",
                    "component": "x",
                    "expression": "@daily",
                    "next": "2026-11-22T00:00:00Z",
                    "type": "cron",
                },
            ],
            "watching": True,
        },
    ),
    (events.Changed(("a",), 2), {"event": "changed", "paths": ["a"], "count": 2}),
    (
        events.Swapped("app", 0.1, (), ()),
        {"event": "swapped", "app": "app", "seconds": 0.1, "routes": [], "triggers": []},
    ),
    (
        events.ReloadFailed(BuildFailed("wrong", remedy="right")),
        {"event": "build-failed", "code": "build.failed", "message": "wrong", "remedy": "right"},
    ),
    (
        events.ReloadFailed(ManifestError("wrong", remedy="right")),
        {"event": "load-failed", "code": "manifest.invalid", "message": "wrong", "remedy": "right"},
    ),
    (events.Stopping(3, 10.0), {"event": "stopping", "requests_active": 3, "grace_s": 10.0}),
    (events.Stopped(9), {"event": "stopped", "requests_served": 9}),
]


@pytest.mark.parametrize(("event", "shape"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_each_event(event: Event, shape: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    JsonView().show(event)
    line = capsys.readouterr().out
    assert line.endswith("\n")
    assert json.loads(line) == shape


def test_every_event_is_here() -> None:
    assert {type(event).__name__ for event, _ in EXAMPLES} == {kind.__name__ for kind in events_of("edged.up.event")}


def test_the_error_that_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    JsonView().fail(ManifestError("a\nb", remedy="c"))
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert json.loads(line) == {"event": "error", "code": "manifest.invalid", "message": "a\nb", "remedy": "c"}


class Broken(io.StringIO):
    """A pipe whose reader went away."""

    error: ClassVar[Exception] = BrokenPipeError()

    def write(self, _text: str) -> int:
        raise self.error


def test_a_reader_that_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Broken())
    JsonView().show(events.Warned("x"))
    JsonView().close()
