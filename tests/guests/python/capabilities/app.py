"""The Python SDK and what Spin adds to WASI. One path is one call: `/NAME/ARGUMENT...`, with the rest in the body.

The path is what follows the route's prefix, so that one manifest can give a guest two routes with their permissions.

What an interface refuses is answered with 403 and the error's case, as WIT spells it.
"""

from urllib.parse import unquote

import outbound
import stores
import values
from spin_sdk import http
from spin_sdk.http import Request, Response
from spin_sdk.wit.types import Err

ROUTES = {"": lambda body: b"hello", **outbound.ROUTES, **stores.ROUTES}


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        name, *arguments = map(unquote, request.headers["spin-path-info"].removeprefix("/").split("/"))
        try:
            return answer(200, ROUTES[name](request.body or b"", *arguments))
        except Err as error:
            return answer(403, values.failure(error.value).encode())


def answer(status: int, content: bytes) -> Response:
    return Response(status, {"content-type": "text/plain; charset=utf-8"}, content)
