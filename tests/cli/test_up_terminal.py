"""What a person sees of `edged up`."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from edged.cli.up_terminal import TerminalView
from edged.errors import BuildFailed, ManifestError
from edged.limits import MiB
from edged.up import event as events
from edged.up.trigger import Route, Scheduled, Subscribed, Trigger

ROUTES = (
    Route("shop", "/", "http://127.0.0.1:8080/", "home"),
    Route("shop", "/users/:id", "http://127.0.0.1:8080/users/:id", "users"),
    Route("shop", "/gone", "http://127.0.0.1:8080/gone", None, None),
)
TRIGGERS = (
    Subscribed("shop", "orders", "new\x1b[2J", "10.0.0.1:6379"),
    Scheduled("shop", "report", "0 0 4 * * *", "2026-11-22T04:00:00Z"),
    Scheduled("shop", "once", "0 0 4 1 1 * 2020", None),
)
REFUSED = tuple(f"fermyon:spin/interface-{number}@2.0.0" for number in range(14))


class Screen:
    """A view and what it wrote, without colours and the time of day."""

    def __init__(self, *, terminal: bool = False, width: int = 80, **options: bool) -> None:
        self._written = io.StringIO()
        console = Console(file=self._written, force_terminal=terminal, width=width, highlight=False, _environ={})
        self.view = TerminalView(console=console, **options)

    def text(self) -> str:
        raw = self._written.getvalue()
        self._written.seek(0)
        self._written.truncate()
        raw = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", raw)
        return re.sub(r"\d\d:\d\d:\d\d", "HH:MM:SS", raw)

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.text().splitlines() if line.strip()]


def listening(
    *, watching: bool = False, routes: tuple[Route, ...] = ROUTES, triggers: tuple[Trigger, ...] = ()
) -> events.Listening:
    return events.Listening(("http://127.0.0.1:8080",), routes, triggers, watching)


def test_from_start_to_listening() -> None:
    screen = Screen()
    for event in (
        events.Loading("shop", "/elsewhere/shop/spin.toml", ("home", "users")),
        events.Building("home", "make"),
        events.Compiling("home", 37 * MiB),
        events.Loaded("home", "ab", True, 4.24, ()),
        events.Loaded("users", "cd", False, 0.04, ()),
        listening(watching=True),
    ):
        screen.view.show(event)
    assert screen.lines() == [
        "shop  /elsewhere/shop/spin.toml",
        "  building home  $ make",
        "  compiling home (37.0 MiB)",
        "  ✓ home  compiled in 4.2 s",
        "  ✓ users  loaded in 0.0 s",
        "  http://127.0.0.1:8080/             home",
        "  http://127.0.0.1:8080/users/:id    users",
        "  http://127.0.0.1:8080/gone         (static response)",
        "  Try it: curl http://127.0.0.1:8080/",
        "  Edit a file and save it to swap the new app in. Ctrl-C stops.",
    ]


def test_without_watching_nobody_is_told_to_edit() -> None:
    screen = Screen()
    screen.view.show(listening())
    assert screen.lines()[-1] == "  Ctrl-C stops."


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("http://h:1/", "curl http://h:1/"),
        ("http://h:1/...", "curl http://h:1/"),
        ("http://h:1/a/...", "curl http://h:1/a/"),
        ("http://h:1/a/:name/b", "curl http://h:1/a/name/b"),
        ("https://[::1]:1/a", "curl -k https://[::1]:1/a"),
    ],
)
def test_what_to_try(url: str, command: str) -> None:
    screen = Screen()
    private = Route("shop", None, "http://hidden.spin.internal/...", "hidden")
    screen.view.show(listening(routes=(private, Route("shop", "", url, "x"))))
    assert f"  Try it: {command}" in screen.lines()


def test_what_is_private_and_what_is_a_program() -> None:
    screen = Screen()
    private = "http://hidden.spin.internal/..."
    routes = (
        Route("shop", "/cgi/...", "http://127.0.0.1:8080/cgi/...", "program", "wagi"),
        Route("shop", None, private, "hidden"),
        Route("shop", None, private, "hidden-program", "wagi"),
    )
    screen.view.show(listening(routes=routes))
    assert screen.lines()[:3] == [
        "  http://127.0.0.1:8080/cgi/...      program  (wagi)",
        "  http://hidden.spin.internal/...    hidden  (private)",
        "  http://hidden.spin.internal/...    hidden-program  (wagi, private)",
    ]


def test_triggers_that_no_request_starts() -> None:
    screen = Screen()
    screen.view.show(listening(routes=(), triggers=TRIGGERS))
    assert screen.lines() == [
        "  redis  new\\x1b[2J on 10.0.0.1:6379                    orders",
        '  cron   "0 0 4 * * *", next at 2026-11-22THH:MM:SSZ    report',
        '  cron   "0 0 4 1 1 * 2020", never again                once',
        "  Ctrl-C stops.",
    ]


def test_refused_imports_are_one_line_that_fits() -> None:
    screen = Screen(terminal=True)
    screen.view.show(events.Loaded("home", "ab", False, 0.1, REFUSED))
    screen.view.show(events.Loaded("users", "ab", False, 0.1, REFUSED[:3]))
    screen.view.show(listening())
    (line,) = [line for line in screen.lines() if "refused" in line]
    assert line.startswith("  14 imports are linked, but refused when called (--verbose): fermyon:spin/")
    assert len(line) <= 80
    assert line.endswith("…")


def test_refused_imports_are_whole_outside_of_a_terminal() -> None:
    screen = Screen()
    screen.view.show(events.Loaded("home", "ab", False, 0.1, REFUSED))
    screen.view.show(listening())
    (line,) = [line for line in screen.lines() if "refused" in line]
    assert line.endswith(REFUSED[-1])


def test_refused_imports_by_name() -> None:
    screen = Screen(verbose=True)
    screen.view.show(events.Loaded("home", "ab", False, 0.1, REFUSED[:1]))
    screen.view.show(listening())
    lines = screen.lines()
    assert "  1 import is linked, but refused when called:" in lines
    assert f"    {REFUSED[0]}" in lines


def test_compiling_moves_in_a_terminal_and_goes() -> None:
    screen = Screen(terminal=True)
    screen.view.show(events.Compiling("home", 300_000))
    screen.view.show(events.Compiling("users", 2 * MiB))
    screen.view.show(events.Compiling("tiny", 400))
    screen.view.show(events.Loaded("home", "ab", True, 1.0, ()))
    screen.view.show(events.Loaded("users", "ab", True, 2.0, ()))
    screen.view.show(events.Loaded("tiny", "ab", True, 2.0, ()))
    text = screen.text()
    assert "compiling home (293 KiB)" in text
    assert "compiling tiny (400 bytes)" in text
    assert "compiling users (2.0 MiB)" in text
    screen.view.show(events.Warned("after"))
    assert screen.text() == "  warning after\n"


def test_an_error_takes_the_progress_down() -> None:
    screen = Screen(terminal=True)
    screen.view.show(events.Compiling("home", 300_000))
    screen.text()
    screen.view.close()
    screen.text()
    screen.view.close()
    assert screen.text() == ""


def test_a_change_and_a_swap() -> None:
    screen = Screen()
    screen.view.show(listening())
    screen.text()
    screen.view.show(events.Changed(("src/a.py", "b\x1b[2J.py"), 9))
    screen.view.show(events.Loading("shop", "/elsewhere/shop/spin.toml", ("home",)))
    screen.view.show(events.Loaded("home", "ab", False, 0.1, ()))
    screen.view.show(events.Swapped("shop", 0.34, ROUTES, ()))
    assert screen.lines() == [
        "HH:MM:SS changed src/a.py, b\\x1b[2J.py and 7 more",
        "HH:MM:SS ✓ swapped in after 0.3 s",
    ]


def test_a_swap_with_other_routes_shows_them() -> None:
    screen = Screen()
    screen.view.show(listening())
    screen.text()
    screen.view.show(events.Swapped("shop", 0.34, ROUTES[:1], ()))
    assert screen.lines()[1:] == ["  http://127.0.0.1:8080/    home"]
    screen.view.show(events.Swapped("shop", 0.34, ROUTES[:1], ()))
    assert len(screen.lines()) == 1


def test_a_swap_at_a_later_time_is_no_other_schedule() -> None:
    screen = Screen()
    screen.view.show(listening(triggers=TRIGGERS[1:2]))
    screen.text()
    later = Scheduled("shop", "report", "0 0 4 * * *", "2026-11-23T04:00:00Z")
    screen.view.show(events.Swapped("shop", 0.34, ROUTES, (later,)))
    assert len(screen.lines()) == 1


def test_a_swap_of_one_app_of_several() -> None:
    screen = Screen()
    other = Route("other", "/", "http://other.localhost:8080/", "x")
    screen.view.show(listening(routes=(*ROUTES, other)))
    screen.text()
    screen.view.show(events.Swapped("other", 0.34, (other,), ()))
    assert len(screen.lines()) == 1
    screen.view.show(events.Swapped("shop", 0.34, ROUTES[:1], ()))
    assert screen.lines()[1:] == ["  http://127.0.0.1:8080/    home"]


def test_a_failed_reload_says_what_still_serves() -> None:
    screen = Screen()
    screen.view.show(events.ReloadFailed(ManifestError("spin.toml:1: a\nspin.toml:2: b", remedy="Correct it.")))
    assert screen.lines() == [
        "HH:MM:SS ✗ spin.toml:1: a  [manifest.invalid]",
        "           spin.toml:2: b",
        "         -> Correct it. Until then the app from before keeps serving.",
    ]


def test_stopping() -> None:
    screen = Screen()
    screen.view.show(events.Stopping(0, 10.0))
    screen.view.show(events.Stopped(1))
    screen.view.show(events.Stopping(2, 10.0))
    screen.view.show(events.Stopped(12))
    assert screen.lines() == [
        "HH:MM:SS stopped after 1 request",
        "HH:MM:SS stopping up to 10 s for 2 requests; Ctrl-C again cuts",
        "HH:MM:SS stopped after 12 requests",
    ]


def test_quiet_shows_address_warnings_and_errors() -> None:
    screen = Screen(quiet=True)
    for event in (
        events.Loading("shop", "/elsewhere/spin.toml", ("home",)),
        events.Building("home", "make"),
        events.Built("home", 1.0),
        events.Compiling("home", 1),
        events.Loaded("home", "ab", True, 1.0, REFUSED),
        listening(watching=True),
        events.Changed(("a",), 1),
        events.Swapped("shop", 0.1, (), ()),
        events.Stopping(0, 10.0),
        events.Stopped(0),
    ):
        screen.view.show(event)
    assert screen.lines() == ["http://127.0.0.1:8080"]
    screen.view.show(events.Warned("old"))
    screen.view.show(events.ReloadFailed(BuildFailed("wrong")))
    assert len(screen.lines()) == 3


def test_manifest_paths_as_a_person_writes_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "home/work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home/work")
    screen = Screen()
    for path in ("home/work/app/spin.toml", "home/app/spin.toml", "spin.toml"):
        screen.view.show(events.Loading("shop", str(tmp_path / path), ()))
    assert screen.lines() == ["shop  app/spin.toml", "shop  ~/app/spin.toml", f"shop  {tmp_path}/spin.toml"]


def test_a_terminal_that_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()

    def fail(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(screen.view._console, "print", fail)
    screen.view.show(events.Warned("x"))
