"""The other end of a `BodySink`: the body of a request, read while a guest writes it.

    guest -> output-stream -> BodySink -> SinkReader -> Transport

One end is in the guest's task, the other in the transport's.
"""

from __future__ import annotations

from collections.abc import Sequence

from edged.host.http.outgoing_body import BodySink
from edged.http.exchange import ClientGone, Header


class SinkReader:
    """See `edged.host.http.transport.RequestBody`. For one task, another than the guest's."""

    __slots__ = ("_sink",)

    def __init__(self, sink: BodySink) -> None:
        self._sink = sink

    @property
    def length(self) -> int | None:
        sink = self._sink
        if sink.length is None and sink.finished and not sink.trailers:
            return sink.written
        return sink.length

    def receive_nowait(self, bytes_max: int) -> bytes | None:
        sink = self._sink
        if sink.aborted:
            raise ClientGone
        data = sink.take(bytes_max)
        return data if data or sink.finished else None

    async def receive(self, bytes_max: int) -> bytes:
        while (data := self.receive_nowait(bytes_max)) is None:
            await self._sink.wait_changed()
        return data

    def trailers(self) -> Sequence[Header]:
        return self._sink.trailers

    def close(self) -> None:
        self._sink.leave()
