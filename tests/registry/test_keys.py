from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from registry.errors import KeyInvalid
from registry.keys import PublicKey, SigningKey
from registry.limits import KEY_FILE_BYTES_MAX
from tests.registry.releases import KEY


def test_the_first_vector_of_the_rfc() -> None:
    """RFC 8032, section 7.1, test 1."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    pem = serialization.load_der_private_key(bytes.fromhex("302e020100300506032b657004220420") + seed, None)
    key = SigningKey(pem)  # type: ignore[arg-type]
    assert key.public.raw.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065")


def test_a_key_signs_and_its_public_half_verifies() -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    signature = key.sign(b"data")
    assert key.public.verify(signature, b"data")
    assert not key.public.verify(signature, b"date")
    assert not key.public.verify(signature[:-1], b"data")
    assert not other.public.verify(signature, b"data")


def test_ids() -> None:
    assert len(KEY.public.id) == 64
    assert KEY.public.short == KEY.public.id[:16]
    assert SigningKey.generate().public.id != SigningKey.generate().public.id


@pytest.mark.parametrize("count", [0, 31, 33])
def test_a_public_key_has_32_bytes(count: int) -> None:
    with pytest.raises(KeyInvalid, match="not 32"):
        PublicKey(bytes(count))


def test_bytes_that_are_no_point_of_the_curve_verify_nothing() -> None:
    assert not PublicKey(b"\xff" * 32).verify(KEY.sign(b""), b"")


def test_a_saved_key_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    KEY.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load(path).public == KEY.public
    assert os.listdir(tmp_path) == ["a.key"]


def test_a_saved_key_is_private_whatever_the_umask(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        KEY.save(tmp_path / "a.key")
    finally:
        os.umask(former)
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    KEY.save(path)
    with pytest.raises(KeyInvalid, match="there already"):
        SigningKey.generate().save(path)
    assert SigningKey.load(path).public == KEY.public
    assert os.listdir(tmp_path) == ["a.key"]


def test_a_folder_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(KeyInvalid, match="cannot be written"):
        KEY.save(tmp_path / "none" / "a.key")


def test_a_passphrase_encrypts(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    KEY.save(path, passphrase=b"secret")
    assert b"ENCRYPTED" in path.read_bytes()
    assert SigningKey.load(path, passphrase=b"secret").public == KEY.public
    with pytest.raises(KeyInvalid, match="is encrypted") as missing:
        SigningKey.load(path)
    assert "passphrase" in missing.value.remedy
    with pytest.raises(KeyInvalid, match="another passphrase"):
        SigningKey.load(path, passphrase=b"Secret")


def test_a_passphrase_that_is_not_needed_is_refused(tmp_path: Path) -> None:
    KEY.save(tmp_path / "a.key")
    with pytest.raises(KeyInvalid, match="not encrypted"):
        SigningKey.load(tmp_path / "a.key", passphrase=b"secret")


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_modes_of_a_private_file(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.key"
    KEY.save(path)
    path.chmod(mode)
    assert SigningKey.load(path).public == KEY.public


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o610, 0o602, 0o666])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.key"
    KEY.save(path)
    path.chmod(mode)
    with pytest.raises(KeyInvalid, match=f"mode {mode:04o}") as refused:
        SigningKey.load(path)
    assert f"chmod 600 {path}" in refused.value.remedy


def _elliptic(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "cannot be read"),
        (lambda path: path.mkdir(mode=0o700), "Is a directory"),
        (lambda path: os.mkfifo(path, 0o600), "not a file"),
        (lambda path: path.write_bytes(b""), "no private key in PEM"),
        (lambda path: path.write_bytes(b"\xff" * 100), "no private key in PEM"),
        (lambda path: path.write_bytes(KEY.pem()[:-40]), "no private key in PEM"),
        (lambda path: path.write_bytes(KEY.pem() + b" " * KEY_FILE_BYTES_MAX), "it is no key"),
        (_elliptic, "another algorithm"),
    ],
)
def test_what_is_no_key_is_refused(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    path = tmp_path / "a.key"
    make(path)
    if path.is_file():
        path.chmod(0o600)
    with pytest.raises(KeyInvalid, match=message):
        SigningKey.load(path)


def test_a_key_file_at_its_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.write_bytes(KEY.pem().ljust(KEY_FILE_BYTES_MAX, b"\n"))
    path.chmod(0o600)
    assert SigningKey.load(path).public == KEY.public


def test_a_key_does_not_show() -> None:
    secret = KEY.private.private_bytes_raw()
    for shown in (repr(KEY), str(KEY), f"{KEY.public!r}"):
        assert KEY.public.short in shown
        assert secret.hex() not in shown
        assert repr(secret) not in shown
    with pytest.raises(KeyInvalid) as refused:
        SigningKey.parse(KEY.pem()[:-40], what="a file")
    assert KEY.pem()[40:60].decode() not in str(refused.value)
