"""`wasi:http/types` 0.3: constructors, static functions, and which class stands for which resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from edged.host.channel import FutureReader, StreamReader
from edged.host.http.fields import Entry
from edged.host.interface import Err, Interface, Invocation, Ok, Resource
from edged.host.wasi3 import VERSIONS
from edged.host.wasi3.http.fields import Fields
from edged.host.wasi3.http.message import Body, Request, RequestOptions, Response
from edged.host.wasi3.promise import Promise


class HttpTypes(Interface):
    """`wasi:http/types`."""

    wit: ClassVar[str] = "wasi:http/types"
    versions: ClassVar[tuple[str, ...]] = VERSIONS
    resources: ClassVar[Mapping[str, type[Resource]]] = {
        "fields": Fields,
        "request": Request,
        "request-options": RequestOptions,
        "response": Response,
    }

    def fields_constructor(self, invocation: Invocation) -> Fields:
        return Fields(budget=invocation.budget)

    def fields_from_list(self, invocation: Invocation, entries: list[Entry]) -> Fields:
        return Fields.from_entries(entries, invocation.budget)

    def request_new(
        self,
        _invocation: Invocation,
        headers: Fields,
        contents: StreamReader | None,
        trailers: FutureReader[Ok | Err],
        options: RequestOptions | None,
    ) -> tuple[Request, Promise]:
        sent = Promise()
        return Request(headers, contents, trailers, options, sent), sent

    def request_consume_body(self, _invocation: Invocation, this: Request, res: FutureReader[Ok | Err]) -> Body:
        return this.consume(res)

    def request_options_constructor(self, _invocation: Invocation) -> RequestOptions:
        return RequestOptions()

    def response_new(
        self,
        _invocation: Invocation,
        headers: Fields,
        contents: StreamReader | None,
        trailers: FutureReader[Ok | Err],
    ) -> tuple[Response, Promise]:
        sent = Promise()
        return Response(headers, contents, trailers, sent), sent

    def response_consume_body(self, _invocation: Invocation, this: Response, res: FutureReader[Ok | Err]) -> Body:
        return this.consume(res)
