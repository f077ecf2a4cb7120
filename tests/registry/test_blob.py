"""Cuts: the same whatever way the bytes come, few of them new after a change, bounded in size and memory."""

from __future__ import annotations

import io
import random
from typing import BinaryIO, cast

import pytest
from fastcdc import fastcdc

from registry.blob import split
from registry.digest import digest_of
from registry.limits import CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, CHUNK_BYTES_TARGET

NOISE = random.Random(7).randbytes(9 * 1024 * 1024 + 17)


class Dribble(io.RawIOBase):
    """A file that gives few bytes at a time, and says how far it was read ahead of what was taken."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data, self._step, self.offset = data, step, 0

    def read(self, size: int = -1) -> bytes:
        piece = self._data[self.offset : self.offset + min(size, self._step)]
        self.offset += len(piece)
        return piece


def test_cuts_are_those_of_the_whole_file() -> None:
    whole = [piece.length for piece in fastcdc(NOISE, CHUNK_BYTES_MIN, CHUNK_BYTES_TARGET, CHUNK_BYTES_MAX)]
    chunks = [chunk for chunk, _ in split(io.BytesIO(NOISE))]
    assert [chunk.size for chunk in chunks] == whole
    assert b"".join(data for _, data in split(io.BytesIO(NOISE))) == NOISE


@pytest.mark.parametrize("step", [4_099, 100_000, CHUNK_BYTES_MAX, len(NOISE)])
def test_cuts_do_not_depend_on_how_the_bytes_come(step: int) -> None:
    data = NOISE[: 3 * CHUNK_BYTES_MAX]
    dribbled = [chunk for chunk, _ in split(cast(BinaryIO, Dribble(data, step)))]
    assert dribbled == [chunk for chunk, _ in split(io.BytesIO(data))]


def test_bytes_come_one_by_one() -> None:
    data = NOISE[: CHUNK_BYTES_MIN + 100]
    assert b"".join(piece for _, piece in split(cast(BinaryIO, Dribble(data, 1)))) == data


@pytest.mark.parametrize("size", [1, CHUNK_BYTES_MIN, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 1, 5 * CHUNK_BYTES_MAX])
def test_bytes_that_are_never_cut_by_content(size: int) -> None:
    """Of equal bytes no place is like a cut: chunks are as long as they may be."""
    sizes = [chunk.size for chunk, data in split(io.BytesIO(bytes(size))) if chunk.digest == digest_of(data)]
    assert sum(sizes) == size
    assert max(sizes) <= CHUNK_BYTES_MAX
    assert all(size == CHUNK_BYTES_MAX for size in sizes[:-1])


def test_an_empty_file_has_no_chunks() -> None:
    assert list(split(io.BytesIO(b""))) == []


def test_an_insertion_leaves_most_chunks_as_they_were() -> None:
    before = {chunk.digest for chunk, _ in split(io.BytesIO(NOISE))}
    after = [chunk.digest for chunk, _ in split(io.BytesIO(NOISE[:4_000_000] + b"inserted" + NOISE[4_000_000:]))]
    assert len([digest for digest in after if digest not in before]) <= 3


def test_a_file_is_not_read_far_ahead() -> None:
    file = Dribble(NOISE, len(NOISE))
    pieces = split(cast(BinaryIO, file))
    next(pieces)
    assert file.offset <= 5 * CHUNK_BYTES_MAX
