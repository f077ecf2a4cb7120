"""The certificate and key of a TLS listener."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from edged.errors import TlsError

ALPN_HTTP2 = "h2"
ALPN_HTTP1 = "http/1.1"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: a certificate chain, leaf first, and its key, not encrypted."""

    certificate: Path
    key: Path


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """A context for TLS 1.2 and 1.3 that offers HTTP/2 and HTTP/1.1 (RFC 7301, RFC 9113 section 9.2).

    Raises:
        TlsError: a file is not there, not PEM, or the key is not the certificate's.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 9113 appendix A forbids HTTP/2 over TLS 1.2 ciphers without forward secrecy or AEAD.
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_RENEGOTIATION  # of TLS 1.2: costs us far more than the client
    context.set_alpn_protocols([ALPN_HTTP2, ALPN_HTTP1])
    try:
        context.load_cert_chain(files.certificate, files.key, password=_refuse_password)
    except FileNotFoundError:
        missing = files.key if files.certificate.exists() else files.certificate
        raise TlsError(f"{missing} does not exist") from None
    except ssl.SSLError as error:
        reason = (error.reason or "not PEM").replace("_", " ").lower()
        raise TlsError(f"{files.certificate} and {files.key} are not a certificate and its key: {reason}") from None
    except OSError as error:
        raise TlsError(f"{error.filename or files.certificate} cannot be read: {error.strerror}") from None
    return context


def _refuse_password() -> str:
    """OpenSSL would ask on the terminal, where nobody may be."""
    raise TlsError("the key is encrypted", remedy="Decrypt it: openssl pkey -in KEY -out PLAIN.")
