"""aioquic's client state machine on a UDP socket."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import trio
import trio.testing
import trustme
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated

from edged.http.exchange import Header

GET: list[Header] = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/")]
POST: list[Header] = [(b":method", b"POST"), *GET[1:]]


class Client:
    """One QUIC connection; what arrives is kept by stream."""

    def __init__(self, address: tuple[str, int], authority: trustme.CA, server_name: str = "localhost") -> None:
        configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name=server_name)
        configuration.load_verify_locations(cadata=authority.cert_pem.bytes())
        self.quic = QuicConnection(configuration=configuration)
        self.h3: H3Connection | None = None
        self.events: list[Any] = []
        self.received: list[bytes] = []
        self.deaf = False
        """Take no more datagrams, as a client that is gone."""
        self.terminated: ConnectionTerminated | None = None
        self._address = address
        self._socket = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
        self._news = trio.Event()

    async def run(self) -> None:
        with self._socket:
            await self._run()

    async def _run(self) -> None:
        await self._socket.bind(("127.0.0.1", 0))
        self.quic.connect(self._address, now=trio.current_time())
        self.flush()
        while self.terminated is None:
            timer = self.quic.get_timer()
            with trio.CancelScope(deadline=math.inf if timer is None else timer):
                data, address = await self._socket.recvfrom(65536)
                if self.deaf:
                    continue
                self.received.append(data)
                self.quic.receive_datagram(data, address, trio.current_time())
            if timer is not None and trio.current_time() >= timer:
                self.quic.handle_timer(trio.current_time())
            while (event := self.quic.next_event()) is not None:
                self.take(event)
            self.flush()

    def take(self, event: Any) -> None:
        if isinstance(event, ProtocolNegotiated):
            self.h3 = H3Connection(self.quic)
        if isinstance(event, ConnectionTerminated):
            self.terminated = event
        self.events.append(event)
        if self.h3 is not None:
            self.events += self.h3.handle_event(event)
        self._news.set()
        self._news = trio.Event()

    def flush(self) -> None:
        for data, address in self.quic.datagrams_to_send(trio.current_time()):
            with suppress(OSError):
                self._socket._sock.sendto(data, address)  # type: ignore[attr-defined]

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(600):
            while not condition():
                await self._news.wait()

    async def request(self, fields: Sequence[Header] = GET, body: bytes | None = None, *, end: bool = True) -> int:
        await self.until(lambda: self.h3 is not None)
        assert self.h3 is not None
        stream_id = self.quic.get_next_available_stream_id()
        self.h3.send_headers(stream_id, list(fields), end_stream=body is None and end)
        if body is not None:
            self.h3.send_data(stream_id, body, end)
        self.flush()
        return stream_id

    def of(self, stream_id: int, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind) and event.stream_id == stream_id]

    def body(self, stream_id: int) -> bytes:
        return b"".join(event.data for event in self.of(stream_id, DataReceived))

    def headers(self, stream_id: int) -> dict[bytes, bytes]:
        return dict(self.of(stream_id, HeadersReceived)[0].headers)

    async def answer(self, stream_id: int) -> tuple[int, bytes]:
        await self.until(lambda: any(event.stream_ended for event in self.of(stream_id, H3Event)))
        return int(self.headers(stream_id)[b":status"]), self.body(stream_id)
