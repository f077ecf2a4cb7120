"""A first app for WASI 0.3: a greeting, and a response that is still being made while its first lines arrive."""

import itertools

import componentize_py_async_support as async_support
from componentize_py_async_support.streams import ByteStreamWriter
from componentize_py_types import Ok
from spin_sdk import http, wit
from spin_sdk.http import Request, Response
from spin_sdk.wit.imports import wasi_clocks_monotonic_clock_0_3_0 as clock
from spin_sdk.wit.imports.wasi_http_types_0_3_0 import Fields
from spin_sdk.wit.imports.wasi_http_types_0_3_0 import Request as WasiRequest
from spin_sdk.wit.imports.wasi_http_types_0_3_0 import Response as WasiResponse

SECOND = 1_000_000_000  # in the clock's nanoseconds
START_MAX = 60

served = itertools.count(1)
"""Requests of this instance: it serves many, one after the other and at once, and what is global stays."""


class HttpHandler(http.Handler):
    async def handle(self, request: WasiRequest) -> WasiResponse:
        """Every request. Those that need no stream go to `handle_request`, where bodies are plain bytes."""
        # The manifest's route /countdown/:from hands its segment over in a header; the other route has none.
        start = request.get_headers().get("spin-path-match-from")
        if start and start[0].isdigit() and int(start[0]) <= START_MAX:
            return countdown(int(start[0]))
        return await super().handle(request)

    async def handle_request(self, request: Request) -> Response:
        if request.uri != "/":
            return Response(404, {"content-type": "text/plain"}, f"Count down from 0 to {START_MAX}.\n".encode())
        text = f"Hello from Python and WASI 0.3! This instance has answered {next(served)} of these.\n"
        return Response(200, {"content-type": "text/plain"}, text.encode())


def countdown(start: int) -> WasiResponse:
    """A response whose body is written by a task that goes on after this has returned."""
    writer, reader = wit.byte_stream()
    async_support.spawn(count(writer, start))
    headers = Fields.from_list([("content-type", b"text/plain")])
    return WasiResponse.new(headers, reader, no_trailers())[0]


async def count(writer: ByteStreamWriter, start: int) -> None:
    """One line a second, until it is done or nobody listens any more."""
    with writer:
        for number in range(start, 0, -1):
            await writer.write_all(f"{number}\n".encode())
            if writer.reader_dropped:
                return
            await clock.wait_for(SECOND)
        await writer.write_all(b"Go!\n")


def no_trailers():
    return wit.result_option_wasi_http_types_0_3_0_fields_wasi_http_types_0_3_0_error_code_future(lambda: Ok(None))[1]
