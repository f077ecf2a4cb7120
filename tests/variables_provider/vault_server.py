"""A server on a loopback port that speaks the part of Vault's HTTP API that reads secrets (KV, version 2)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import h11
import trio

TOKEN = "hvs.hunter2"


class VaultServer:
    """Secrets by mount and path: `secrets["secret", "api_key"] = {"value": "..."}`.

    Attributes:
        url: where it listens.
        paths: of the requests that came, in order.
        answer: status and body for every request that shows the right token, instead of a secret.
    """

    def __init__(self) -> None:
        self.url = ""
        self.secrets: dict[tuple[str, str], dict[str, Any] | None] = {}
        self.paths: list[str] = []
        self.answer: tuple[int, bytes] | None = None
        self.headers: list[dict[str, str]] = []

    def respond(self, method: str, path: str, token: str | None) -> tuple[int, bytes]:
        """What Vault says, by its API documentation."""
        self.paths.append(path)
        if token != TOKEN:
            return 403, json.dumps({"errors": ["permission denied"]}).encode()
        if self.answer is not None:
            return self.answer
        parts = path.removeprefix("/v1/").split("/data/", 1)
        if method != "GET" or len(parts) != 2 or tuple(parts) not in self.secrets:
            return 404, json.dumps({"errors": []}).encode()
        secret = self.secrets[parts[0], parts[1]]
        metadata = {"created_time": "2026-01-01T00:00:00Z", "deletion_time": "", "destroyed": False, "version": 1}
        # Of a deleted version only what describes it is left.
        status = 404 if secret is None else 200
        return status, json.dumps({"request_id": "r", "data": {"data": secret, "metadata": metadata}}).encode()

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            connection = h11.Connection(h11.SERVER)
            while True:
                request = await self._next(connection, stream)
                if not isinstance(request, h11.Request):
                    return
                headers = {name.decode(): value.decode() for name, value in request.headers}
                self.headers.append(headers)
                while not isinstance(await self._next(connection, stream), h11.EndOfMessage):
                    pass
                status, body = self.respond(
                    request.method.decode(), request.target.decode(), headers.get("x-vault-token")
                )
                fields = [("content-type", "application/json"), ("content-length", str(len(body)))]
                head = h11.Response(status_code=status, headers=fields)
                data = b"".join(
                    connection.send(event) or b"" for event in (head, h11.Data(data=body), h11.EndOfMessage())
                )
                try:
                    await stream.send_all(data)
                except trio.BrokenResourceError:
                    return
                connection.start_next_cycle()

    async def _next(self, connection: h11.Connection, stream: trio.SocketStream) -> Any:
        while (event := connection.next_event()) is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(65536))
        return event


@asynccontextmanager
async def vault_server() -> AsyncIterator[VaultServer]:
    """A server while the block runs."""
    server = VaultServer()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, server.serve, 0, host="127.0.0.1"))
        server.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        yield server
        nursery.cancel_scope.cancel()
