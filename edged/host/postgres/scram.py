"""SCRAM-SHA-256 as PostgreSQL speaks it (RFC 5802, RFC 7677), without any I/O.

    first() ─► server-first ─► final(...) ─► server-final ─► check(...)

A server that does not know the password cannot pass `check`: one that only listens learns nothing either.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from base64 import b64decode, b64encode

from edged.host.rdbms.failure import ConnectionFailed
from edged.limits import SQL_SCRAM_ITERATIONS_MAX

PLAIN = "SCRAM-SHA-256"
PLUS = "SCRAM-SHA-256-PLUS"


class Scram:
    """One login.

    Args:
        binding: hash of the server's certificate (RFC 5929, `tls-server-end-point`), or None without binding.
        nonce: replaced in tests.
    """

    def __init__(self, password: str, binding: bytes | None, nonce: str | None = None) -> None:
        # SASLprep (RFC 4013) as far as passwords have use for it: its prohibitions are the server's to enforce.
        self._password = unicodedata.normalize("NFKC", password).encode()
        self._header = b"n,," if binding is None else b"p=tls-server-end-point,,"
        self._binding = binding or b""
        self._nonce = secrets.token_urlsafe(18) if nonce is None else nonce
        self._signature = b""

    def first(self) -> bytes:
        return self._header + self._first_bare()

    def final(self, server_first: bytes) -> bytes:
        """The proof. Computes up to `SQL_SCRAM_ITERATIONS_MAX` hashes.

        Raises:
            ConnectionFailed: the server does not speak SCRAM, or asks for too many hashes.
        """
        fields = _fields(server_first)
        try:
            nonce, salt, iterations = fields["r"], b64decode(fields["s"], validate=True), int(fields["i"])
        except (KeyError, ValueError):
            raise ConnectionFailed("the server's login is malformed") from None
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise ConnectionFailed("the server's login is malformed")
        if not 0 < iterations <= SQL_SCRAM_ITERATIONS_MAX:
            raise ConnectionFailed(f"the server asks for more than {SQL_SCRAM_ITERATIONS_MAX} hashes of the password")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, iterations)
        client_key = _hmac(salted, b"Client Key")
        bare = b"c=%b,r=%b" % (b64encode(self._header + self._binding), nonce.encode())
        signed = b",".join((self._first_bare(), server_first, bare))
        proof = bytes(
            key ^ mask for key, mask in zip(client_key, _hmac(hashlib.sha256(client_key).digest(), signed), strict=True)
        )
        self._signature = _hmac(_hmac(salted, b"Server Key"), signed)
        return bare + b",p=" + b64encode(proof)

    def check(self, server_final: bytes) -> None:
        """Raises: ConnectionFailed: the server does not know the password."""
        given = _fields(server_final).get("v", "").encode()
        if not self._signature or not hmac.compare_digest(given, b64encode(self._signature)):
            raise ConnectionFailed("the server does not know the password")

    def _first_bare(self) -> bytes:
        # The user's name is that of the startup message.
        return b"n=,r=" + self._nonce.encode()


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _fields(message: bytes) -> dict[str, str]:
    pairs = message.decode("ascii", "replace").split(",")
    return {name: value for name, separator, value in (pair.partition("=") for pair in pairs) if separator}
