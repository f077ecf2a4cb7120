"""Proofs of a password, by the names of MySQL's plugins, without any I/O."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from edged.host.rdbms.failure import ConnectionFailed

NATIVE = "mysql_native_password"
CACHING = "caching_sha2_password"


def prove(plugin: str, password: str, nonce: bytes) -> bytes:
    """What shows that one knows the password, and nobody else what it is.

    Raises:
        ConnectionFailed: a plugin that is not supported; those that send the password in clear are among them.
    """
    if plugin not in (NATIVE, CACHING):
        raise ConnectionFailed(f"the server asks for a login by {plugin[:40]!r}, which is not supported")
    if not password:
        return b""
    secret = password.encode()
    if plugin == NATIVE:
        once = hashlib.sha1(secret, usedforsecurity=False).digest()
        twice = hashlib.sha1(once, usedforsecurity=False).digest()
        return _xor(once, hashlib.sha1(nonce + twice, usedforsecurity=False).digest())
    once = hashlib.sha256(secret).digest()
    twice = hashlib.sha256(once).digest()
    return _xor(once, hashlib.sha256(twice + nonce).digest())


def encrypt(password: str, nonce: bytes, key_pem: bytes) -> bytes:
    """The password for the owner of a key only: `caching_sha2_password` without TLS, when the server has no hash of it.

    Raises:
        ConnectionFailed: that is no RSA key.
    """
    try:
        key = serialization.load_pem_public_key(key_pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPublicKey):
        raise ConnectionFailed("the server's key is no RSA key")
    secret = password.encode() + b"\0"
    masked = _xor(secret, (nonce * (len(secret) // len(nonce) + 1))[: len(secret)])
    # The protocol's own choice. OAEP needs no hash that is hard to find collisions for (RFC 8017, B.1).
    sha1 = hashes.SHA1()  # noqa: S303
    oaep = padding.OAEP(mgf=padding.MGF1(sha1), algorithm=sha1, label=None)
    try:
        return key.encrypt(masked, oaep)
    except ValueError:
        raise ConnectionFailed("the server's key is too short for the password") from None


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
