"""TLS 1.3 between the parties of a fleet: which certificate we show, and which we let pass.

No authority signs anything here: every certificate is its own, and the ones that are trusted are listed. OpenSSL
checks the signature of the handshake and that the certificate is in that list and not expired; `peer_of` then looks up
whose it is. Names in certificates are not looked at.
"""

from __future__ import annotations

import math
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import trio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edged.errors import LinkError, PeerUntrusted, ProtocolError, TlsError
from edged.fleet.certificate import Identity, days_left, public_key
from edged.fleet.peer import ANYONE, Anchors, Peer, fingerprint_of

log = structlog.get_logger()

ALPN = "edged/1"


def server_context(identity: Identity, anchors: Anchors) -> ssl.SSLContext:
    """For the listening end: clients show a certificate of the anchors, or none.

    Raises:
        TlsError: the certificate and the key do not belong together.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, identity, anchors)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.num_tickets = 0  # a resumed session would pass a certificate that has since been taken off the list
    return context


def client_context(identity: Identity | None, anchors: Anchors) -> ssl.SSLContext:
    """For the dialling end: the node shows a certificate of the anchors.

    Args:
        identity: None to show none; only `join` is answered then.

    Raises:
        TlsError: the certificate and the key do not belong together.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, identity, anchors)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def peer_of(connection: trio.SSLStream[trio.SocketStream], anchors: Anchors) -> Peer:
    """Who is at the other end of a connection whose handshake is done; `ANYONE` if it showed no certificate.

    Raises:
        ProtocolError: it does not speak our protocol at all.
        PeerUntrusted: its certificate is not in the anchors.
    """
    if connection.selected_alpn_protocol() != ALPN:
        raise ProtocolError(f"the peer does not speak {ALPN}")
    return whose(connection.getpeercert(binary_form=True), anchors)


def whose(certificate: bytes | None, anchors: Anchors) -> Peer:
    """Whose a certificate (DER) is; `ANYONE` if there is none.

    Raises:
        PeerUntrusted: it is not in the anchors.
    """
    if certificate is None:
        return ANYONE
    peer = anchors.find(certificate)
    if peer is None:  # the anchors changed during the handshake, or an anchor signed it as an authority would
        raise PeerUntrusted("the peer's certificate is not in the roster")
    return peer


def seconds_left(connection: trio.SSLStream[trio.SocketStream], now: float) -> float:
    """How long from `now` (unix time, s) the peer's certificate is good for; infinite if it showed none."""
    certificate = connection.getpeercert(binary_form=True)
    return math.inf if certificate is None else days_left(certificate, now) * 86_400


def handshake_failed(error: BaseException, address: str) -> LinkError:
    """What a failed handshake says of the peer.

    Args:
        error: what the TLS library raised, or what stands for it with that as its cause.
    """
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return PeerUntrusted(f"the certificate of {address} is not trusted: {cause.verify_message}")
    reason = cause.reason if isinstance(cause, ssl.SSLError) else None
    if reason is None or "EOF" in reason:
        return LinkError(f"{address} closed the connection during the handshake")
    return ProtocolError(f"{address} does not speak TLS as we do: {reason.replace('_', ' ').lower()}")


def _context(protocol: int, identity: Identity | None, anchors: Anchors) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a listed certificate is trusted whoever signed it
    context.set_alpn_protocols([ALPN])
    _trust(context, anchors)
    if identity is not None:
        _load(context, identity)
    return context


def _trust(context: ssl.SSLContext, anchors: Anchors) -> None:
    """One by one: a certificate that OpenSSL does not take, although we did, locks out nobody but who has it."""
    for certificate in anchors.certificates:
        try:
            context.load_verify_locations(cadata=certificate)
        except ssl.SSLError as error:
            log.warning("link.certificate-unusable", fingerprint=fingerprint_of(certificate), reason=error.reason)


def _load(context: ssl.SSLContext, identity: Identity) -> None:
    """ssl reads keys from files only. A pipe is one that leaves nothing on a disk."""
    if public_key(identity.certificate) != identity.key.public:
        raise TlsError(f"the certificate and key of {identity.name} are not a pair")
    certificate = x509.load_der_x509_certificate(identity.certificate).public_bytes(Encoding.PEM)
    private = identity.key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        with _pipe(certificate) as chain, _pipe(private) as key:
            context.load_cert_chain(chain, key, password=_refuse_password)
    except (ssl.SSLError, OSError) as error:
        raise TlsError(f"the certificate of {identity.name} cannot be loaded: {error.strerror}") from None


@contextmanager
def _pipe(data: bytes) -> Iterator[str]:
    """A path that can be read once. What is written fits into a pipe: certificates and keys have 1 KiB."""
    reader, writer = os.pipe()
    try:
        with open(writer, "wb") as file:
            os.set_blocking(writer, False)
            file.write(data)
        yield f"/dev/fd/{reader}"
    finally:
        os.close(reader)


def _refuse_password() -> str:
    raise TlsError("the key is encrypted")  # OpenSSL would ask on the terminal
