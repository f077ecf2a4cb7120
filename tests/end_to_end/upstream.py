"""An HTTP server for guests to reach: as threads, since its clients are other processes too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Upstream:
    """It listens at 127.0.0.1.

    Attributes:
        served: paths that it was asked for, in order.
        answers: path -> what a POST to it is answered with.
    """

    port: int
    served: list[str] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)


@contextmanager
def upstream() -> Iterator[Upstream]:
    """A server that redirects `/to/URL`, sends a POST's body back, and answers any other GET with `secret`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            running.served.append(self.path)
            if self.path.startswith("/to/"):
                self.answer(302, b"", location=self.path.removeprefix("/to/"))
            else:
                self.answer(200, b"secret")

        def do_POST(self) -> None:
            running.served.append(self.path)
            body = self.rfile.read(int(self.headers["content-length"]))
            self.answer(200, running.answers.get(self.path, body))

        def answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running = Upstream(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
