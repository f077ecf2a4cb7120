"""The load of fleet tests notices what it is there to notice: an answer that does not come, and one that is wrong."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.open_loop import OpenLoop

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"
ENDS = (b"", GOOD[:-1])
"""After these the server closes."""


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[str, int]]:
    """A server that gives these answers in turn, each to a request."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        left = iter(answers * 1000)
        lock = threading.Lock()

        def serve(connection: socket.socket) -> None:
            with connection:
                while connection.recv(65536):
                    with lock:
                        answer = next(left)
                    connection.sendall(answer)
                    if answer in ENDS:
                        return

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield server.getsockname()
        server.shutdown(socket.SHUT_RDWR)
    accepting.join()


def test_all_answered() -> None:
    with answering(GOOD, CHUNKED) as address, OpenLoop([address], host="a.test", rate=200) as load:
        load.wait_answers(20)
    assert load.failures == []
    assert {request.body for request in load.done} == {b"ok"}
    assert {request.kept for request in load.done} == {True, False}


def test_what_fails_is_told() -> None:
    """A status, a connection that is closed, and one that is closed in the middle."""
    refusal = b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"
    with answering(GOOD, refusal, *ENDS) as address, OpenLoop([address], host="a.test", rate=200) as load:
        load.wait_answers(3)
    assert any("503" in request.error for request in load.failures)
    assert any("RemoteProtocolError" in request.error for request in load.failures)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    with OpenLoop([address], host="a.test", rate=200) as load:
        load.wait_answers(5)
    assert len(load.failures) == len(load.done)
