"""A server that the operator has named in the runtime config, asked with JSON over HTTP. It is trusted, but bounded.

    post ── a place in the pool ── connection, kept ── POST, JSON ─► ◄─ status, JSON ── Answer

Redirects are not followed, since they would carry the token along, and the environment's proxies are not used. What it
says of a failure is for guests: neither the address nor the token is in it.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import trio

if TYPE_CHECKING:
    import httpcore


class ServiceFailed(Exception):
    """No answer. The message is for the guest."""


class Answer(NamedTuple):
    """What the server said.

    Attributes:
        body: parsed; None where it is no JSON.
    """

    status: int
    body: Any


class JsonService:
    """One server and the connections to it. For all tasks of an app.

    Args:
        url: http or https. Its path counts only for relative paths, as with a link.
        token: sent as a bearer token; empty for none.
        connections_max: requests at once; more wait.
        answer_bytes_max: of one answer.
        timeout_s: for one answer, waiting for a connection included.
        tls: by what an https server is trusted; None for the authorities that the system trusts.

    Raises:
        ValueError: it cannot be asked by this URL or with this token. The message is a clause that follows the URL.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        connections_max: int,
        answer_bytes_max: int,
        timeout_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        _check(url)
        if not (token.isascii() and (token.isprintable() or not token)):
            raise ValueError("has a token that no header can carry")
        self._url = url
        self._authority = urlsplit(url).netloc
        self._token = token
        self._connections_max = connections_max
        self._answer_bytes_max = answer_bytes_max
        self._timeout_s = timeout_s
        self._tls = tls
        self._pool: httpcore.AsyncConnectionPool | None = None
        self._sockets: list[trio.socket.SocketType] = []
        self._closed = False

    def close(self) -> None:
        """Close all connections; who still waits for an answer gets none. Idempotent."""
        self._closed = True
        for connected in self._sockets:
            connected.close()
        self._sockets.clear()

    async def post(self, path: str, value: object) -> Answer:
        """Ask, and wait for the whole answer, whatever its status is.

        Args:
            path: with a `/` first it takes the place of the URL's own.

        Raises:
            ServiceFailed
        """
        import httpcore  # noqa: PLC0415 - 30 ms, which an app that asks nobody should not pay at its start

        content = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
        headers = [
            ("host", self._authority),
            ("content-type", "application/json"),
            ("content-length", str(len(content))),
            ("accept", "application/json"),
            ("accept-encoding", "identity"),
            *([("authorization", f"Bearer {self._token}")] if self._token else []),
        ]
        body = bytearray()
        with trio.move_on_after(self._timeout_s) as timeout:
            try:
                pool = await self._connected()
                async with pool.stream("POST", urljoin(self._url, path), headers=headers, content=content) as response:
                    # The generators inside httpcore are ended by what is raised in them: too much cancels the read.
                    with trio.CancelScope() as too_large:
                        async for chunk in response.aiter_stream():
                            body += chunk
                            if len(body) > self._answer_bytes_max:
                                too_large.cancel()
                status = response.status
            except (httpcore.NetworkError, httpcore.ProtocolError, trio.ClosedResourceError, UnicodeError) as error:
                raise ServiceFailed(f"could not be asked: {type(error).__name__}") from None
        if timeout.cancelled_caught:
            raise ServiceFailed(f"did not answer within {self._timeout_s:g} s")
        if len(body) > self._answer_bytes_max:
            raise ServiceFailed(f"answered with more than {self._answer_bytes_max} bytes")
        return Answer(status, _parsed(body))

    async def _connected(self) -> httpcore.AsyncConnectionPool:
        if self._closed:
            raise ServiceFailed("is not asked any more")
        if self._tls is None:
            # Reads some hundred certificates, for which the loop would wait.
            self._tls = await trio.to_thread.run_sync(ssl.create_default_context)
        if self._pool is None:
            self._pool = _pool(self._connections_max, self._tls, self._keep)
        return self._pool

    def _keep(self, connected: trio.socket.SocketType) -> None:
        if self._closed:
            connected.close()
        self._sockets = [one for one in self._sockets if one.fileno() != -1] + [connected]


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not url.isascii():
        raise ValueError("is no http:// or https:// URL")
    if "@" in parts.netloc:
        raise ValueError("has a user name or password, which belongs elsewhere")


def _parsed(body: bytearray) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _pool(
    connections_max: int, tls: ssl.SSLContext, keep: Callable[[trio.socket.SocketType], None]
) -> httpcore.AsyncConnectionPool:
    """A pool that tells of its sockets, since it can be closed in a task only, and an app is closed in none."""
    import httpcore  # noqa: PLC0415 - as above

    class Backend(httpcore.TrioBackend):
        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
        ) -> httpcore.AsyncNetworkStream:
            stream = await super().connect_tcp(host, port, timeout, local_address, socket_options)
            keep(stream.get_extra_info("socket"))
            return stream

    return httpcore.AsyncConnectionPool(tls, max_connections=connections_max, network_backend=Backend())
