"""Variables from the KV engine, version 2, of HashiCorp Vault or OpenBao.

    GET URL/v1/MOUNT/data/PREFIX/NAME    200 {"data": {"data": {"value": "..."}}}    404: it has no such secret

The field `value` of a secret with the variable's name is its value, as in Spin.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import trio

from edged.errors import VariablesUnavailable
from edged.limits import VAULT_REQUEST_COUNT_MAX, VAULT_RESPONSE_BYTES_MAX, VAULT_TIMEOUT_S
from edged.nursery import plain_errors
from edged.runtime_config.model import VaultVariables

if TYPE_CHECKING:
    import httpx

_STATUS_MEANING = {
    400: "it could not understand the request",
    403: "the token is wrong, has ended, or may not read it",
    429: "it has too much to do",
    503: "it is sealed or under maintenance",
}


@dataclass(frozen=True, slots=True)
class VaultProvider:
    """A `Provider` that asks a server.

    Attributes:
        config: where, and with which token.
        transport: what carries requests, if not the network.
    """

    config: VaultVariables
    transport: httpx.AsyncBaseTransport | None = field(default=None, compare=False)

    async def values(self, names: Collection[str]) -> Mapping[str, str]:
        import httpx  # noqa: PLC0415 - a sixth of a second, which an app without Vault should not pay at its start

        found: dict[str, str] = {}
        limiter = trio.CapacityLimiter(VAULT_REQUEST_COUNT_MAX)

        async def ask(client: httpx.AsyncClient, name: str) -> None:
            async with limiter:
                value = await self._value(client, name)
            if value is not None:
                found[name] = value

        # Proxies and passwords of the environment are not for this server, and a redirect would carry the token along.
        client = httpx.AsyncClient(
            transport=self.transport,
            verify=ssl.create_default_context(),
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # noqa: S113 - bounded below, for all of it and not for each step
            headers={"x-vault-token": self.config.token, "x-vault-request": "true", "accept-encoding": "identity"},
        )
        with trio.move_on_after(VAULT_TIMEOUT_S) as scope, plain_errors():
            async with client, trio.open_nursery() as nursery:
                for name in names:
                    nursery.start_soon(ask, client, name)
        if scope.cancelled_caught:
            raise self._failed(f"did not answer within {VAULT_TIMEOUT_S:g} s")
        return found

    async def _value(self, client: httpx.AsyncClient, name: str) -> str | None:
        import httpx  # noqa: PLC0415 - as above

        config = self.config
        path = "/".join(part for part in (config.prefix, name) if part)
        url = f"{config.url.rstrip('/')}/v1/{quote(config.mount)}/data/{quote(path)}"
        body = bytearray()
        try:
            async with client.stream("GET", url) as response:
                # The generators inside httpx are ended only by what is raised in them: too much cancels the next read.
                with trio.CancelScope() as too_large:
                    async for chunk in response.aiter_raw():
                        body += chunk
                        if len(body) > VAULT_RESPONSE_BYTES_MAX:
                            too_large.cancel()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Its message is not shown: it may hold the address with a password.
            raise self._failed(f"could not be asked: {type(error).__name__}") from None
        if len(body) > VAULT_RESPONSE_BYTES_MAX:
            raise self._failed(f"answered with more than {VAULT_RESPONSE_BYTES_MAX} bytes for `{path}`")
        if response.status_code == 404:
            return None
        if response.status_code != 200:
            meaning = _STATUS_MEANING.get(response.status_code, "")
            raise self._failed(f"answered {response.status_code} for `{path}`{meaning and ': ' + meaning}")
        return self._field(bytes(body), path)

    def _field(self, body: bytes, path: str) -> str:
        try:
            value: Any = json.loads(body)["data"]["data"]["value"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._failed(f"has `{path}`, but without a field `value`") from None
        if not isinstance(value, str):
            raise self._failed(f"has a `value` in `{path}` that is not a string")
        return value

    def _failed(self, text: str) -> VariablesUnavailable:
        parts = urlsplit(self.config.url)
        host = f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"
        return VariablesUnavailable(f"the variables provider vault at {host}, mount `{self.config.mount}`, {text}")
