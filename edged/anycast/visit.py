"""One request to a canary, on a connection of its own from a source port of our choice.

The connection is closed by a reset, so that neither end keeps anything of it and its port is free at once.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import struct
from dataclasses import dataclass

import h11
import trio

from edged.anycast.probe import Target
from edged.http.canary import CANARY_BODY, WORKER_HEADER, canary_host
from edged.limits import CANARY_ANSWER_BYTES_MAX

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s
_READ_BYTES = 4096


class Refused(Exception):
    """There is no answer; the message says why, as `edged.anycast.probe.Probe.why` does. For the prober only."""


class PortTaken(Exception):
    """The source port is somebody else's at the moment. For the prober only."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        port: that the connection came from.
        worker: who answered; None where the answer does not tell.
        why: it is not what the worker that was asked should answer; "" if it is.
    """

    port: int
    worker: int | None
    why: str


async def visit(target: Target, worker: int, port: int, context: ssl.SSLContext) -> Answer:
    """Ask for a worker's canary.

    Args:
        port: to come from; 0 for any.
        context: of connections with TLS.

    Raises:
        Refused, PortTaken
    """
    try:
        sock = trio.socket.socket(socket.AF_INET if target.address.version == 4 else socket.AF_INET6)
    except OSError as error:  # no descriptor is left, or the kernel has no such family
        raise Refused(f"this node can open no connection: {os.strerror(error.errno or 0).lower()}") from None
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        await _connect(sock, target, port)
        source: int = sock.getsockname()[1]
        host = canary_host(worker)
        stream: trio.SocketStream | trio.SSLStream[trio.SocketStream] = trio.SocketStream(sock)
        if target.tls:
            stream = trio.SSLStream(trio.SocketStream(sock), context, server_hostname=host, https_compatible=True)
        try:
            response, body = await _ask(stream, host)
        except (trio.BrokenResourceError, h11.RemoteProtocolError) as error:
            raise Refused(f"the connection broke off ({error.__cause__ or error})") from None
    return _judge(response, body, worker, source)


async def _connect(sock: trio.socket.SocketType, target: Target, port: int) -> None:
    address = str(target.address)
    try:
        await sock.bind((address, port))
        await sock.connect((address, target.port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE and port:
            raise PortTaken from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise Refused("the address is not one of this machine") from None
        raise Refused(os.strerror(error.errno or 0).lower()) from None


async def _ask(stream: trio.SocketStream | trio.SSLStream[trio.SocketStream], host: str) -> tuple[h11.Response, bytes]:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=CANARY_ANSWER_BYTES_MAX)
    request = h11.Request(method="GET", target="/", headers=[("host", host), ("connection", "close")])
    await stream.send_all((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
    response: h11.Response | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(bytes(await stream.receive_some(_READ_BYTES)))
        elif isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > CANARY_ANSWER_BYTES_MAX:
                raise Refused(f"its answer has more than {CANARY_ANSWER_BYTES_MAX} bytes")
        elif response is not None:
            return response, bytes(body)
        else:
            raise Refused("the connection ended without an answer")


def _judge(response: h11.Response, body: bytes, worker: int, port: int) -> Answer:
    named = dict(response.headers.raw_items()).get(WORKER_HEADER.encode(), b"")
    teller = int(named) if named.isdigit() and len(named) <= 4 else None
    if response.status_code == 200 and body == CANARY_BODY:
        return Answer(port, worker, "")
    return Answer(port, teller, f"it answers {response.status_code}: {body[:120].decode('utf-8', 'replace')}")
