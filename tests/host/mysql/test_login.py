"""Proofs of a password: known ones, and what only the owner of a key can read."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from edged.host.mysql.login import CACHING, NATIVE, encrypt, prove
from edged.host.rdbms.failure import ConnectionFailed

NONCE = bytes(range(1, 21))


def pem(key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(("plugin", "size"), [(NATIVE, 20), (CACHING, 32)])
def test_a_proof_is_of_the_password_and_the_nonce(plugin, size) -> None:
    proof = prove(plugin, "secret", NONCE)
    assert len(proof) == size
    assert len({proof, prove(plugin, "other", NONCE), prove(plugin, "secret", NONCE[::-1])}) == 3
    assert prove(plugin, "", NONCE) == b""


@pytest.mark.parametrize("plugin", ["mysql_clear_password", "sha256_password", "dialog", ""])
def test_plugins_that_would_give_the_password_away(plugin) -> None:
    with pytest.raises(ConnectionFailed, match="not supported"):
        prove(plugin, "secret", NONCE)


@pytest.mark.parametrize("password", ["secret", "é" * 60, ""])
def test_only_the_owner_of_the_key_reads_the_password(password) -> None:
    key = rsa.generate_private_key(65537, 2048)
    sha1 = hashes.SHA1()
    clear = key.decrypt(
        encrypt(password, NONCE, pem(key)), padding.OAEP(mgf=padding.MGF1(sha1), algorithm=sha1, label=None)
    )
    unmasked = bytes(byte ^ NONCE[index % 20] for index, byte in enumerate(clear))
    assert unmasked == password.encode() + b"\0"


def test_keys_that_are_none() -> None:
    for key in (b"", b"-----BEGIN PUBLIC KEY-----\n", pem(ec.generate_private_key(ec.SECP256R1()))):
        with pytest.raises(ConnectionFailed, match="no RSA key"):
            encrypt("secret", NONCE, key)
    with pytest.raises(ConnectionFailed, match="too short"):
        encrypt("x" * 300, NONCE, pem(rsa.generate_private_key(65537, 2048)))
