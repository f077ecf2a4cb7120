"""Certificates and keys that do, and those that do not."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from edged.errors import TlsError
from edged.http.tls import TlsFiles, server_context


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    issued = trustme.CA().issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    return TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem")


def test_a_certificate_and_its_key(files: TlsFiles) -> None:
    context = server_context(files)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_missing_files(files: TlsFiles, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    for pair in (TlsFiles(missing, files.key), TlsFiles(files.certificate, missing)):
        with pytest.raises(TlsError, match=r"missing\.pem does not exist"):
            server_context(pair)


def test_files_of_something_else(files: TlsFiles, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_text("junk")
    for pair in (TlsFiles(junk, files.key), TlsFiles(files.certificate, junk), TlsFiles(files.key, files.certificate)):
        with pytest.raises(TlsError, match="not pem"):
            server_context(pair)


def test_another_certificates_key(files: TlsFiles, tmp_path: Path) -> None:
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(tmp_path / "other.pem")
    with pytest.raises(TlsError, match="key values mismatch"):
        server_context(TlsFiles(files.certificate, tmp_path / "other.pem"))


def test_a_folder(files: TlsFiles, tmp_path: Path) -> None:
    with pytest.raises(TlsError, match="cannot be read"):
        server_context(TlsFiles(tmp_path, files.key))


def test_an_encrypted_key_does_not_ask_for_its_password(files: TlsFiles, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(TlsError, match="encrypted"):
        server_context(TlsFiles(files.certificate, locked))
