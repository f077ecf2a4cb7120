"""Certificates and keys that do, and those that do not."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from edged.errors import TlsError
from edged.http.tls import ALPN_HTTP2, Certificate, Certificates, TlsFiles, server_context


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
    for pair in (TlsFiles(tmp_path, files.key), TlsFiles(files.certificate, tmp_path)):
        with pytest.raises(TlsError, match=rf"^{tmp_path} cannot be read") as raised:
            server_context(pair)
        assert raised.value.remedy == "Let the user that edged runs as read both, the key nobody else."


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


# --- several certificates, chosen by the name that the client asks for ---


class Issued:
    """Certificates of one authority, as files."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.folder = folder

    def make(self, *hosts: str, file: str | None = None) -> Certificate:
        issued = self.authority.issue_cert(*hosts)
        name = file or hosts[0].replace("*", "any")
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate.write_bytes(issued.cert_chain_pems[0].bytes())
        key.write_bytes(issued.private_key_pem.bytes())
        return Certificate(hosts, TlsFiles(certificate, key))

    def shown_to(self, certificates: Certificates, name: str | None) -> set[str]:
        """Shake hands in memory: the hosts of the certificate that a client gets that asks for `name`."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        context.check_hostname = False  # what is shown where none fits is looked at as well
        context.set_alpn_protocols([ALPN_HTTP2])
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(to_client, to_server, server_hostname=name)
        server = certificates.context.wrap_bio(to_server, to_client, server_side=True)
        waiting = {client, server}
        for end in (client, server) * 4:
            try:
                end.do_handshake()
                waiting.discard(end)
            except ssl.SSLWantReadError:
                pass
        assert not waiting
        assert client.selected_alpn_protocol() == ALPN_HTTP2
        shown = client.getpeercert()
        assert shown is not None
        return {value for _, value in shown["subjectAltName"]}  # type: ignore[misc]


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    return Issued(tmp_path)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("shop.example.com", "shop.example.com"),
        ("SHOP.example.com", "shop.example.com"),
        ("blog.example.com", "*.example.com"),
        ("example.com", "first.test"),
        ("elsewhere.test", "first.test"),
        (None, "first.test"),
    ],
)
def test_the_certificate_is_that_of_the_name(issued: Issued, name: str | None, shown: str) -> None:
    certificates = Certificates(
        [issued.make("first.test"), issued.make("*.example.com"), issued.make("shop.example.com")]
    )
    assert issued.shown_to(certificates, name) == {shown}
    assert certificates.files_for(name).certificate.stem == shown.replace("*", "any")


def test_one_for_all_hosts_goes_before_the_first(issued: Issued) -> None:
    anything = Certificate(("*",), issued.make("anything.test").files)
    certificates = Certificates([issued.make("first.test"), anything])
    assert issued.shown_to(certificates, "elsewhere.test") == {"anything.test"}
    assert issued.shown_to(certificates, None) == {"anything.test"}
    assert issued.shown_to(certificates, "first.test") == {"first.test"}


def test_certificates_are_changed_while_listening(issued: Issued) -> None:
    first = issued.make("first.test")
    certificates = Certificates([first])
    issued.make("renewed.test", file="first.test")  # the same files, as a renewal writes them
    assert issued.shown_to(certificates, "first.test") == {"first.test"}
    certificates.set([first, issued.make("second.test")])
    assert issued.shown_to(certificates, "first.test") == {"renewed.test"}
    assert issued.shown_to(certificates, "second.test") == {"second.test"}
    assert certificates.version == 2


def test_what_cannot_be_used_changes_nothing(issued: Issued) -> None:
    first = issued.make("first.test")
    certificates = Certificates([first])
    second = issued.make("second.test")
    second.files.key.write_text("no key")
    for bad, message in (
        ([second], "not a certificate and its key"),
        ([first, Certificate(("FIRST.test",), first.files)], "two certificates are for first.test"),
        ([], "no certificate"),
    ):
        with pytest.raises(TlsError, match=message):
            certificates.set(bad)
        assert issued.shown_to(certificates, "second.test") == {"first.test"}
    assert certificates.version == 1
