"""From a connection to a session: TLS, who we are, and until the server is ready."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

import trio
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from edged.host.network.dialer import Dialer, DialFailed
from edged.host.postgres import messages
from edged.host.postgres.address import PostgresAddress
from edged.host.postgres.scram import PLAIN, PLUS, Scram
from edged.host.rdbms.failure import ConnectionFailed, ConnectionLost, ResultTooLarge, SqlFailed
from edged.host.rdbms.wire import ContextOf, Wire
from edged.limits import SQL_CONNECT_S_MAX, SQL_RESULT_BYTES_MAX

_ASIDE = frozenset(b"NSA")
"""Notices, parameters, notifications: they may come at any time, and nobody here asks for them."""

_OK, _CLEARTEXT, _MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 10, 11, 12


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is ready.

    Attributes:
        process, secret: what a request to cancel must name.
    """

    wire: Wire
    process: int
    secret: bytes


async def receive(wire: Wire) -> tuple[int, bytes]:
    """The next message that is not an aside: its letter, and its fields.

    Raises:
        ConnectionLost
        ResultTooLarge: it has more bytes than a result may have; they are not read.
    """
    while True:
        header = await wire.take(5)
        length = int.from_bytes(header[1:]) - 4
        if length < 0:
            raise ConnectionLost("the server does not speak PostgreSQL's protocol")
        if length > SQL_RESULT_BYTES_MAX:
            raise ResultTooLarge(f"the result has more than {SQL_RESULT_BYTES_MAX} bytes")
        body = await wire.take(length)
        if header[0] not in _ASIDE:
            return header[0], body


async def open_wire(address: PostgresAddress, dialer: Dialer, context_of: ContextOf) -> Wire:
    """A connection with TLS, as far as the address asks for it.

    Raises:
        ConnectionFailed, ConnectionLost
    """
    try:
        wire = Wire(await dialer.dial(address.host, address.port, SQL_CONNECT_S_MAX))
    except DialFailed as failed:
        raise ConnectionFailed(str(failed)) from None
    try:
        if address.tls != "disable":
            await wire.send(messages.SSL_REQUEST)
            answer = await wire.take(1)
            if answer == b"S":
                await wire.start_tls(context_of(address.host), address.host)
            elif answer != b"N":
                raise ConnectionLost("the server does not speak PostgreSQL's protocol")
            elif address.tls == "require":
                raise ConnectionFailed("the server has no TLS, which sslmode asks for")
    except BaseException:
        wire.close()
        raise
    return wire


async def log_in(address: PostgresAddress, dialer: Dialer, context_of: ContextOf) -> Session:
    """A session.

    Raises:
        ConnectionFailed
    """
    wire: Wire | None = None
    try:
        with trio.fail_after(SQL_CONNECT_S_MAX):
            wire = await open_wire(address, dialer, context_of)
            return await _start(wire, address)
    except BaseException as error:
        if wire is not None:
            wire.close()
        if isinstance(error, trio.TooSlowError):
            raise ConnectionFailed(f"{address.host} did not answer in time") from None
        if isinstance(error, (ValueError, struct.error, ResultTooLarge)):
            raise ConnectionFailed("the server does not speak PostgreSQL's protocol") from None
        if isinstance(error, SqlFailed) and not isinstance(error, ConnectionFailed):
            raise ConnectionFailed(str(error)) from None
        raise


async def _start(wire: Wire, address: PostgresAddress) -> Session:
    parameters = {"user": address.user, "database": address.database, "client_encoding": "UTF8"}
    await wire.send(messages.startup(parameters | dict(address.settings)))
    process, secret = 0, b""
    while True:
        kind, body = await receive(wire)
        match kind:
            case 0x45:  # E
                raise ConnectionFailed(str(messages.parse_report(body)))
            case 0x52:  # R
                await _authenticate(wire, address, body)
            case 0x4B:  # K
                process, secret = int.from_bytes(body[:4]), body[4:]
            case 0x5A:  # Z
                return Session(wire, process, secret)
            case _:
                raise ConnectionLost("the server does not speak PostgreSQL's protocol")


async def _authenticate(wire: Wire, address: PostgresAddress, body: bytes) -> None:
    method, data = int.from_bytes(body[:4]), body[4:]
    if method == _OK and address.channel_binding != "require":
        return
    if method == _SASL:
        await _authenticate_scram(wire, address, data)
        return
    if address.channel_binding == "require":
        raise ConnectionFailed("the server does not bind its login to TLS, which channel_binding asks for")
    match method:
        case 3:
            await wire.send(messages.password(address.password))
        case 5:
            inner = hashlib.md5((address.password + address.user).encode(), usedforsecurity=False).hexdigest()
            outer = hashlib.md5(inner.encode() + data[:4], usedforsecurity=False).hexdigest()
            await wire.send(messages.password("md5" + outer))
        case _:
            raise ConnectionFailed(f"the server asks for a login of kind {method}, which is not supported")


async def _authenticate_scram(wire: Wire, address: PostgresAddress, data: bytes) -> None:
    """Ends with the server's AuthenticationOk, so that nothing but a login is taken for one."""
    offered = data.decode("ascii", "replace").split("\0")
    binding = certificate_hash(wire) if address.channel_binding != "disable" and PLUS in offered else None
    if binding is None and address.channel_binding == "require":
        raise ConnectionFailed("the server does not bind its login to TLS, which channel_binding asks for")
    if binding is None and PLAIN not in offered:
        raise ConnectionFailed("the server offers no login that is supported")
    scram = Scram(address.password, binding)
    await wire.send(messages.sasl_initial(PLAIN if binding is None else PLUS, scram.first()))
    server_first = await _next_step(wire, _SASL_CONTINUE)
    await wire.send(messages.sasl(scram.final(server_first)))
    scram.check(await _next_step(wire, _SASL_FINAL))
    await _next_step(wire, _OK)


async def _next_step(wire: Wire, expected: int) -> bytes:
    kind, body = await receive(wire)
    if kind == 0x45:
        raise ConnectionFailed(str(messages.parse_report(body)))
    if kind != 0x52 or int.from_bytes(body[:4]) != expected:
        raise ConnectionLost("the server does not speak PostgreSQL's protocol")
    return body[4:]


def certificate_hash(wire: Wire) -> bytes | None:
    """`tls-server-end-point` of RFC 5929: the certificate, hashed as its own signature is. None without TLS."""
    if wire.tls is None:
        return None
    raw: bytes | None = wire.tls.getpeercert(binary_form=True)
    if raw is None:
        return None
    try:
        algorithm = x509.load_der_x509_certificate(raw).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return None
    if algorithm is None:  # Ed25519: the RFC names no hash for it
        return None
    return hashlib.new("sha256" if algorithm.name in ("md5", "sha1") else algorithm.name, raw).digest()
