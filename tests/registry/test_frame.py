"""Frames: what comes from elsewhere costs no more memory than a chunk."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
import zstandard

from registry.errors import FrameInvalid
from registry.frame import decode_frame, encode_frame, frame_bytes_max
from registry.limits import CHUNK_BYTES_MAX, FRAME_BYTES_MAX

NOISE = random.Random(3).randbytes(CHUNK_BYTES_MAX)
TEXT = b"some text, " * 1_000


@pytest.mark.parametrize("data", [b"x", TEXT, NOISE, bytes(CHUNK_BYTES_MAX)], ids=["one", "text", "noise", "zeros"])
def test_round_trip(data: bytes) -> None:
    frame = encode_frame(data)
    assert decode_frame(frame) == decode_frame(frame, len(data)) == data
    assert len(frame) <= frame_bytes_max(len(data)) <= FRAME_BYTES_MAX


def test_every_cut_of_a_frame_is_refused() -> None:
    frame = encode_frame(TEXT)
    for end in range(len(frame)):
        with pytest.raises(FrameInvalid):
            decode_frame(frame[:end], len(TEXT))


def test_every_changed_byte_is_refused_or_gives_as_many_bytes() -> None:
    frame = encode_frame(TEXT)
    for place in range(len(frame)):
        changed = bytearray(frame)
        changed[place] ^= 0x41
        try:
            assert len(decode_frame(bytes(changed), len(TEXT))) == len(TEXT)
        except FrameInvalid:
            continue


def _bomb() -> bytes:
    return zstandard.ZstdCompressor(level=19).compress(bytes(1024 * CHUNK_BYTES_MAX // 8))


def _silent() -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(TEXT)


def _windowed() -> bytes:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(TEXT) + compressor.flush()


def _padded() -> bytes:
    """Empty blocks before the last one: a frame as long as one likes."""
    frame = encode_frame(b"x")
    head = len(frame) - 3 - 1  # a raw block: three bytes of header, one of content
    return frame[:head] + bytes(3) * 200 + frame[head:]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"plain",
        encode_frame(TEXT) + b"x",
        encode_frame(TEXT) * 2,
        b"\x50\x2a\x4d\x18\x04\0\0\0abcd",  # skippable (RFC 8878 3.1.2)
        b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + encode_frame(TEXT),
        encode_frame(b""),
        zstandard.ZstdCompressor().compress(bytes(CHUNK_BYTES_MAX + 1)),
        _bomb(),
        _silent(),
        _windowed(),
        _padded(),
        b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8,  # says 16 exabytes
    ],
    ids=[
        "empty",
        "plain",
        "more",
        "two",
        "skip",
        "skip-first",
        "none",
        "over",
        "bomb",
        "silent",
        "window",
        "pad",
        "lie",
    ],
)
def test_frames_that_are_refused(frame: bytes) -> None:
    with pytest.raises(FrameInvalid):
        decode_frame(frame)


def test_padding_within_the_bound_is_the_same_chunk() -> None:
    frame = _padded()
    head = len(frame) - 3 - 1
    assert decode_frame(frame[: head - 3 * 199] + frame[head:]) == b"x"


def test_another_size_than_announced() -> None:
    with pytest.raises(FrameInvalid, match="holds 11000 bytes, not 11001"):
        decode_frame(encode_frame(TEXT), len(TEXT) + 1)


def test_a_dictionary_is_refused() -> None:
    words = zstandard.ZstdCompressionDict(b"some text, " * 100, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    trained = zstandard.train_dictionary(1_000, [b"%d some text %d" % (number, number * 7) for number in range(1_000)])
    assert trained.dict_id() != 0
    with pytest.raises(FrameInvalid, match="dictionary"):
        decode_frame(zstandard.ZstdCompressor(dict_data=trained).compress(TEXT))
    # One that does not say so gives other bytes or none, which the digest then tells.
    frame = zstandard.ZstdCompressor(dict_data=words).compress(TEXT)
    with suppress(FrameInvalid):
        assert decode_frame(frame) != TEXT
