"""The Python SDK 5 and what Spin adds to WASI. A path is one call: `/NAME/ARGUMENT...`, with the rest in the body.

The path is what follows the route's prefix, so that one manifest can give a guest two routes with their permissions.

What an interface refuses is answered with 403 and the error's case, as WIT spells it.
"""

from urllib.parse import unquote

import bodies
import outbound
import stores
import values
from componentize_py_types import Err
from spin_sdk.wit import exports
from spin_sdk.wit.imports.wasi_http_types_0_3_0 import Request, Response

ROUTES = {**outbound.ROUTES, **stores.ROUTES}


class HttpHandler(exports.HttpHandler):
    async def handle(self, request: Request) -> Response:
        (path,) = request.get_headers().get("spin-path-info")
        name, *arguments = map(unquote, path.decode().removeprefix("/").split("/"))
        if name in bodies.ROUTES:
            return bodies.ROUTES[name](request, *arguments)
        content = await bodies.read(request)
        try:
            return bodies.answer(200, await ROUTES[name](content, *arguments))
        except Err as error:
            return bodies.answer(403, values.failure(error.value).encode())
