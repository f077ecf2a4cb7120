"""The certificates and keys of a TLS listener, chosen by the name that a client asks for."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edged.errors import TlsError
from edged.http.hosts import HostTable

ALPN_HTTP2 = "h2"
ALPN_HTTP1 = "http/1.1"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: a certificate chain, leaf first, and its key, not encrypted."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and the hosts that it is for, as `edged.http.hosts` writes them."""

    hosts: tuple[str, ...]
    files: TlsFiles


class Certificates:
    """The certificates of listeners, which may be changed while they listen.

    A client names its host in the handshake (SNI, RFC 6066 section 3). One that names none, or a host that no
    certificate is for, gets the first certificate, unless one is for `*`.

    Args:
        certificates: at least one.

    Attributes:
        context: for the next handshake. A new one after each `set`.
        version: how often they were set.

    Raises:
        TlsError: as `set`.
    """

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        self.context: ssl.SSLContext
        self.version = 0
        self._files: HostTable[TlsFiles]
        self._first: TlsFiles
        self.set(certificates)

    def set(self, certificates: Sequence[Certificate]) -> None:
        """Use these, and no others, from the next handshake on. Reads files, so it is best called in a thread.

        Raises:
            TlsError: there are none, one cannot be used, or two are for the same host. Nothing has changed then.
        """
        if not certificates:
            raise TlsError("there is no certificate", remedy="Give at least one certificate and its key.")
        contexts = {each.files: server_context(each.files) for each in certificates}
        try:
            by_host = HostTable((host, contexts[each.files]) for each in certificates for host in each.hosts)
            files = HostTable((host, each.files) for each in certificates for host in each.hosts)
        except ValueError as error:
            raise TlsError(f"two certificates are for {error}", remedy="Name each host with one certificate.") from None
        first = server_context(certificates[0].files)  # one more of it, which chooses among the others

        def choose(handshake: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            found = by_host.find(name or "")
            if found is not None:
                handshake.context = found

        first.sni_callback = choose
        self._files, self._first, self.context = files, certificates[0].files, first
        self.version += 1

    def files_for(self, name: str | None) -> TlsFiles:
        """Whose certificate a client gets that asks for this name."""
        return self._files.find(name or "") or self._first


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
        # OpenSSL does not say which of the two it was.
        certificate_is_well = os.path.isfile(files.certificate) and os.access(files.certificate, os.R_OK)
        unread = files.key if certificate_is_well else files.certificate
        raise TlsError(
            f"{unread} cannot be read: {error.strerror}",
            remedy="Let the user that edged runs as read both, the key nobody else.",
        ) from None
    return context


def _refuse_password() -> str:
    """OpenSSL would ask on the terminal, where nobody may be."""
    raise TlsError("the key is encrypted", remedy="Decrypt it: openssl pkey -in KEY -out PLAIN.")
