"""Whom a server over TLS is believed by where nobody says otherwise: the system's certificate authorities."""

from __future__ import annotations

import ssl
from functools import cache

import trio


async def system_trust() -> ssl.SSLContext:
    """Settings that trust them; the same object for the whole process, not to be changed.

    Reading some hundred certificates takes 25 ms, once. The loop does not wait for it.
    """
    return await trio.to_thread.run_sync(_context)


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()
