"""The system's certificate authorities."""

from __future__ import annotations

import ssl

from edged.host.network.trust import system_trust


async def test_names_and_certificates_are_looked_at() -> None:
    context = await system_trust()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


async def test_they_are_read_once() -> None:
    assert await system_trust() is await system_trust()
