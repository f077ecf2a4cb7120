"""Certificates: made, read, refused, and good for TLS 1.3 both ways."""

from __future__ import annotations

import datetime
import ssl
import time
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from edged.errors import FleetFileMissing, IdentityInvalid
from edged.fleet.certificate import (
    certificate_name,
    certificate_pem,
    check_certificate,
    days_left,
    fingerprint,
    load_identity,
    make_identity,
    public_key,
    read_certificate,
    save_identity,
)
from edged.limits import CERTIFICATE_BYTES_MAX
from registry.digest import digest_of
from tests.fleet.kit import NOW, forged, identity


def test_what_is_made() -> None:
    one = make_identity("n1", now=NOW, days=30)
    assert certificate_name(one.certificate) == "n1"
    assert public_key(one.certificate) == one.key.public
    assert fingerprint(one.certificate) == digest_of(one.certificate)
    assert days_left(one.certificate, NOW) == pytest.approx(30)
    assert days_left(one.certificate, NOW + 31 * 86_400) == pytest.approx(-1)
    certificate = x509.load_der_x509_certificate(one.certificate)
    begin = certificate.not_valid_before_utc
    assert begin == datetime.datetime.fromtimestamp(NOW - 3_600, datetime.UTC)
    assert "n1" not in repr(one.key)


def test_saved_and_loaded(tmp_path: Path) -> None:
    one = identity("n1")
    save_identity(one, tmp_path / "k", tmp_path / "c")
    loaded = load_identity(tmp_path / "k", tmp_path / "c")
    assert (loaded.name, loaded.certificate) == ("n1", one.certificate)
    assert loaded.key.sign(b"x") == one.key.sign(b"x")
    assert read_certificate(tmp_path / "c") == one.certificate
    (tmp_path / "der").write_bytes(one.certificate)
    assert read_certificate(tmp_path / "der") == one.certificate


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    save_identity(identity("a"), tmp_path / "a.key", tmp_path / "a.crt")
    save_identity(identity("b"), tmp_path / "b.key", tmp_path / "b.crt")
    with pytest.raises(IdentityInvalid, match="not the certificate of the key"):
        load_identity(tmp_path / "a.key", tmp_path / "b.crt")


def test_a_key_that_others_may_read(tmp_path: Path) -> None:
    save_identity(identity("a"), tmp_path / "a.key", tmp_path / "a.crt")
    (tmp_path / "a.key").chmod(0o640)
    with pytest.raises(IdentityInvalid, match="0640"):
        load_identity(tmp_path / "a.key", tmp_path / "a.crt")


@pytest.mark.parametrize(
    "data", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"-----BEGIN"]
)
def test_what_is_no_certificate(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "c").write_bytes(data)
    with pytest.raises(IdentityInvalid):
        read_certificate(tmp_path / "c")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FleetFileMissing):
        read_certificate(tmp_path / "c")


def test_of_another_algorithm_or_another_signer() -> None:
    authority = trustme.CA()
    pem = authority.issue_cert("n1").cert_chain_pems[0].bytes()
    with pytest.raises(IdentityInvalid, match="Ed25519"):
        check_certificate(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))


def test_every_changed_byte_is_refused_or_means_another_key() -> None:
    der = identity("n1").certificate
    for index in range(len(der)):
        with pytest.raises(IdentityInvalid):
            check_certificate(der[:index] + bytes([der[index] ^ 1]) + der[index + 1 :])


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (b"\x0c\x08abcdefgh", b"\x0c\x08abcd\xff\xffgh"),
        (b"\x0c\x08abcdefgh", b"\x01\x08abcdefgh"),
        (b"\x0c\x08abcdefgh", b"\x03\x08abcdefgh"),
        (b"\x06\x03\x55\x04\x03", b"\x06\x03\x55\x04\x04"),
    ],
    ids=["not Unicode", "a boolean", "bits", "no common name"],
)
def test_a_name_that_is_none_is_refused_however_well_it_is_signed(there: bytes, instead: bytes) -> None:
    with pytest.raises(IdentityInvalid, match="name"):
        check_certificate(forged(there, instead))


def test_a_signature_has_one_form() -> None:
    """Else anybody could make another certificate, with another fingerprint, of somebody else's."""
    for _ in range(64):  # half of all signatures end in a bit that could be said to be unused
        der = make_identity("n1", now=NOW).certificate
        assert der[-65] == 0
        with pytest.raises(IdentityInvalid):
            check_certificate(der[:-65] + b"\x01" + der[-64:])


def test_too_long() -> None:
    with pytest.raises(IdentityInvalid, match="bytes"):
        check_certificate(b"x" * (CERTIFICATE_BYTES_MAX + 1))


def test_tls_both_ways(tmp_path: Path) -> None:
    """With the whole of OpenSSL's checks, as both ends have them."""
    here, there = make_identity("a", now=time.time()), make_identity("b", now=time.time())
    ends = []
    for mine, other, side in ((here, there, ssl.PROTOCOL_TLS_SERVER), (there, here, ssl.PROTOCOL_TLS_CLIENT)):
        save_identity(mine, tmp_path / f"{mine.name}.key", tmp_path / f"{mine.name}.crt")
        context = ssl.SSLContext(side)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_cert_chain(tmp_path / f"{mine.name}.crt", tmp_path / f"{mine.name}.key")
        context.load_verify_locations(cadata=certificate_pem(other.certificate))
        ends.append((context, ssl.MemoryBIO(), ssl.MemoryBIO()))
    (server_context, to_server, to_client), (client_context, _, _) = ends
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server)
    waiting = [client, server]
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
    assert waiting == []
    assert client.getpeercert(binary_form=True) == here.certificate
    assert server.getpeercert(binary_form=True) == there.certificate
