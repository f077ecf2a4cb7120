"""Log lines: what stands in them, for programs and for people, whoever wrote the values."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from edged.logging import ConsoleLine, configure, json_line

MOMENT = 1_700_000_000.1239  # 2023-11-14 22:13:20 UTC
HOSTILE = "a\x1b[2J\r\nb\u202ec"


def line(render: Callable[..., str], event: str, level: str = "info", **fields: Any) -> str:
    return render(None, level, {"event": event, "level": level, "time": MOMENT, **fields})


def guest_line(text: str = "hi", stream: str = "stdout") -> dict[str, str]:
    return {"event": f"guest.{stream}", "app": "shop", "component": "home", "request_id": "f00d" * 4, "text": text}


# --- JSON ---


def test_json() -> None:
    shape = json.loads(line(json_line, "listener.cut", "warning", connections=3))
    assert shape == {
        "time": "2023-11-14T22:13:20.123Z",
        "level": "warning",
        "event": "listener.cut",
        "connections": 3,
    }


def test_json_is_one_line_of_ascii() -> None:
    text = line(json_line, text=HOSTILE, event="guest.stdout")
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text)["text"] == HOSTILE


def test_json_of_a_value_that_json_does_not_know() -> None:
    assert json.loads(line(json_line, "x", value={1}))["value"] == "{1}"


# --- console ---


def plain(event: str, level: str = "info", **fields: Any) -> str:
    text = line(ConsoleLine(colours=False), event, level, **fields)
    return re.sub(r"^\d\d:\d\d:\d\d", "HH:MM:SS", text)


def test_a_guests_line() -> None:
    assert plain(**guest_line()) == "HH:MM:SS home 0df00d │ hi"
    assert plain(**guest_line(stream="stderr")) == "HH:MM:SS home 0df00d ┃ hi"


def test_a_failed_request() -> None:
    fields = {"code": "guest.trap", "message": "it trapped", "method": "GET", "path": "/a", "app": "shop"}
    text = plain("request.failed", "warning", component="home", request_id="f00d" * 4, **fields)
    assert text == "HH:MM:SS home 0df00d ✗ GET /a: it trapped [guest.trap]"


def test_an_event_of_ours() -> None:
    text = plain("request.refused", "debug", code="http.bad-request", message="no Host", client="::1", version=None)
    assert text == "HH:MM:SS debug request.refused: no Host [http.bad-request] client=::1"
    assert plain("listener.cut", "warning", connections=3) == "HH:MM:SS warning listener.cut connections=3"


def test_nothing_steers_the_terminal() -> None:
    for text in (plain(**guest_line(HOSTILE)), plain("x", message=HOSTILE), plain("x", value=HOSTILE)):
        assert "a\\x1b[2J\\r\\nb\\u202ec" in text
        assert text.isprintable()


def test_colours_are_only_around() -> None:
    text = line(ConsoleLine(colours=True), "listener.cut", "error", connections=3)
    assert "\x1b[31merror\x1b[0m" in text
    assert re.sub(r"\x1b\[\d*m", "", text).endswith(" error listener.cut connections=3")


@pytest.mark.parametrize("render", [json_line, ConsoleLine(colours=False)], ids=["json", "console"])
def test_an_exception(render: Callable[..., str]) -> None:
    try:
        raise ZeroDivisionError(HOSTILE)
    except ZeroDivisionError as error:
        texts = [line(render, "handler.failed", "error", exc_info=given) for given in (error, True)]
    for text in texts:
        assert "Traceback (most recent call last):" in text
        assert "ZeroDivisionError: a\\" in text
        assert "\x1b" not in text
    assert "Traceback" not in line(render, "handler.failed", "error", exc_info=None)
    assert "Traceback" not in line(render, "handler.failed", "error", exc_info=True)


# --- the whole way ---


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    yield
    structlog.reset_defaults()


Capture = pytest.CaptureFixture[str]


def test_a_program_reads_json(capsys: Capture) -> None:
    configure()
    structlog.get_logger().warning("listener.cut", connections=3)
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["event"] == "listener.cut"


def test_a_terminal_gets_console_lines(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    configure()
    structlog.get_logger().warning("listener.cut", connections=3)
    assert capsys.readouterr().err.endswith(" warning listener.cut connections=3\n")
    monkeypatch.delenv("NO_COLOR")
    configure()
    structlog.get_logger().warning("listener.cut", connections=3)
    assert "\x1b[33mwarning" in capsys.readouterr().err
    configure(as_json=True)
    structlog.get_logger().warning("listener.cut", connections=3)
    assert json.loads(capsys.readouterr().err)["connections"] == 3


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("nothing", []),
    ],
)
def test_levels(capsys: Capture, level: Any, shown: list[str]) -> None:
    configure(level=level)
    log = structlog.get_logger()
    for method in ("debug", "info", "warning", "error"):
        getattr(log, method)("x")
    assert [json.loads(text)["level"] for text in capsys.readouterr().err.splitlines()] == shown


def test_exception_is_an_error_with_its_traceback(capsys: Capture) -> None:
    configure()
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        structlog.get_logger().exception("handler.failed")
    shape = json.loads(capsys.readouterr().err)
    assert shape["level"] == "error"
    assert "ZeroDivisionError" in shape["exception"]


def test_whatever_stderr_is_at_the_moment(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    configure()
    log = structlog.get_logger()
    log.info("first")
    later = io.StringIO()
    monkeypatch.setattr(sys, "stderr", later)
    log.info("second")
    assert "first" in capsys.readouterr().err
    assert "second" in later.getvalue()


@pytest.mark.parametrize("error", [BrokenPipeError, ValueError])
def test_a_reader_that_went_away(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise error

    configure()
    monkeypatch.setattr(sys, "stderr", Gone())
    structlog.get_logger().warning("x")
