"""Chunks compressed: one zstd frame (RFC 8878) each, at rest and on the wire. Pure.

A frame from elsewhere may be a bomb. So before anything is decompressed its header must say how much comes out, and
that must be what the chunk is allowed; the frame may not be longer than zstd would make it of such a chunk; and the
output buffer is as large as the header says, past which zstd itself stops.
"""

from __future__ import annotations

import threading

import zstandard

from registry.errors import FrameInvalid
from registry.limits import CHUNK_BYTES_MAX, FRAME_OVERHEAD_BYTES, ZSTD_LEVEL


class _Contexts(threading.local):
    """A compressor and a decompressor for each thread: neither may be used by two at once."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor(max_window_size=CHUNK_BYTES_MAX)


_contexts = _Contexts()


def encode_frame(data: bytes) -> bytes:
    """Plain bytes as a frame that says its size."""
    return _contexts.compressor.compress(data)


def frame_bytes_max(size: int) -> int:
    """The longest frame of a chunk of that size: of bytes that do not get smaller."""
    return size + size // 128 + FRAME_OVERHEAD_BYTES


def decode_frame(frame: bytes, size: int | None = None) -> bytes:
    """The plain bytes of a frame. Their digest is the caller's to check.

    Args:
        size: what must come out, where that is known.

    Raises:
        FrameInvalid: not exactly one frame, without a dictionary, of that size, 1 to CHUNK_BYTES_MAX.
    """
    if not frame.startswith(zstandard.FRAME_HEADER):
        raise FrameInvalid("the chunk is not a zstd frame")
    try:
        header = zstandard.get_frame_parameters(frame)
    except zstandard.ZstdError as error:
        raise FrameInvalid(f"the chunk's zstd header is broken: {error}") from None
    # An unknown size is reported as the largest number there is, which is refused likewise.
    if not 1 <= header.content_size <= CHUNK_BYTES_MAX or header.window_size > CHUNK_BYTES_MAX:
        raise FrameInvalid("the chunk's zstd header asks for more than a chunk's memory, or does not say how much")
    if size is not None and header.content_size != size:
        raise FrameInvalid(f"the chunk holds {header.content_size} bytes, not {size}")
    if header.dict_id or len(frame) > frame_bytes_max(header.content_size):
        raise FrameInvalid("the chunk needs a dictionary, or is longer than zstd would make it")
    try:
        data = _contexts.decompressor.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FrameInvalid(f"the chunk cannot be decompressed: {error}") from None
    if len(data) != header.content_size:
        raise FrameInvalid(f"the chunk holds {len(data)} bytes, not the {header.content_size} that it says")
    return data
