"""Providers by name, and reading what they say: from their metadata service, another URL, or a file.

One more provider is one more module with `URL` and `parse`, and one line here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import trio

from bgp.errors import MetadataInvalid, MetadataUnavailable
from bgp.limits import METADATA_BYTES_MAX, METADATA_TIMEOUT_S
from bgp.metadata import equinix, vultr
from bgp.metadata.provider_sessions import ProviderSessions

if TYPE_CHECKING:
    import httpx

_OK = 200
_LOOK = "Look at what the source under [bgp.metadata] answers: it is another service, or answers in part only."


@dataclass(frozen=True, slots=True)
class Provider:
    """Attributes:
    url: of its metadata service, as a machine there reaches it.
    parse: from a JSON object to sessions; raises MetadataInvalid. Pure.
    """

    url: str
    parse: Callable[[dict[str, Any]], ProviderSessions]


PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        "equinix": Provider(equinix.URL, equinix.parse),
        "vultr": Provider(vultr.URL, vultr.parse),
    }
)


async def fetch(
    provider: Provider, source: str = "", *, transport: httpx.AsyncBaseTransport | None = None
) -> ProviderSessions:
    """Read and parse a provider's metadata, once: trying again is the caller's.

    Args:
        source: `http://` or `https://` URL, or path of a file; "" for the provider's own service.
        transport: in place of the network, for tests.

    Raises:
        MetadataUnavailable: it could not be read, was too large, or took too long.
        MetadataInvalid: it describes no session.
    """
    source = source or provider.url
    if source.startswith(("http://", "https://")):
        content = await _get(source, transport)
    else:
        content = await trio.to_thread.run_sync(_read, Path(source))
    return await trio.to_thread.run_sync(lambda: provider.parse(_document(content)))  # a megabyte takes 10 ms


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise MetadataInvalid("the metadata is no JSON", remedy=_LOOK) from None
    if not isinstance(document, dict):
        raise MetadataInvalid("the metadata is no JSON object", remedy=_LOOK)
    return document


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(METADATA_BYTES_MAX + 1)
    except OSError as error:
        raise MetadataUnavailable(f"{file}: {error.strerror}") from error
    return _capped(content, str(file))


def _client(transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    """Blocks: importing httpx takes a sixth of a second, which only nodes with a provider's metadata should pay, and
    reading certificates 20 ms.
    """
    import httpx  # noqa: PLC0415

    # A proxy of the environment must not see the password, and could not reach a link-local address.
    return httpx.AsyncClient(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        headers={"accept": "application/json", "accept-encoding": "identity"},
    )


async def _get(url: str, transport: httpx.AsyncBaseTransport | None) -> bytes:
    client = await trio.to_thread.run_sync(_client, transport)
    import httpx  # noqa: PLC0415 - it is there by now

    shown = _shown(url)
    content = bytearray()
    try:
        # The generators inside httpx are ended only by what is raised in them, so nothing else may end this loop: the
        # next read is cancelled, be it for time or for size.
        with trio.move_on_after(METADATA_TIMEOUT_S) as late, trio.CancelScope() as too_large:
            async with client, client.stream("GET", url, timeout=None) as response:
                if response.status_code != _OK:
                    raise MetadataUnavailable(f"{shown} answered {response.status_code}")
                # Raw: an answer must not grow by being decompressed.
                async for part in response.aiter_raw():
                    content += part
                    if len(content) > METADATA_BYTES_MAX:
                        too_large.cancel()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise MetadataUnavailable(f"{shown}: {_reason(error)}") from error
    if late.cancelled_caught:
        raise MetadataUnavailable(f"{shown} did not answer in {METADATA_TIMEOUT_S:g} s")
    return _capped(bytes(content), shown)


def _reason(error: BaseException) -> str:
    """What is said nearest to the failure: httpx says nothing about TLS itself, only those below it do."""
    while not str(error) and (below := error.__cause__ or error.__context__) is not None:
        error = below
    return str(error) or type(error).__name__


def _shown(url: str) -> str:
    """Without what may be a secret: a password in front of the host, and the query."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _capped(content: bytes, source: str) -> bytes:
    if len(content) > METADATA_BYTES_MAX:
        raise MetadataUnavailable(f"{source} has more than {METADATA_BYTES_MAX} bytes")
    return content
