"""What reaches other machines: HTTP and Redis. Bodies are JSON."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import bodies
import values
from componentize_py_types import Err
from spin_sdk import http, redis
from spin_sdk.wit.imports import spin_redis_redis_3_0_0 as redis_types
from spin_sdk.wit.imports import wasi_http_client_0_3_0 as client
from spin_sdk.wit.imports.wasi_http_types_0_3_0 import Fields, Request, Scheme_Http


async def send(body: bytes) -> bytes:
    """`[method, url, body]`: the answer's status, headers and body."""
    method, url, content = json.loads(body)
    response = await http.send(http.Request(method, url, {}, content.encode()))
    return json.dumps([response.status, response.headers, values.to_json(response.body or b"")]).encode()


async def gather(body: bytes) -> bytes:
    """`[url, ...]`: all at once; each answer's status and length, or the error."""
    return json.dumps(await asyncio.gather(*map(_get, json.loads(body)))).encode()


async def _get(url: str) -> list[object]:
    parts = urlsplit(url)
    request, _ = Request.new(Fields(), None, bodies.no_trailers(), None)
    request.set_scheme(Scheme_Http())
    request.set_authority(parts.netloc)
    request.set_path_with_query(parts.path)
    try:
        response = await client.send(request)
    except Err as error:
        return [0, values.failure(error.value)]
    return [response.get_status_code(), len(await bodies.read(response))]


async def redis_(body: bytes) -> bytes:
    """`[address, [[name, ...], ...]]`: what each call gives. Values are text; `execute` takes variants."""
    address, calls = json.loads(body)
    with await redis.open(address) as connection:
        return json.dumps(values.to_json([await _redis_call(connection, *call) for call in calls])).encode()


async def _redis_call(connection: Any, name: str, subject: Any, *arguments: Any) -> object:
    if name in ("publish", "set"):
        arguments = tuple(argument.encode() for argument in arguments)
    elif name == "execute":
        arguments = ([values.from_json(redis_types, "RedisParameter", argument) for argument in arguments],)
    called: object = await getattr(connection, {"del": "del_"}.get(name, name))(subject, *arguments)
    return called


ROUTES = {"gather": gather, "redis": redis_, "send": send}
