"""An HTTP server on loopback with all the faults of one that gives away files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = bytes(1 << 16)


class FileServer(ThreadingHTTPServer):
    """Attributes:
    files: path to bytes; all others are not found.
    asked: requests, in order.
    came: set at a request that is answered by silence.
    left: set when whoever asked for that has hung up.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.came = threading.Event()
        self.left = threading.Event()
        self.on_request: Callable[[str], None] = lambda _: None

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.on_request(self.path)
        fault = _FAULTS.get(self.path)
        if fault is not None:
            self.close_connection = True
            fault(self)
        elif self.path in self.server.files:
            self.answer(200, {}, self.server.files[self.path])
        else:
            self.send_error(404)

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nowhere."""


def _silent(handler: _Handler) -> None:
    handler.server.came.set()
    with suppress(ConnectionResetError):  # where it leaves bytes unread
        handler.rfile.read(1)  # returns when the other end hangs up
    handler.server.left.set()


def _stalled(handler: _Handler) -> None:
    handler.answer(200, {"Content-Length": "1000"}, b"#!/bin/sh\n")
    _silent(handler)


def _endless(handler: _Handler) -> None:
    """Until it hangs up. Says no length, as a proxy may."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(PIECE)
    except OSError:
        handler.server.left.set()


_FAULTS: dict[str, Callable[[_Handler], object]] = {
    "/cut": lambda handler: handler.answer(200, {"Content-Length": "1000"}, b"#!/bin/sh\n"),
    "/endless": _endless,
    "/error": lambda handler: handler.answer(500, {}),
    "/garbage": lambda handler: handler.wfile.write(b'\x00\x1b[31m"\\\r\n\r\n'),
    "/loop": lambda handler: handler.answer(302, {"Location": "/loop"}),
    "/local": lambda handler: handler.answer(302, {"Location": "file:///etc/passwd"}),
    "/redirect": lambda handler: handler.answer(302, {"Location": "/edged"}),
    "/silent": _silent,
    "/stalled": _stalled,
}


@contextmanager
def file_server() -> Iterator[FileServer]:
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
