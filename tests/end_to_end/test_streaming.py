"""64 MiB in and out of a C guest: every byte comes back, and the server's memory stays where it was."""

from __future__ import annotations

import hashlib
import http.client
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx

from edged.limits import MiB
from tests.end_to_end.conftest import Serve

PIECE = bytes(range(256)) * 256  # 64 KiB
PIECES = 64 * MiB // len(PIECE)


def test_64_mib_pass_through_with_flat_memory(serve: Serve) -> None:
    server = serve("streaming-c")
    httpx.post(server.url + "/echo", content=PIECE)
    before = server.resident_bytes()
    sent, received = hashlib.sha256(), hashlib.sha256()
    size = 0

    def pieces() -> Iterator[bytes]:
        for _ in range(PIECES):
            sent.update(PIECE)
            yield PIECE

    for piece in full_duplex(server.url, "/echo", pieces()):
        received.update(piece)
        size += len(piece)
    assert (size, received.digest()) == (64 * MiB, sent.digest())
    assert server.resident_bytes("VmHWM") - before < 32 * MiB


def test_64_mib_of_output_with_flat_memory(serve: Serve) -> None:
    server = serve("output")
    httpx.get(server.url + "/1000")
    before = server.resident_bytes()
    size = 0
    with httpx.stream("GET", server.url + "/", timeout=120) as answer:
        for piece in answer.iter_bytes():
            size += len(piece)
    assert size == 64 * MiB
    assert server.resident_bytes("VmHWM") - before < 32 * MiB


def full_duplex(url: str, path: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """POST a chunked body from one thread while this one reads the answer; yields the answer's body.

    A client that sends all before it reads would wait for ever: the answer fills the sockets, and the guest waits.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
    connection.putrequest("POST", path)
    connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()

    def send() -> None:
        for piece in pieces:
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")

    sender = threading.Thread(target=send)
    sender.start()
    answer = http.client.HTTPResponse(connection.sock, method="POST")
    answer.begin()
    assert answer.status == 200
    while piece := answer.read(65536):
        yield piece
    sender.join()
    connection.close()
