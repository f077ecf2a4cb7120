"""`[[client_tls]]`: certificates of an app's own, and whom it trusts, against servers on loopback."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trustme
from cryptography.hazmat.primitives import serialization

from edged.errors import RuntimeConfigError
from edged.host.http.error import HttpError
from edged.host.http_client.client import ComponentClient, HttpClient
from edged.host.http_client.client_tls import ClientTlsSettings, open_client_tls
from edged.host.network.dialer import Dialer
from edged.host.network.trust import system_roots_http
from edged.limits import CLIENT_TLS_FILE_BYTES_MAX
from edged.runtime_config.model import ClientTls
from tests.host.http_client.servers import DIALER, Call, hello, listen, read, request

SERVERS = trustme.CA()
CLIENTS = trustme.CA()
OTHERS = trustme.CA()
NAME = "secure.example"


class Files:
    """The operator's PEM files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.roots = self.write("roots.pem", SERVERS.cert_pem.bytes())
        self.identity = self.issue("app", CLIENTS)

    def write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def issue(self, name: str, authority: trustme.CA) -> tuple[Path, Path]:
        issued = authority.issue_cert(f"{name}@client.example")
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        return self.write(f"{name}.pem", chain), self.write(f"{name}.key", issued.private_key_pem.bytes())

    def stranger(self) -> tuple[Path, Path]:
        return self.issue("stranger", OTHERS)

    def entry(
        self,
        *components: str,
        hosts: Sequence[str] = (NAME,),
        roots: Path | None = None,
        identity: tuple[Path, Path] | None = None,
        webpki: bool = False,
    ) -> ClientTls:
        """Trusts our servers and shows the app's certificate, if nothing else is said."""
        certificate, key = identity or self.identity
        return ClientTls(
            components,
            tuple(hosts),
            ca_use_platform_roots=False,
            ca_use_webpki_roots=webpki,
            ca_roots_file=roots or self.roots,
            client_cert_file=certificate,
            client_private_key_file=key,
        )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


class MutualServer:
    """Demands a certificate that `CLIENTS` has signed.

    Attributes:
        peers: mail address of whoever came, one for each connection.
    """

    def __init__(self) -> None:
        self.peers: list[str] = []
        self.port = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        SERVERS.issue_cert(NAME, "127.0.0.1").configure_cert(self._context)
        CLIENTS.configure_trust(self._context)
        self._context.verify_mode = ssl.CERT_REQUIRED

    async def serve(self, stream: trio.SocketStream) -> None:
        tls = trio.SSLStream(stream, self._context, server_side=True, https_compatible=True)
        await tls.do_handshake()
        certificate = tls.getpeercert()
        self.peers += [value for kind, value in certificate["subjectAltName"] if kind == "email"]
        await hello(tls)

    async def refuse(self, stream: trio.SocketStream) -> None:
        """As `serve`, for a client that it does not take; says so, where trio closes without the alert."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context.wrap_bio(incoming, outgoing, server_side=True)
        refused = False
        while not refused:
            try:
                tls.do_handshake()
                raise AssertionError("the client was taken")
            except ssl.SSLWantReadError:
                await stream.send_all(outgoing.read())
                incoming.write(await stream.receive_some())
            except ssl.SSLError:
                refused = True
        await stream.send_all(outgoing.read())
        while await stream.receive_some():  # what the client has sent meanwhile
            pass


@pytest.fixture
async def server(nursery):
    server = MutualServer()
    server.port = await listen(nursery, server.serve)
    yield server
    nursery.cancel_scope.cancel()


@pytest.fixture
async def refusing(nursery):
    server = MutualServer()
    server.port = await listen(nursery, server.refuse)
    yield server
    nursery.cancel_scope.cancel()


async def resolve(_host: str, port: int):
    return await DIALER.addresses("127.0.0.1", port)


class App:
    """An app whose every name is this machine."""

    def __init__(self, nursery, *entries: ClientTls) -> None:
        self.client = HttpClient(Dialer(DIALER.gate, resolve))
        self._nursery = nursery
        self._settings = open_client_tls(entries)

    async def get(self, component: str, server: MutualServer, host: str = NAME) -> bytes:
        transport = ComponentClient(self.client, self._settings.context_of(component))
        call = Call(self._nursery, transport, request(scheme="https", authority=f"{host}:{server.port}"))
        await call.finished.wait()
        if call.error is not None:
            raise call.error
        return await read(call.response)


async def test_a_component_shows_its_certificate(nursery, server, files) -> None:
    app = App(nursery, files.entry("front", "back"))
    for component in ("front", "back", "front"):
        assert await app.get(component, server) == b"hello"
    assert server.peers == ["app@client.example"], "the same settings share a connection"
    app.client.close()


async def test_letter_case_and_the_last_dot_of_a_host_do_not_matter(nursery, server, files) -> None:
    app = App(nursery, files.entry("front", hosts=["Secure.Example"]))
    for host in (NAME, "SECURE.example", f"{NAME}."):
        assert await app.get("front", server, host) == b"hello"
    app.client.close()


async def test_a_component_or_host_that_is_not_named_trusts_as_ever(nursery, server, files) -> None:
    app = App(nursery, files.entry("front"))
    for component, host in (("back", NAME), ("front", "127.0.0.1"), ("front", f"www.{NAME}")):
        with pytest.raises(HttpError, match="TLS-certificate-error"):
            await app.get(component, server, host)
    assert server.peers == []
    assert app.client.count == 0


async def test_a_server_that_wants_a_certificate_and_gets_none(nursery, refusing, files) -> None:
    entry = ClientTls(("front",), (NAME,), ca_use_platform_roots=False, ca_roots_file=files.roots)
    app = App(nursery, entry)
    with pytest.raises(HttpError) as raised:
        await app.get("front", refusing)
    assert raised.value.code == ("TLS-alert-received", (None, "certificate required"))
    assert app.client.count == 0


async def test_a_server_that_wants_another_certificate(nursery, refusing, files) -> None:
    app = App(nursery, files.entry("front", identity=files.stranger()))
    with pytest.raises(HttpError) as raised:
        await app.get("front", refusing)
    assert raised.value.code == ("TLS-alert-received", (None, "unknown ca"))


@pytest.mark.parametrize("webpki", [False, True])
async def test_a_server_of_another_authority(nursery, server, files, webpki) -> None:
    roots = files.write("others.pem", OTHERS.cert_pem.bytes())
    app = App(nursery, files.entry("front", roots=roots, webpki=webpki))
    with pytest.raises(HttpError, match="TLS-certificate-error"):
        await app.get("front", server)


async def test_components_with_other_settings_share_no_connection(nursery, server, files) -> None:
    """The idle connection of one, which the server takes for that one, is not for another."""
    second = files.issue("second", CLIENTS)
    app = App(nursery, files.entry("front"), files.entry("back", identity=second))
    for _ in range(2):
        for component in ("front", "back"):
            assert await app.get(component, server) == b"hello"
        with pytest.raises(HttpError, match="TLS-certificate-error"):
            await app.get("other", server)
    assert server.peers == ["app@client.example", "second@client.example"]
    assert app.client.statistics().idle == 2
    app.client.close()


async def test_the_first_entry_for_a_component_and_a_host_counts(nursery, server, files) -> None:
    second = files.issue("second", CLIENTS)
    app = App(nursery, files.entry("front"), files.entry("back", "front", hosts=[NAME, "127.0.0.1"], identity=second))
    for component, host in (("front", NAME), ("back", NAME), ("front", "127.0.0.1")):
        await app.get(component, server, host)
    assert server.peers == ["app@client.example", "second@client.example", "second@client.example"]
    app.client.close()


# --- whom a context trusts ---


def context(**options: object) -> ssl.SSLContext:
    settings = open_client_tls([ClientTls(("a",), ("h",), **options)])  # type: ignore[arg-type]
    return settings.context_of("a")("h")


def names(context: ssl.SSLContext) -> set[object]:
    return {certificate["subject"] for certificate in context.get_ca_certs()}


def test_no_authority_at_all() -> None:
    nobody = context(ca_use_platform_roots=False)
    assert nobody.get_ca_certs() == []
    assert (nobody.verify_mode, nobody.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_authorities_add_up(files) -> None:
    mozilla = names(context(ca_use_platform_roots=False, ca_use_webpki_roots=True))
    own = names(context(ca_use_platform_roots=False, ca_roots_file=files.roots))
    assert len(mozilla) > 50
    assert len(own) == 1
    both = names(context(ca_use_platform_roots=False, ca_use_webpki_roots=True, ca_roots_file=files.roots))
    assert both == mozilla | own


def test_those_of_the_platform(files, monkeypatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(files.roots))
    own = names(context(ca_use_platform_roots=False, ca_roots_file=files.roots))
    assert own <= names(context(ca_use_platform_roots=True))


def test_others_get_the_system_context() -> None:
    assert ClientTlsSettings({}).context_of("a") is system_roots_http
    settings = open_client_tls([ClientTls(("a",), ("h", "[::1]"))])
    assert settings.context_of("b") is system_roots_http
    assert settings.context_of("a")("g") is system_roots_http("g")
    assert settings.context_of("a")("::1") is settings.context_of("a")("h")


# --- files ---


def failure(entry: ClientTls) -> RuntimeConfigError:
    with pytest.raises(RuntimeConfigError) as raised:
        open_client_tls([entry])
    return raised.value


@pytest.mark.parametrize("name", ["ca_roots_file", "client_cert_file", "client_private_key_file"])
def test_a_file_that_cannot_be_read_is_named(files, name) -> None:
    missing = files.folder / "missing.pem"
    paths = {"client_cert_file": files.identity[0], "client_private_key_file": files.identity[1], name: missing}
    error = failure(ClientTls(("a",), ("h",), **paths))
    assert error.message == f"`{name}` of [[client_tls]]: {missing} cannot be read: No such file or directory"
    assert name in error.remedy


@pytest.mark.parametrize("name", ["ca_roots_file", "client_cert_file"])
@pytest.mark.parametrize("data", [b"", b"geheim", b"-----BEGIN CERTIFICATE-----\ngeheim\n-----END CERTIFICATE-----\n"])
def test_a_file_without_a_certificate(files, name, data) -> None:
    wrong = files.write("wrong.pem", data)
    paths = {"client_cert_file": files.identity[0], "client_private_key_file": files.identity[1], name: wrong}
    assert failure(ClientTls(("a",), ("h",), **paths)).message == (
        f"`{name}` of [[client_tls]]: {wrong} has no certificate in PEM form"
    )


def test_a_key_that_is_none_or_another(files) -> None:
    certificate, _ = files.identity
    for key in (files.write("wrong.key", b"geheim"), files.stranger()[1]):
        error = failure(files.entry("a", identity=(certificate, key)))
        assert error.message == (
            f"`client_private_key_file` of [[client_tls]]: {key} is not a key in PEM form that belongs to the "
            f"certificate in {certificate}"
        )
        assert "geheim" not in error.message


def test_an_encrypted_key(files) -> None:
    certificate, plain = files.identity
    loaded = serialization.load_pem_private_key(plain.read_bytes(), None)
    encrypted = loaded.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"geheim")
    )
    key = files.write("encrypted.key", encrypted)
    error = failure(files.entry("a", identity=(certificate, key)))
    assert error.message == f"`client_private_key_file` of [[client_tls]]: {key} is encrypted"
    assert "openssl pkey" in error.remedy


def test_a_file_at_the_limit_and_over(files) -> None:
    data = files.roots.read_bytes()
    data += b"\n" * (CLIENT_TLS_FILE_BYTES_MAX - len(data))
    open_client_tls([files.entry("a", roots=files.write("large.pem", data))])
    over = files.write("larger.pem", data + b"\n")
    message = f"`ca_roots_file` of [[client_tls]]: {over} has more than {CLIENT_TLS_FILE_BYTES_MAX} bytes"
    assert failure(files.entry("a", roots=over)).message == message
