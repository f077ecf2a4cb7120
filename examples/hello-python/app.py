"""A first app: a page that shows how the request arrived, and a greeting."""

import sys
from html import escape
from urllib.parse import unquote

from spin_sdk import http
from spin_sdk.http import Request, Response

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Hello from edged</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 3rem auto; padding: 0 1rem; }}
  table {{ border-collapse: collapse; width: 100%; }}
  th, td {{ border-bottom: 1px solid #8884; padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top; }}
  @media (min-width: 40rem) {{ th {{ white-space: nowrap; }} }}
  td {{ font-family: ui-monospace, monospace; overflow-wrap: anywhere; }}
</style>
<h1>Hello from edged</h1>
<p>Python {python} answered, compiled to a WebAssembly component: a fresh instance for this request alone.</p>
<p>Try <a href="/hello/world">/hello/world</a>, or put your own name there. Then change <code>app.py</code>.</p>
<h2>How your request arrived</h2>
<table>
{rows}
</table>
"""


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        # The manifest's route /hello/:name hands its segment over in a header; the page's route has none.
        name = request.headers.get("spin-path-match-name")
        if name is None:
            return html(page(request))
        return text(f"Hello, {unquote(name)}!\n")


def page(request: Request) -> str:
    seen = [("method", request.method), ("path", request.uri), *sorted(request.headers.items())]
    rows = "\n".join(f"<tr><th>{escape(key)}<td>{escape(value)}" for key, value in seen)
    return PAGE.format(python=sys.version.split()[0], rows=rows)


def html(content: str) -> Response:
    return Response(200, {"content-type": "text/html; charset=utf-8"}, content.encode())


def text(content: str) -> Response:
    return Response(200, {"content-type": "text/plain; charset=utf-8"}, content.encode())
