"""The Python SDK and what of WASI the standard library reaches through it. One path is one feature."""

import asyncio
import os
import sys
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

from spin_sdk import http
from spin_sdk.http import Request, Response
from spin_sdk.http.poll_loop import PollLoop, Sink, Stream
from spin_sdk.wit.imports.types import Fields, IncomingRequest, OutgoingResponse, ResponseOutparam
from spin_sdk.wit.types import Ok

seen = 0


class IncomingHandler(http.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        if request.path_with_query() == "/capitals":
            loop = PollLoop()
            asyncio.set_event_loop(loop)
            loop.run_until_complete(capitals(request, response_out))
        else:
            super().handle(request, response_out)

    def handle_request(self, request: Request) -> Response:
        path = urlsplit(request.uri).path
        feature, _, argument = path.removeprefix("/").partition("/")
        try:
            return text(200, FEATURES[feature](request, argument))
        except KeyError as error:
            return text(404, f"not there: {error}")
        except OSError as error:
            return text(403, f"{type(error).__name__}: errno {error.errno}")


async def capitals(request: IncomingRequest, response_out: ResponseOutparam) -> None:
    """Stream the body back in capitals, over the SDK's own poll loop."""
    response = OutgoingResponse(Fields.from_list([("content-type", b"text/plain")]))
    body = response.body()
    source = Stream(request.consume())
    ResponseOutparam.set(response_out, Ok(response))
    sink = Sink(body)
    while (piece := await source.next()) is not None:
        await sink.send(piece.upper())
    sink.close()


def text(status: int, content: str) -> Response:
    return Response(status, {"content-type": "text/plain; charset=utf-8"}, content.encode())


def count(request: Request, argument: str) -> str:
    global seen  # noqa: PLW0603 - that it starts again with each request is what the feature shows
    seen += 1
    return str(seen)


def log(request: Request, argument: str) -> str:
    print(f"to stdout: {argument}")
    print(f"to stderr: {argument}", file=sys.stderr)
    return "logged"


def write(request: Request, argument: str) -> str:
    Path("/", argument).write_text("written")
    return "written"


def fail(request: Request, argument: str) -> str:
    raise ValueError(f"raised on purpose: {argument}")


FEATURES = {
    "": lambda request, argument: "hello",
    "argv": lambda request, argument: repr(sys.argv),
    "count": count,
    "echo": lambda request, argument: (request.body or b"").decode(),
    "env": lambda request, argument: os.environ[argument],
    "fail": fail,
    "headers": lambda request, argument: "\n".join(f"{name}: {value}" for name, value in request.headers.items()),
    "list": lambda request, argument: "\n".join(sorted(os.listdir(Path("/", argument)))),
    "log": log,
    "random": lambda request, argument: str(uuid.uuid4()),
    "read": lambda request, argument: Path("/", argument).read_text(),
    "size": lambda request, argument: str(Path("/", argument).stat().st_size),
    "time": lambda request, argument: str(time.time()),
    "write": write,
}
