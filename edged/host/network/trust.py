"""Whom a server over TLS is believed by where nobody says otherwise: the system's certificate authorities."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import cache

import trio

ContextOf = Callable[[str], ssl.SSLContext]
"""The TLS settings for a host: authorities, a certificate of our own."""


@cache
def _context(protocols: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


def system_roots(_host: str) -> ssl.SSLContext:
    """Settings that trust them; the same object for the whole process, not to be changed.

    The first call blocks: reading some hundred certificates takes 25 ms.
    """
    return _context(())


def system_roots_http(_host: str) -> ssl.SSLContext:
    """The same for HTTP/1.1, which a server is told."""
    return _context(("http/1.1",))


def with_authority(pem: str) -> ssl.SSLContext:
    """Settings that trust them and one more, without a certificate of our own. Blocks for 25 ms.

    Raises:
        ssl.SSLError, ValueError: it is none.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(cadata=pem)
    return context


async def system_trust() -> ssl.SSLContext:
    """As `system_roots`. The loop does not wait for it."""
    return await trio.to_thread.run_sync(system_roots, "")
