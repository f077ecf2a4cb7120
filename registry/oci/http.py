"""An image in a registry, over HTTP (distribution-spec 1.1: pulling).

    manifest, read ── _get ──> GET ── 401 ──> token ──> GET again
                               └─ 30x ──> same host, or a public one over TLS ──> GET there, without our token

The operator named the registry, so it is dialled wherever it is. What it answers is a stranger's: it may not send us
to the operator's own network, and nothing of it is believed before its digest is checked (`registry.oci.image`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Final

import httpx
import trio

from registry.digest import digest_of
from registry.errors import OciDenied, OciInvalid, OciMissing, OciRedirectRefused, OciUnavailable, RegistryError
from registry.limits import (
    OCI_MANIFEST_BYTES_MAX,
    OCI_MANIFEST_TIMEOUT_S,
    OCI_READ_TIMEOUT_S,
    OCI_REDIRECT_COUNT_MAX,
    OCI_TOKEN_BYTES_MAX,
)
from registry.oci.challenge import Challenge, Credentials, parse_challenge
from registry.oci.document import parse_json
from registry.oci.image import Take
from registry.oci.manifest import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from registry.oci.reference import Reference

Resolve = Callable[[str], Awaitable[Collection[str]]]
"""Host name -> its IP addresses. Raises OSError where it has none."""

_ACCEPT: Final = ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_READ_BYTES: Final = 1 << 16


async def resolve_host(host: str) -> Collection[str]:
    """The addresses of a host, by the system's resolver."""
    return {str(info[4][0]) for info in await trio.socket.getaddrinfo(host, None, type=trio.socket.SOCK_STREAM)}


@asynccontextmanager
async def open_registry(
    reference: Reference,
    *,
    plain_http: bool = False,
    credentials: Credentials | None = None,
    hosts_allowed: Collection[str] = (),
    transport: httpx.AsyncBaseTransport | None = None,
    resolve: Resolve = resolve_host,
) -> AsyncIterator[RegistryImage]:
    """The image that `reference` names, for as long as the block lasts.

    Args:
        plain_http: no TLS.
        credentials: None to be anybody.
        hosts_allowed: that the registry may send us to, besides itself and public ones.
        transport: what carries requests, if not the network.
    """
    async with httpx.AsyncClient(
        transport=transport,
        timeout=OCI_READ_TIMEOUT_S,
        follow_redirects=False,
        # A digest is over the bytes as they are: nothing may be unpacked on the way.
        headers={"accept-encoding": "identity"},
    ) as client:
        yield RegistryImage(
            client,
            reference,
            plain_http=plain_http,
            credentials=credentials,
            hosts_allowed=frozenset(hosts_allowed),
            resolve=resolve,
        )


class RegistryImage:
    """An `Image` in a registry. Made by `open_registry`; several may be read at once."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        reference: Reference,
        *,
        plain_http: bool,
        credentials: Credentials | None,
        hosts_allowed: frozenset[str],
        resolve: Resolve,
    ) -> None:
        self._client = client
        self._reference = reference
        self._plain_http = plain_http
        self._credentials = credentials
        self._hosts_allowed = hosts_allowed
        self._resolve = resolve
        self._authorization: str | None = None
        scheme = "http" if plain_http else "https"
        self._base = httpx.URL(f"{scheme}://{reference.host}/v2/{reference.repository}/")

    async def manifest(self, descriptor: Descriptor | None) -> bytes:
        """See `Image`.

        Raises:
            OciInvalid: too large, or not the one that the reference names by its digest.
            OciMissing, OciDenied, OciUnavailable, OciRedirectRefused: the registry.
        """
        wanted = self._reference.digest if descriptor is None else descriptor.digest
        data = bytearray()

        async def take(piece: bytes) -> None:
            data.extend(piece)
            if len(data) > OCI_MANIFEST_BYTES_MAX:
                raise OciInvalid(f"the manifest of {self._reference} has more than {OCI_MANIFEST_BYTES_MAX} bytes")

        with trio.move_on_after(OCI_MANIFEST_TIMEOUT_S) as scope:
            await self._get(f"manifests/{wanted or self._reference.tag}", take, accept=_ACCEPT)
        if scope.cancelled_caught:
            raise OciUnavailable(f"{self._reference.host} gave no manifest within {OCI_MANIFEST_TIMEOUT_S:g} s")
        if wanted is not None and digest_of(bytes(data)) != wanted:
            raise OciInvalid(f"the manifest {wanted} has other bytes than its digest says")
        return bytes(data)

    async def read(self, descriptor: Descriptor, take: Take) -> None:
        """See `Image`."""
        await self._get(f"blobs/{descriptor.digest}", take, accept="*/*")

    async def _get(self, path: str, take: Take, *, accept: str) -> None:
        url = self._base.join(path)
        may_authorize = True
        for _ in range(OCI_REDIRECT_COUNT_MAX + 2):  # one for the answer, one for asking again with a token
            headers = {"accept": accept}
            if self._authorization is not None and _origin(url) == _origin(self._base):
                headers["authorization"] = self._authorization
            outcome = await self._request(url, headers, take)
            if outcome is None:
                return
            if isinstance(outcome, Challenge):
                if not may_authorize or _origin(url) != _origin(self._base):
                    raise OciDenied(f"{self._reference.host} does not let us read {self._reference}")
                may_authorize = False
                self._authorization = await self._authorize(outcome)
            else:
                url = await self._checked(outcome)
        raise OciUnavailable(f"{self._reference.host} sends us from one place to the next, and never answers")

    async def _request(self, url: httpx.URL, headers: dict[str, str], take: Take) -> Challenge | httpx.URL | None:
        """One request: None where the answer was taken, else whom to ask or where to go."""
        try:
            async with self._client.stream("GET", url, headers=headers) as response:
                if response.status_code in _REDIRECTS:
                    return url.join(response.headers.get("location", ""))
                if response.status_code == 401:  # noqa: SIM102 - two questions
                    if challenge := parse_challenge(response.headers.get_list("www-authenticate")):
                        return challenge
                if not response.is_success:
                    raise self._status_error(response.status_code)
                await _all_of(response, take)
                return None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise OciUnavailable(f"{url.host} cannot be asked: {reason}") from error

    def _status_error(self, status: int) -> RegistryError:
        host = self._reference.host
        if status in (401, 403):
            return OciDenied(f"{host} does not let us read {self._reference} ({status})")
        if status == 404:
            return OciMissing(f"{host} has no such image, or not all of it: {self._reference}")
        return OciUnavailable(f"{host} answered {status}")

    async def _authorize(self, challenge: Challenge) -> str:
        """The value of the `Authorization` header that answers a challenge."""
        if challenge.scheme == "basic":
            if self._credentials is None:
                raise OciDenied(f"{self._reference.host} wants a password for {self._reference}")
            return self._credentials.basic()
        realm = challenge.parameters.get("realm", "")
        try:
            url = await self._checked(httpx.URL(realm))
        except httpx.InvalidURL:
            raise OciInvalid(f"{self._reference.host} gives tokens at no address") from None
        # Of what the challenge asks for, no more than is needed.
        query = {"scope": f"repository:{self._reference.repository}:pull"}
        if service := challenge.parameters.get("service"):
            query["service"] = service
        headers = {} if self._credentials is None else {"authorization": self._credentials.basic()}
        data = bytearray()

        async def take(piece: bytes) -> None:
            data.extend(piece)
            if len(data) > OCI_TOKEN_BYTES_MAX:
                raise OciInvalid(f"{url.host} gave a token of more than {OCI_TOKEN_BYTES_MAX} bytes")

        outcome = await self._request(url.copy_merge_params(query), headers, take)
        if outcome is not None:
            raise OciDenied(f"{url.host} gives us no token for {self._reference}")
        answer = parse_json(bytes(data), "the answer with a token")
        token = answer.text("token", "") or answer.text("access_token")
        if not all("!" <= character <= "~" for character in token):
            raise OciInvalid("the token has characters that no token has")
        return f"Bearer {token}"

    async def _checked(self, url: httpx.URL) -> httpx.URL:
        """An address that the registry names, if we may go there.

        Raises:
            OciRedirectRefused: it is not the registry's own host, and neither public nor allowed by the operator.
        """
        host = url.host
        refusal = OciRedirectRefused(f"{self._reference.host} sends us to {host[:260]!r}, which it may not")
        if url.scheme != "https" and not (url.scheme == "http" and self._plain_http):
            raise refusal
        if host == self._base.host or host in self._hosts_allowed:
            return url
        if url.scheme != "https":
            raise refusal
        try:
            addresses = await self._resolve(host)
        except (OSError, UnicodeError) as error:  # UnicodeError: labels that no name has
            raise OciUnavailable(f"{host[:260]!r} has no address") from error
        # Between this look and the connection a name may change; the certificate then has to be of that name still.
        if not addresses or not all(map(_is_public, addresses)):
            raise refusal
        return url


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _is_public(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or (ipaddress.IPv4Address(address.packed[-4:]) if address in _NAT64 else None)
        if inner is None:
            return address.is_global and address in _UNICAST and not any(address in network for network in _CARRIERS)
        address = inner
    return address.is_global and not address.is_multicast


_UNICAST: Final = ipaddress.IPv6Network("2000::/3")  # what IANA has given out; is_global is true of all the rest
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the way to IPv4 of a network that has none itself
_CARRIERS: Final = tuple(
    # With an IPv4 address somewhere inside, or for documentation: Teredo and others, 6to4 (RFC 3056), RFC 9637.
    map(ipaddress.IPv6Network, ("2001::/23", "2002::/16", "3fff::/20"))
)


async def _all_of(response: httpx.Response, take: Take) -> None:
    # The generators inside httpx are ended only by what is raised in them, so nothing else may end this loop: what
    # `take` raises cancels the next read, and a cancellation waits until a piece was taken.
    failure: RegistryError | None = None
    with trio.CancelScope() as refused:
        async for piece in response.aiter_raw(_READ_BYTES):
            if failure is not None:
                continue
            with trio.CancelScope(shield=True):
                try:
                    await take(piece)
                except RegistryError as error:
                    failure = error
                    refused.cancel()
    if failure is not None:
        raise failure
