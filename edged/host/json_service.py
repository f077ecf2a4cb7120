"""A server that the operator has named in the runtime config, asked with JSON over HTTP. It is trusted, but bounded.

Redirects are not followed, since they would carry the token along, and the environment's proxies are not used. What it
says of a failure is for guests: neither the address nor the token is in it.
"""

from __future__ import annotations

import json
import ssl
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from edged.host.http.error import HttpError, describe
from edged.host.http_client.client import HttpClient
from edged.host.http_client.fetch import fetch
from edged.host.network.dialer import Dialer
from edged.host.network.gate import ANYWHERE
from edged.host.network.trust import system_roots_http
from edged.limits import JSON_OBJECT_COUNT_MAX


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
        self._token = token
        self._answer_bytes_max = answer_bytes_max
        self._timeout_s = timeout_s
        self._client = HttpClient(
            Dialer(ANYWHERE),
            connections_max=connections_max,
            context_of=system_roots_http if tls is None else lambda _host: tls,
        )

    def close(self) -> None:
        """Close idle connections; nothing is asked any more. Idempotent."""
        self._client.close()

    async def post(self, path: str, value: object) -> Answer:
        """Ask, and wait for the whole answer, whatever its status is.

        Args:
            path: with a `/` first it takes the place of the URL's own.

        Raises:
            ServiceFailed
        """
        headers = [(b"content-type", b"application/json"), (b"accept", b"application/json")]
        if self._token:
            headers.append((b"authorization", b"Bearer " + self._token.encode()))
        try:
            answer = await fetch(
                self._client,
                "POST",
                urljoin(self._url, path),
                headers=headers,
                body=json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode(),
                timeout_s=self._timeout_s,
                body_bytes_max=self._answer_bytes_max,
            )
        except HttpError as error:
            raise ServiceFailed(self._reason(error)) from None
        if answer.body.count(b'{"') > JSON_OBJECT_COUNT_MAX:
            raise ServiceFailed(f"answered with more than {JSON_OBJECT_COUNT_MAX} values")
        return Answer(answer.status, _parsed(answer.body))

    def _reason(self, error: HttpError) -> str:
        match error.code:
            case "HTTP-response-timeout":
                return f"did not answer within {self._timeout_s:g} s"
            case ("HTTP-response-body-size", _):
                return f"answered with more than {self._answer_bytes_max} bytes"
            case code:
                return f"could not be asked: {describe(code)}"


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


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
