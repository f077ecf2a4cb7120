"""What edged and its guests have to say, on stderr: a line to read in a terminal, a JSON object a line for programs.

    log.warning("event.name", field=value) -> structlog -> level, time -> console line or JSON -> stderr

Event names are a closed vocabulary: `docs/logging.md` lists each with its fields. Values come from anyone, guests and
clients included, so no character of them may steer a terminal or begin a line.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, Literal

import structlog

from edged.readable import readable

Level = Literal["debug", "info", "warning"]

_LEVELS: dict[Level | Literal["nothing"], int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "nothing": logging.CRITICAL,  # of which there is none
}
_REQUEST_MARKS = {"guest.stdout": "│", "guest.stderr": "┃", "request.failed": "✗"}
_ID_CHARS_SHOWN = 6  # the end of a request id counts requests; the whole id is in JSON and in --log-dir

_RESET = "\x1b[0m"
_DIM = "\x1b[2m"
_COLOURS = {"debug": _DIM, "info": "\x1b[36m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}

Fields = MutableMapping[str, Any]


def configure(*, level: Level | Literal["nothing"] = "info", as_json: bool | None = None) -> None:
    """Set up logging for this process. Loggers made before take it on as well, unless they logged already.

    Args:
        level: the least level that is shown; nothing, for a command that says itself what it did.
        as_json: JSON lines or console lines; None for JSON unless stderr is a terminal.
    """
    is_terminal = sys.stderr.isatty()
    if as_json is None:
        as_json = not is_terminal
    has_colours = is_terminal and not as_json and "NO_COLOR" not in os.environ
    structlog.configure(
        processors=[_add_level_and_time, json_line if as_json else ConsoleLine(colours=has_colours)],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: _Stderr(),
        cache_logger_on_first_use=True,
    )


class _Stderr:
    """Writes lines to whatever stderr is at the moment: a progress display may stand in for it."""

    def msg(self, line: str) -> None:
        # A reader that went away must not end what is served.
        with suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = exception = msg


def _add_level_and_time(_logger: object, method: str, fields: Fields) -> Fields:
    fields["level"] = "error" if method == "exception" else method
    fields["time"] = time.time()
    return fields


def json_line(_logger: object, _method: str, fields: Fields) -> str:
    """`{"time": ..., "level": ..., "event": ..., fields}`; `time` in UTC, to the millisecond."""
    exception = _exception(fields)
    moment, level, event = fields.pop("time"), fields.pop("level"), fields.pop("event")
    milliseconds = int(moment * 1000) % 1000
    shape = {
        "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(moment))}.{milliseconds:03d}Z",
        "level": level,
        "event": event,
        **fields,
    }
    if exception:
        shape["exception"] = exception
    return json.dumps(shape, default=str)


class ConsoleLine:
    """One line for a developer: guests' lines as the guest wrote them, after time, component and request.

    12:03:04 hello 00002a │ got a request
    12:03:04 hello 00002a ✗ GET /cart: the guest trapped [guest.trap]
    12:03:05 warning listener.cut connections=3
    """

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def __call__(self, _logger: object, _method: str, fields: Fields) -> str:
        exception = _exception(fields)
        moment, level, event = fields.pop("time"), fields.pop("level"), fields.pop("event")
        clock = self._painted(_DIM, time.strftime("%H:%M:%S", time.localtime(moment)))
        said = self._of_request(event, level, fields) if event in _REQUEST_MARKS else self._of_us(event, level, fields)
        return f"{clock} {said}\n{exception}" if exception else f"{clock} {said}"

    def _of_request(self, event: str, level: str, fields: Fields) -> str:
        request = self._painted(_DIM, str(fields["request_id"])[-_ID_CHARS_SHOWN:])
        if event == "request.failed":
            mark = self._painted(_COLOURS[level], _REQUEST_MARKS[event])
            said = readable(f"{fields['method']} {fields['path']}: {fields['message']} [{fields['code']}]")
        else:
            mark = self._painted(_DIM, _REQUEST_MARKS[event])
            said = readable(fields["text"])
        return f"{readable(fields['component'])} {request} {mark} {said}"

    def _of_us(self, event: str, level: str, fields: Fields) -> str:
        message, code = fields.pop("message", None), fields.pop("code", None)
        said = f"{event}: {readable(message)}" if message else event
        if code:
            said += f" [{code}]"
        rest = " ".join(f"{key}={readable(value)}" for key, value in fields.items() if value is not None)
        return f"{self._painted(_COLOURS[level], level)} {said} {self._painted(_DIM, rest)}".rstrip()

    def _painted(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colours and text else text


def _exception(fields: Fields) -> str:
    """Take `exc_info` out of the fields, as text."""
    found = fields.pop("exc_info", None)
    if isinstance(found, BaseException):
        lines = traceback.format_exception(found)
    elif found and sys.exc_info()[0] is not None:
        lines = traceback.format_exception(*sys.exc_info())
    else:
        return ""
    return "\n".join(readable(line) for line in "".join(lines).splitlines())
