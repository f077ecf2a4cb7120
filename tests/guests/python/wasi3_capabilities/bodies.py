"""Bodies of requests and responses as streams."""

import componentize_py_async_support as async_support
from componentize_py_async_support.streams import ByteStreamReader, ByteStreamWriter
from componentize_py_types import Ok
from spin_sdk import wit
from spin_sdk.wit.imports import wasi_clocks_monotonic_clock_0_3_0 as clock
from spin_sdk.wit.imports.wasi_http_types_0_3_0 import Fields, Request, Response

PIECE_BYTES = 16 * 1024
NANOSECONDS = 1_000_000  # in a millisecond


def sent():
    return wit.result_unit_wasi_http_types_0_3_0_error_code_future(lambda: Ok(None))[1]


def no_trailers():
    return wit.result_option_wasi_http_types_0_3_0_fields_wasi_http_types_0_3_0_error_code_future(lambda: Ok(None))[1]


async def read(message: Request | Response) -> bytes:
    """All of a body."""
    body, trailers = type(message).consume_body(message, sent())
    content = bytearray()
    with body, trailers:
        while not body.writer_dropped:
            content += await body.read(PIECE_BYTES)
    return bytes(content)


def respond(status: int, body: ByteStreamReader) -> Response:
    headers = Fields.from_list([("content-type", b"text/plain; charset=utf-8")])
    response, _ = Response.new(headers, body, no_trailers())
    response.set_status_code(status)
    return response


def answer(status: int, content: bytes) -> Response:
    writer, reader = wit.byte_stream()
    async_support.spawn(_write(writer, content))
    return respond(status, reader)


async def _write(writer: ByteStreamWriter, content: bytes) -> None:
    with writer:
        await writer.write_all(content)


def echo(request: Request) -> Response:
    """The request's body, as it comes."""
    writer, reader = wit.byte_stream()
    async_support.spawn(_copy(request, writer))
    return respond(200, reader)


async def _copy(request: Request, writer: ByteStreamWriter) -> None:
    body, trailers = Request.consume_body(request, sent())
    with writer, body, trailers:
        while not (body.writer_dropped or writer.reader_dropped):
            await writer.write_all(await body.read(PIECE_BYTES))


def output(request: Request, length: str) -> Response:
    """As many zero bytes."""
    return answer(200, bytes(int(length)))


def drip(request: Request, count: str, milliseconds: str) -> Response:
    """So many lines, with a pause before each."""
    writer, reader = wit.byte_stream()
    async_support.spawn(_drip(writer, int(count), int(milliseconds)))
    return respond(200, reader)


async def _drip(writer: ByteStreamWriter, count: int, milliseconds: int) -> None:
    with writer:
        for number in range(count):
            await clock.wait_for(milliseconds * NANOSECONDS)
            await writer.write_all(f"{number}\n".encode())


ROUTES = {"drip": drip, "echo": echo, "output": output}
