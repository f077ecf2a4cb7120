"""Bytes of an HTTP address, piece by piece, within a bound."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import trio

from edged.errors import UpgradeSourceUnavailable
from edged.limits import UPGRADE_CONNECT_TIMEOUT_S, UPGRADE_REDIRECT_COUNT_MAX, UPGRADE_SILENCE_S_MAX, MiB

Sink = Callable[[bytes, int | None], Awaitable[None]]
"""Takes a piece, and how many bytes there will be in all, if the server says so. Must not raise."""


async def download(
    url: str,
    sink: Sink,
    *,
    bytes_max: int,
    timeout_s: float,
    transport: httpx.AsyncBaseTransport | None = None,
    proxies: bool = True,
) -> None:
    """
    Args:
        proxies: those of the environment are used.

    Raises:
        UpgradeSourceUnavailable: it could not be had, or not in that time, or is longer.
    """
    shown = _without_secrets(url)
    with trio.move_on_after(timeout_s) as scope:
        try:
            async with _client(transport, proxies=proxies) as client:
                await _get(client, url, shown, sink, bytes_max)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise UpgradeSourceUnavailable(f"{shown}: {reason}") from error
    if scope.cancelled_caught:
        raise UpgradeSourceUnavailable(f"{shown} did not arrive within {timeout_s:g} s")


def _client(transport: httpx.AsyncBaseTransport | None, *, proxies: bool) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=transport,
        trust_env=proxies,
        follow_redirects=True,
        max_redirects=UPGRADE_REDIRECT_COUNT_MAX,
        timeout=httpx.Timeout(UPGRADE_SILENCE_S_MAX, connect=UPGRADE_CONNECT_TIMEOUT_S),
        # A digest is over the bytes as they are: nothing may be unpacked on the way.
        headers={"accept-encoding": "identity"},
    )


async def _get(client: httpx.AsyncClient, url: str, shown: str, sink: Sink, bytes_max: int) -> None:
    count = 0
    async with client.stream("GET", url) as response:
        if not response.is_success:
            raise UpgradeSourceUnavailable(f"{shown} answered {response.status_code}")
        length = response.headers.get("content-length", "")
        total = int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None
        # The generators inside httpx are ended only by what is raised in them, so nothing else may end this loop:
        # being too long cancels the next read, and a cancellation waits until a piece is taken.
        with trio.CancelScope() as too_long:
            async for piece in response.aiter_raw():
                count += len(piece)
                if count > bytes_max:
                    too_long.cancel()
                    continue
                with trio.CancelScope(shield=True):
                    await sink(piece, total)
        if too_long.cancel_called:
            raise UpgradeSourceUnavailable(f"{shown} has more than {bytes_max // MiB} MiB")


def _without_secrets(url: str) -> str:
    """As it may be shown: without user and password, and without what follows a question mark."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "the address"
    return str(parsed.copy_with(userinfo=b"", query=None, fragment=None))
