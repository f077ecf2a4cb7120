"""The admin API as an ASGI application: what a path answers with.

All of it is read-only, GET and HEAD. An error has the shape that all JSON errors of edged have.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edged.admin.loop_metrics import Loop
from edged.admin.metrics import CONTENT_TYPE as METRICS_TYPE
from edged.admin.metrics import metrics_text
from edged.admin.page import page
from edged.status.view import StatusView
from edged.version import VERSION

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    # The page has its style inside and loads nothing: whatever an app is called, nothing of it can run.
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Source:
    """Where the answers come from.

    Attributes:
        status: of the fleet, as this node knows it.
        not_ready: why this node does not serve; empty if it does.
        loop: of this node.
        tls_days: that its clients' certificates are good for, by host.
    """

    status: Callable[[], StatusView]
    not_ready: Callable[[], str]
    loop: Callable[[], Loop] = Loop
    tls_days: Callable[[], Mapping[str, float]] = dict


def _json(value: object, status: int = 200) -> Answer:
    return Answer(status, _JSON, json.dumps(value, indent=2).encode() + b"\n")


def _error(status: int, code: str, message: str, remedy: str) -> Answer:
    return _json({"code": code, "message": message, "remedy": remedy}, status)


def _ready(source: Source) -> Answer:
    reason = source.not_ready()
    return Answer(503, _TEXT, f"{reason}\n".encode()) if reason else Answer(200, _TEXT, b"ok\n")


def _app(source: Source, name: str) -> Answer:
    found = source.status().app(name)
    if found is None:
        return _error(404, "app.unknown", "no such app", "See /v1/apps for those there are.")
    return _json(asdict(found))


@dataclass(frozen=True, slots=True)
class _Path:
    answer: Callable[[Source], Answer]
    summary: str
    content_type: str
    may_be_503: bool = False


_PATHS: Mapping[str, _Path] = {
    "/": _Path(lambda source: Answer(200, _HTML, page(source.status())), "The status as a page", _HTML),
    "/v1/status": _Path(lambda source: _json(source.status().as_plain()), "Fleet, regions, nodes, apps, alarms", _JSON),
    "/v1/apps": _Path(lambda source: _json(source.status().as_plain()["apps"]), "The apps of the fleet", _JSON),
    "/v1/nodes": _Path(lambda source: _json(source.status().as_plain()["nodes"]), "The nodes of the fleet", _JSON),
    "/metrics": _Path(
        lambda source: Answer(200, METRICS_TYPE, metrics_text(source.status(), source.loop(), source.tls_days())),
        "For Prometheus",
        METRICS_TYPE,
    ),
    "/healthz": _Path(lambda _: Answer(200, _TEXT, b"ok\n"), "Whether the supervisor answers", _TEXT),
    "/readyz": _Path(_ready, "Whether this node serves what it should", _TEXT, may_be_503=True),
    "/openapi.json": _Path(lambda _: _json(openapi()), "This description", _JSON),
}
_APP_PREFIX = "/v1/apps/"


def openapi() -> dict[str, Any]:
    """The API in OpenAPI 3.1."""

    def operation(summary: str, content_type: str, **others: str) -> dict[str, Any]:
        responses = {"200": {"description": summary, "content": {content_type.partition(";")[0]: {}}}}
        responses |= {status: {"description": description} for status, description in others.items()}
        return {"get": {"summary": summary, "responses": responses}}

    paths = {
        path: operation(known.summary, known.content_type, **({"503": "It does not"} if known.may_be_503 else {}))
        for path, known in _PATHS.items()
    }
    app = operation("One app", _JSON, **{"404": "There is no such app"})
    app["get"]["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
    paths[_APP_PREFIX + "{name}"] = app
    return {"openapi": "3.1.0", "info": {"title": "edged node", "version": VERSION}, "paths": paths}


def answer(source: Source, method: str, path: str) -> Answer:
    """What a request is answered with."""
    if method not in ("GET", "HEAD"):
        return _error(405, "http.method-not-allowed", "this API is read-only", "Send GET or HEAD.")
    known = _PATHS.get(path)
    if known is not None:
        return known.answer(source)
    if path.startswith(_APP_PREFIX):
        return _app(source, path.removeprefix(_APP_PREFIX))
    return _error(404, "http.not-found", "there is nothing at this path", "See /openapi.json for what there is.")


Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


def application(source: Source) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The same for any ASGI server (ASGI 3.0, HTTP)."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":  # a WebSocket: the server answers 403 when nothing is sent
            return
        given = answer(source, scope["method"], scope["path"])
        headers = [
            (b"content-type", given.content_type.encode()),
            (b"content-length", str(len(given.body)).encode()),
            *_HEADERS,
        ]
        await send({"type": "http.response.start", "status": given.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else given.body
        await send({"type": "http.response.body", "body": body})

    return run


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
