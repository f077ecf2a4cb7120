"""A release on its way to one node: only what it lacks, several chunks at once.

The node keeps what arrived, so an upload that broke off goes on where it was: the next one asks what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import trio

from edged.errors import ProtocolError
from edged.limits import CHUNKS_PER_MESSAGE_MAX, UPLOAD_CALL_TIMEOUT_S, UPLOADS_MAX
from edged.nursery import plain_errors
from edged.publish.event import Show, Uploading
from registry.blob import Chunk


class Call(Protocol):
    async def __call__(self, name: str, /, **args: Any) -> Any: ...


class Frames(Protocol):
    """Where chunks are read, compressed as they go over the wire. Blocking."""

    def get_frame(self, chunk: Chunk) -> bytes: ...


class Upload:
    """One release, to one node.

    Args:
        call: to that node.
        chunks: distinct ones of the release.
        lease: keeps chunks at the node until the release is there.
    """

    def __init__(self, call: Call, frames: Frames, chunks: Sequence[Chunk], lease: str, show: Show) -> None:
        self._call = call
        self._frames = frames
        self._chunks = {chunk.digest: chunk for chunk in chunks}
        self._lease = lease
        self._show = show
        self.bytes_sent = 0
        self.bytes_saved = 0
        self._bytes_done = 0
        self._bytes_total = 0

    async def run(self) -> None:
        """Send what is missing.

        Raises:
            LinkError: the node went away; what arrived stays there.
            RemoteError: it does not want a chunk.
        """
        missing = await self._missing()
        self._bytes_total = sum(chunk.size for chunk in missing)
        self.bytes_saved = sum(chunk.size for chunk in self._chunks.values()) - self._bytes_total
        self._tell()
        left = iter(missing)
        with plain_errors():
            async with trio.open_nursery() as nursery:
                for _ in range(min(UPLOADS_MAX, len(missing))):
                    nursery.start_soon(self._send_all, left)

    async def _missing(self) -> list[Chunk]:
        digests = list(self._chunks)
        missing: list[Chunk] = []
        for start in range(0, len(digests), CHUNKS_PER_MESSAGE_MAX):
            asked = digests[start : start + CHUNKS_PER_MESSAGE_MAX]
            answer = await self._call("missing", digests=asked, lease=self._lease)
            if not isinstance(answer, (list, tuple)) or not set(answer) <= set(asked):
                raise ProtocolError("the node misses chunks that it was not asked about")
            missing += [self._chunks[digest] for digest in answer]
        return missing

    async def _send_all(self, chunks: Iterator[Chunk]) -> None:
        for chunk in chunks:
            frame = await trio.to_thread.run_sync(self._frames.get_frame, chunk)
            await self._call(
                "put_chunk", timeout_s=UPLOAD_CALL_TIMEOUT_S, digest=chunk.digest, size=chunk.size, frame=frame
            )
            self.bytes_sent += len(frame)
            self._bytes_done += chunk.size
            self._tell()

    def _tell(self) -> None:
        self._show(Uploading(self._bytes_done, self._bytes_total, self.bytes_sent, self.bytes_saved))
