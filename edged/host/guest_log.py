"""A guest's stdout and stderr as log lines, and as files where the operator wants them.

    guest bytes -> GuestOutput (one request, one stream) -> GuestLog (one component) -> structlog, files

What a guest prints is an attacker's text on the operator's terminal: no control character, escape sequence or
direction mark survives, a line is cut at `LOG_LINE_BYTES_MAX`, and a request has `LOG_BYTES_MAX` for all its lines.
"""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path
from typing import Literal

import structlog
from structlog.typing import FilteringBoundLogger

from edged.host.budget import Budget
from edged.limits import LOG_LINE_BYTES_MAX, LOG_LINE_OVERHEAD_BYTES
from edged.readable import readable

StreamName = Literal["stdout", "stderr"]

_EVENTS: dict[StreamName, str] = {"stdout": "guest.stdout", "stderr": "guest.stderr"}

CUT_MARK = " [cut]"

_not_in_file_name = re.compile(r"[^A-Za-z0-9._-]").sub


def clean(line: bytes, *, cut: bool = False) -> str:
    """One line, without its line feed, as text that is safe to show.

    Invalid UTF-8 is replaced; a character that was cut through at the end is left out.
    """
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(line, final=not cut)
    return readable(text) + (CUT_MARK if cut else "")


class GuestLog:
    """Where the lines of one component go.

    Args:
        folder: also append the lines to `<component>_stdout.txt` and `<component>_stderr.txt` there.

    Raises:
        OSError: the files cannot be opened.
    """

    def __init__(
        self, app: str, component: str, *, folder: Path | None = None, logger: FilteringBoundLogger | None = None
    ) -> None:
        self.app = app
        self.component = component
        self._logger: FilteringBoundLogger = structlog.get_logger() if logger is None else logger
        self._files: dict[StreamName, int] = {}
        if folder is not None:
            name = _not_in_file_name("_", component)
            try:
                for stream in _EVENTS:
                    self._files[stream] = _open(folder / f"{name}_{stream}.txt")
            except OSError:
                self.close()
                raise

    def output(self, stream: StreamName, request_id: str, budget: Budget) -> GuestOutput:
        """The `OutputSink` of one request for one stream."""
        return GuestOutput(self, stream, request_id, budget)

    def line(self, stream: StreamName, request_id: str, text: str) -> None:
        """Log one line. Never raises: a full disk costs the file, not the request."""
        self._logger.info(_EVENTS[stream], app=self.app, component=self.component, request_id=request_id, text=text)
        descriptor = self._files.get(stream)
        if descriptor is not None:
            try:
                os.write(descriptor, f"{text}\n".encode())
            except OSError as error:
                os.close(self._files.pop(stream))
                self._logger.error(
                    "guest.log-file-failed", app=self.app, component=self.component, stream=stream, error=str(error)
                )

    def truncated(self, request_id: str) -> None:
        """Log that a request's further output is dropped."""
        self._logger.warning("guest.log-truncated", app=self.app, component=self.component, request_id=request_id)

    def close(self) -> None:
        while self._files:
            os.close(self._files.popitem()[1])


class GuestOutput:
    """One stream of one request: an `OutputSink` that splits bytes into lines and pays for them from the budget."""

    __slots__ = ("_budget", "_cutting", "_log", "_partial", "_request_id", "_stream")

    def __init__(self, log: GuestLog, stream: StreamName, request_id: str, budget: Budget) -> None:
        self._log = log
        self._stream: StreamName = stream
        self._request_id = request_id
        self._budget = budget
        self._partial = b""
        self._cutting = False  # the current line was emitted already, cut; its rest is thrown away

    def write(self, data: bytes) -> None:
        if self._budget.log_bytes < 0:
            return
        first, *rest = data.split(b"\n")
        self._add(first)
        for piece in rest:
            self._end_line()
            if self._budget.log_bytes < 0:
                return
            self._add(piece)

    def close(self) -> None:
        """The request ended: emit what is left of an unfinished line."""
        if self._partial:
            self._end_line()

    def _add(self, piece: bytes) -> None:
        if self._cutting or not piece:
            return
        line = self._partial + piece
        # One more byte may be the CR of a line that is just long enough.
        if len(line) <= LOG_LINE_BYTES_MAX or (len(line) == LOG_LINE_BYTES_MAX + 1 and line.endswith(b"\r")):
            self._partial = line
            return
        self._partial = b""
        self._cutting = True
        self._emit(line[:LOG_LINE_BYTES_MAX], cut=True)

    def _end_line(self) -> None:
        line, self._partial = self._partial, b""
        if self._cutting:
            self._cutting = False
        else:
            self._emit(line.removesuffix(b"\r"), cut=False)

    def _emit(self, line: bytes, *, cut: bool) -> None:
        budget = self._budget
        if budget.log_bytes < 0:
            return
        budget.log_bytes -= len(line) + LOG_LINE_OVERHEAD_BYTES
        if budget.log_bytes < 0:
            self._log.truncated(self._request_id)
        else:
            self._log.line(self._stream, self._request_id, clean(line, cut=cut))


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
