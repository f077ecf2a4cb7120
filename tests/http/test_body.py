"""Request bodies: however the bytes arrive, the same body, and never a byte of the next request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.http.body import ChunkedBody, LengthBody, encode_chunk
from edged.http.exchange import BodyError, Header
from edged.limits import CHUNK_COUNT_PER_READ, CHUNK_LINE_BYTES_MAX, HEADER_BYTES_MAX, HEADER_COUNT_MAX

NEXT = b"GET /next HTTP/1.1\r\n\r\n"


def take_all(body: LengthBody | ChunkedBody, wire: bytes, *, step: int | None = None, bytes_max: int = 65536) -> bytes:
    """Feed the wire's bytes in steps, taking what there is after each; the rest must be NEXT."""
    buffer = bytearray()
    taken = b""
    step = step or len(wire)
    for start in range(0, len(wire), step):
        buffer += wire[start : start + step]
        while not body.complete and (data := body.take(buffer, bytes_max)):
            assert len(data) <= bytes_max
            taken += data
    assert body.complete
    assert bytes(buffer) == NEXT
    return taken


@pytest.mark.parametrize("step", [None, 1, 3])
@pytest.mark.parametrize("bytes_max", [1, 2, 65536])
def test_length(step: int | None, bytes_max: int) -> None:
    body = LengthBody(5)
    assert body.remaining() == 5
    assert take_all(body, b"hello" + NEXT, step=step, bytes_max=bytes_max) == b"hello"
    assert body.remaining() == 0
    assert body.trailers == ()


def test_no_body_is_complete_at_once() -> None:
    assert LengthBody(0).complete


def test_an_unfinished_length() -> None:
    body = LengthBody(5)
    assert body.take(bytearray(b"hell"), 100) == b"hell"
    assert body.take(bytearray(), 100) == b""
    assert (body.complete, body.remaining()) == (False, 1)


CHUNKED: list[tuple[bytes, bytes, list[Header]]] = [
    (b"0\r\n\r\n", b"", []),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello", []),
    (b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world", []),
    (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", []),
    (b"00a\r\n0123456789\r\n000\r\n\r\n", b"0123456789", []),
    (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", []),
    (b'1;name=value;other="q \\" x"\r\na\r\n0;last\r\n\r\n', b"a", []),
    (b"1\r\na\r\n0\r\nX-Sum: 1\r\nx-two:\t2 \r\n\r\n", b"a", [(b"x-sum", b"1"), (b"x-two", b"2")]),
    (b"0\r\nContent-Length: 9\r\nHost: b\r\nSpin-Full-Url: x\r\nx: y\r\n\r\n", b"", [(b"x", b"y")]),
]


@pytest.mark.parametrize(("wire", "data", "trailers"), CHUNKED)
@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize("bytes_max", [1, 3, 65536])
def test_chunked(wire: bytes, data: bytes, trailers: list[Header], step: int | None, bytes_max: int) -> None:
    body = ChunkedBody()
    assert body.remaining() is None
    assert take_all(body, wire + NEXT, step=step, bytes_max=bytes_max) == data
    assert list(body.trailers) == trailers


BROKEN = [
    b"\r\n",
    b"x\r\n",
    b"-1\r\n",
    b"+1\r\na\r\n",
    b"0x1\r\na\r\n",
    b" 1\r\na\r\n",
    b"1 \r\na\r\n",
    b"1\n",
    b"1\ra\r\n",
    b"1;a\nb\r\n",
    b"1;a\0\r\na\r\n",
    b"1 ;a\r\na\r\n",
    b"1\r\na\n",
    b"1\r\nabc",
    b"1\r\na0\r\n\r\n",
    b"1\r\na\rx",
    b"1000000000000000\r\n",
    b"0\r\nX: y\n\r\n",
    b"0\r\nX: y\r\n\n",
    b"0\r\n folded\r\n\r\n",
    b"0\r\nX : y\r\n\r\n",
    b"0\r\nno colon\r\n\r\n",
    b"0\r\n: y\r\n\r\n",
    b"0\r\nX: \0\r\n\r\n",
    b"0\r\nX: y\rz\r\n\r\n",
    b"0\r\nGET / HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("wire", BROKEN)
@pytest.mark.parametrize("step", [None, 1])
def test_broken_framing(wire: bytes, step: int | None) -> None:
    body = ChunkedBody()
    with pytest.raises(BodyError) as caught:
        take_all(body, wire, step=step)
    assert caught.value.status == 400


def test_the_longest_size_line() -> None:
    line = b"1;" + b"x" * (CHUNK_LINE_BYTES_MAX - 2)
    assert take_all(ChunkedBody(), line + b"\r\na\r\n0\r\n\r\n" + NEXT, step=1) == b"a"


@pytest.mark.parametrize("end", [b"\r\na\r\n0\r\n\r\n", b"xx"])
def test_a_longer_size_line(end: bytes) -> None:
    with pytest.raises(BodyError):
        ChunkedBody().take(bytearray(b"1;" + b"x" * (CHUNK_LINE_BYTES_MAX - 1) + end), 100)


def test_the_most_trailers() -> None:
    body = ChunkedBody()
    take_all(body, b"0\r\n" + b"x: y\r\n" * HEADER_COUNT_MAX + b"\r\n" + NEXT)
    assert len(body.trailers) == HEADER_COUNT_MAX


def test_one_trailer_more() -> None:
    with pytest.raises(BodyError):
        ChunkedBody().take(bytearray(b"0\r\n" + b"x: y\r\n" * (HEADER_COUNT_MAX + 1) + b"\r\n"), 100)


@pytest.mark.parametrize("name", [b"x", b"host"])
def test_the_longest_trailers(name: bytes) -> None:
    field = name + b": " + b"a" * (HEADER_BYTES_MAX - len(name) - 4) + b"\r\n"
    assert len(field) == HEADER_BYTES_MAX
    take_all(ChunkedBody(), b"0\r\n" + field + b"\r\n" + NEXT)


@pytest.mark.parametrize("name", [b"x", b"host"])
@pytest.mark.parametrize("count", [1, 2])
def test_longer_trailers(name: bytes, count: int) -> None:
    size = HEADER_BYTES_MAX // count + count
    field = name + b": " + b"a" * (size - len(name) - 4) + b"\r\n"
    with pytest.raises(BodyError):
        ChunkedBody().take(bytearray(b"0\r\n" + field * count + b"\r\n"), 100)


def test_many_small_chunks_are_not_taken_in_one_go() -> None:
    body = ChunkedBody()
    buffer = bytearray(encode_chunk(b"a") * (CHUNK_COUNT_PER_READ + 1))
    assert body.take(buffer, 65536) == b"a" * CHUNK_COUNT_PER_READ
    assert body.take(buffer, 65536) == b"a"


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.lists(st.tuples(st.sampled_from([b"x-a", b"x-b"]), st.sampled_from([b"", b"1", b"a b"])), max_size=2),
    st.lists(st.integers(1, 30), min_size=1, max_size=20),
    st.integers(1, 50),
)
def test_any_split_gives_the_same_body(
    chunks: list[bytes], trailers: list[Header], steps: list[int], bytes_max: int
) -> None:
    wire = b"".join(map(encode_chunk, chunks)) + b"0\r\n"
    wire += b"".join(name + b": " + value + b"\r\n" for name, value in trailers) + b"\r\n" + NEXT
    body = ChunkedBody()
    buffer = bytearray()
    taken = b""
    position = 0
    for step in [*steps, len(wire)]:
        buffer += wire[position : position + step]
        position += step
        while not body.complete and (data := body.take(buffer, bytes_max)):
            taken += data
    assert (taken, body.complete, list(body.trailers)) == (b"".join(chunks), True, trailers)
    assert bytes(buffer) == NEXT


@given(st.binary(max_size=60), st.integers(1, 60))
def test_garbage_is_the_same_however_it_arrives(wire: bytes, step: int) -> None:
    def outcome(size: int) -> tuple[bytes, bool, str | None]:
        body = ChunkedBody()
        buffer = bytearray()
        taken = b""
        try:
            for start in range(0, len(wire), size):
                buffer += wire[start : start + size]
                while not body.complete and (data := body.take(buffer, 7)):
                    taken += data
        except BodyError as error:
            return taken, False, str(error)
        return taken, body.complete, None

    whole, bytewise = outcome(len(wire) or 1), outcome(step)
    assert whole[1:] == bytewise[1:]


def test_encode_chunk() -> None:
    assert encode_chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
