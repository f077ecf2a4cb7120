"""Blobs: files as lists of chunks, cut where their content says so (docs/adr/0011).

A cut depends on the bytes around it and not on how far into the file they are. So a file with some bytes inserted has
the same chunks before and behind them, and only the chunks around the change are new.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from fastcdc import fastcdc

from registry.digest import Digest, digest_of
from registry.limits import CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, CHUNK_BYTES_TARGET

_WINDOW_BYTES = 4 * CHUNK_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Chunk:
    """Up to CHUNK_BYTES_MAX bytes, verified alone.

    Attributes:
        size: bytes, plain; 1 to CHUNK_BYTES_MAX.
    """

    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Blob:
    """One file. An empty one has no chunks; one of a single chunk has the chunk's digest.

    Attributes:
        digest: of all its bytes.
        size: bytes, plain: the sum of its chunks.
        chunks: in order.
    """

    digest: Digest
    size: int
    chunks: tuple[Chunk, ...]


def cut(file: BinaryIO) -> Iterator[bytes]:
    """The chunks of a file, plain. Holds 5 MiB of it, whatever its size.

    Raises:
        OSError: the file's own.
    """
    window = b""
    ended = False
    while not ended:
        # Raw files may give less than asked for; only nothing at all is the end.
        fresh = file.read(_WINDOW_BYTES)
        ended = not fresh
        window += fresh
        start = 0
        if window:
            for piece in fastcdc(window, CHUNK_BYTES_MIN, CHUNK_BYTES_TARGET, CHUNK_BYTES_MAX):
                # A cut is final once the cutter could have looked at a longest chunk; else it may be the window's end.
                if not ended and len(window) - start < CHUNK_BYTES_MAX:
                    break
                yield window[start : start + piece.length]
                start += piece.length
        window = window[start:]


def split(file: BinaryIO) -> Iterator[tuple[Chunk, bytes]]:
    """The chunks of a file with their plain bytes, in order. Holds 5 MiB of it, whatever its size.

    Raises:
        OSError: the file's own.
    """
    for data in cut(file):
        yield Chunk(digest_of(data), len(data)), data
