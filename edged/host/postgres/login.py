"""The login of pg8000's connection, which cannot be cut short, and what nobody asks a server for.

pg8000 reads and writes all messages; the `handle_...` here are its own for single messages, replaced. It would follow
whatever encoding a server names. It blocks: all of this runs in a thread.
"""

# ruff: noqa: ARG002, N802, N815 - names and arguments are pg8000's

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ssl import SSLSocket
from typing import Any

from pg8000.core import CoreConnection
from pg8000.exceptions import DatabaseError
from scramp import ScramClient, ScramException
from scramp.utils import saslprep

from edged.host.postgres.address import PostgresAddress
from edged.host.postgres.blocking import BlockingWire
from edged.host.postgres.report import Report
from edged.host.rdbms.failure import ConnectionFailed, ConnectionLost
from edged.limits import SQL_SCRAM_ITERATIONS_MAX

STRANGE = "the server does not speak PostgreSQL's protocol"

_PLUS, _PLAIN = "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"
_OK, _CLEARTEXT, _MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 10, 11, 12
_AFTER: Mapping[int, frozenset[int]] = {
    _OK: frozenset(),
    _CLEARTEXT: frozenset({_OK}),
    _MD5: frozenset({_OK}),
    _SASL: frozenset({_SASL_CONTINUE}),
    _SASL_CONTINUE: frozenset({_SASL_FINAL}),
    _SASL_FINAL: frozenset({_OK}),
}
"""Message of a login -> what may follow, so that nothing but a whole one is taken for one."""

_UNBOUND = "the server does not bind its login to TLS, which channel_binding asks for"


class _Scram(ScramClient):  # type: ignore[misc]  # untyped
    """One login, of limited work.

    Raises:
        ScramException: the certificate of `tls` has no hash that RFC 5929 names, as those of Ed25519.
    """

    def __init__(self, mechanism: str, password: str, tls: SSLSocket | None) -> None:
        binding = None if tls is None else ("tls-server-end-point", tls)
        # The name is that of the startup message. What SASLprep refuses is a password all the same, as for libpq.
        super().__init__([mechanism], "-", "-", channel_binding=binding)
        try:
            self.password = saslprep(password).encode()
        except ScramException:
            self.password = password.encode()

    def get_client_final(self) -> Any:
        if int(self.iterations) > SQL_SCRAM_ITERATIONS_MAX:
            raise ConnectionFailed(f"the server asks for more than {SQL_SCRAM_ITERATIONS_MAX} hashes of the password")
        return super().get_client_final()

    def set_server_final(self, message: str) -> None:
        try:
            super().set_server_final(message)
        except ScramException:
            raise ConnectionFailed("the server does not know the password") from None


class LoggedIn(CoreConnection):  # type: ignore[misc]  # untyped
    """A session from its first message to the end of its login. For one thread at a time.

    Attributes:
        cancel_key: what a request to cancel must name.

    Raises:
        SqlFailed, ScramException, ValueError, LookupError, struct.error: the login failed.
    """

    def __init__(self, wire: BlockingWire, address: PostgresAddress) -> None:
        self._wire = wire
        self._address = address
        self._expected = frozenset({_SASL} if address.channel_binding == "require" else {_OK, _CLEARTEXT, _MD5, _SASL})
        self.cancel_key = b""
        settings = dict(address.settings)
        name = settings.pop("application_name", None)
        try:
            super().__init__(
                address.user, address.host, address.database, password=address.password, application_name=name,
                startup_params=settings | {"client_encoding": "UTF8"}, sock=wire, ssl_context=False,
            )  # fmt: skip
        except DatabaseError as refused:
            raise ConnectionFailed(str(Report.of(refused.args[0]))) from None
        if _OK in self._expected:  # neither was there a login
            raise ConnectionLost(STRANGE)

    def close(self) -> None:
        """Nothing is said: the server finds out by itself."""
        self._wire.close()

    def handle_AUTHENTICATION_REQUEST(self, data: bytes, context: Any) -> None:
        method = int.from_bytes(data[:4])
        if method not in _AFTER and self._expected:
            raise ConnectionFailed(f"the server asks for a login of kind {method}, which is not supported")
        if method not in self._expected:
            is_unbound = self._expected == {_SASL}
            raise ConnectionFailed(_UNBOUND) if is_unbound else ConnectionLost(STRANGE)
        self._expected = _AFTER[method]
        if method == _SASL:
            self._begin_scram(data[4:].decode("ascii", "replace").split("\0"))
        else:
            super().handle_AUTHENTICATION_REQUEST(data, context)

    def _begin_scram(self, offered: Sequence[str]) -> None:
        address, tls = self._address, self._wire.tls
        auth: _Scram | None = None
        if address.channel_binding != "disable" and tls is not None and _PLUS in offered:
            with suppress(ScramException):
                auth = _Scram(_PLUS, address.password, tls)
        if auth is None and address.channel_binding == "require":
            raise ConnectionFailed(_UNBOUND)
        if auth is None and _PLAIN not in offered:
            raise ConnectionFailed("the server offers no login that is supported")
        self.auth = auth or _Scram(_PLAIN, address.password, None)
        first = self.auth.get_client_first().encode()
        body = self.auth.mechanism_name.encode() + struct.pack(">xI", len(first)) + first
        self._write(b"p", body)
        self._wire.flush()

    def handle_BACKEND_KEY_DATA(self, data: bytes, context: Any) -> None:
        self.cancel_key = data

    def _pass_over(self, data: bytes, context: Any) -> None:
        pass

    handle_NOTICE_RESPONSE = handle_NOTIFICATION_RESPONSE = handle_PARAMETER_STATUS = _pass_over

    def _write(self, kind: bytes, body: bytes) -> None:
        self._wire.write(kind + struct.pack(">I", len(body) + 4) + body)
