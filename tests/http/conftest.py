"""A certificate for localhost, and clients that trust it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from edged.http.tls import TlsFiles


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def tls_files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    folder: Path = tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return TlsFiles(folder / "cert.pem", folder / "key.pem")


@pytest.fixture
def client_context(authority: trustme.CA) -> Callable[..., ssl.SSLContext]:
    """Make a client's context that offers the given protocols."""

    def make(*protocols: str) -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    return make
