"""Images over HTTP: from Debian's docker-registry, and from a fake one for everything that a hostile one would do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path

import httpx
import pytest
import trio.testing

from registry.digest import Digest
from registry.errors import (
    OciDenied,
    OciInvalid,
    OciMissing,
    OciRedirectRefused,
    OciUnavailable,
    RegistryError,
)
from registry.limits import OCI_MANIFEST_BYTES_MAX, OCI_READ_TIMEOUT_S, OCI_REDIRECT_COUNT_MAX, OCI_TOKEN_BYTES_MAX
from registry.oci.challenge import Credentials
from registry.oci.http import open_registry, resolve_host
from registry.oci.reference import Reference, parse_reference
from registry.oci.spin import import_app
from tests.registry.oci.images import MANIFEST, Built, described, shop
from tests.services import Service, oci_registry

HOST = "registry.example.com"
SOMEONE = Credentials("someone", "secret")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with oci_registry(tmp_path_factory.mktemp("registry")) as service:
        yield service


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with oci_registry(tmp_path_factory.mktemp("protected"), protected=True) as service:
        yield service


# --- a real registry ---


@pytest.mark.parametrize("by", ["tag", "digest"])
async def test_from_a_real_registry(registry: Service, tmp_path: Path, by: str) -> None:
    shop().push(f"http://127.0.0.1:{registry.port}", "team/shop", "1.2")
    end = ":1.2" if by == "tag" else f"@{shop().digest}"
    reference = parse_reference(f"127.0.0.1:{registry.port}/team/shop{end}")
    async with open_registry(reference, plain_http=True) as image:
        imported = await import_app(image, tmp_path / "app")
    assert (imported.name, imported.digest) == ("shop", shop().digest)
    assert (tmp_path / "app" / "spin.toml").is_file()


async def test_what_a_real_registry_has_not(registry: Service, tmp_path: Path) -> None:
    async with open_registry(parse_reference(f"127.0.0.1:{registry.port}/no/such"), plain_http=True) as image:
        with pytest.raises(OciMissing):
            await import_app(image, tmp_path / "app")


@pytest.mark.parametrize(
    "credentials", [SOMEONE, None, Credentials("someone", "wrong")], ids=["right", "none", "wrong"]
)
async def test_a_real_registry_with_a_password(
    protected: Service, tmp_path: Path, credentials: Credentials | None
) -> None:
    shop().push(f"http://127.0.0.1:{protected.port}", "shop", "latest", ("someone", "secret"))
    reference = parse_reference(f"127.0.0.1:{protected.port}/shop")
    async with open_registry(reference, plain_http=True, credentials=credentials) as image:
        if credentials is SOMEONE:
            await import_app(image, tmp_path / "app")
        else:
            with pytest.raises(OciDenied) as caught:
                await import_app(image, tmp_path / "app")
            assert "wrong" not in caught.value.message + caught.value.remedy


async def test_nobody_listens(tmp_path: Path) -> None:
    async with open_registry(parse_reference("127.0.0.1:1/shop"), plain_http=True) as image:
        with pytest.raises(OciUnavailable, match=r"127\.0\.0\.1"):
            await import_app(image, tmp_path / "app")


# --- a registry of our own ---


class Fake:
    """A registry with one image, which wants a token and keeps its blobs elsewhere, as large ones do."""

    def __init__(self) -> None:
        self.image: Built = shop()
        self.realm = "https://auth.example.com/token"
        self.blobs_at: str | None = "https://cdn.example.com/"
        self.token: bytes = json.dumps({"token": "t0ken"}).encode()
        self.password: str | None = None
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        authorization = request.headers.get("authorization")
        if request.url.host == "auth.example.com":
            if self.password is not None and authorization != self.password:
                return httpx.Response(401)
            return answer(self.token)
        if request.url.host == "cdn.example.com":
            return answer(self.image.blobs[request.url.path.removeprefix("/")])
        if authorization != "Bearer t0ken":
            challenge = f'Bearer realm="{self.realm}",service="the registry",scope="repository:x:pull,push"'
            return httpx.Response(401, headers={"www-authenticate": challenge})
        what, _, name = request.url.path.removeprefix("/v2/shop/").partition("/")
        if what == "manifests":
            return answer(self.image.manifest_bytes, MANIFEST)
        if self.blobs_at is not None:
            return httpx.Response(307, headers={"location": self.blobs_at + name})
        return answer(self.image.blobs[name])

    def hosts_with(self, header: str) -> set[str]:
        return {request.url.host for request in self.requests if header in request.headers}


def answer(data: bytes, content_type: str = "application/octet-stream") -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(data), headers={"content-type": content_type})


async def public(host: str) -> Collection[str]:
    return {"registry.internal": ["10.0.0.7"], "both.example.com": ["93.184.216.34", "127.0.0.1"]}.get(
        host, ["93.184.216.34"]
    )


@pytest.fixture
def fake() -> Fake:
    return Fake()


async def pull(
    fake: Fake,
    folder: Path,
    reference: str = f"{HOST}/shop",
    *,
    credentials: Credentials | None = None,
    hosts_allowed: Collection[str] = (),
) -> None:
    async with open_registry(
        parse_reference(reference),
        credentials=credentials,
        hosts_allowed=hosts_allowed,
        transport=httpx.MockTransport(fake),
        resolve=public,
    ) as image:
        await import_app(image, folder / "app")


def make(folder: Path) -> None:
    folder.mkdir(exist_ok=True)


async def refused(fake: Fake, folder: Path, kind: type[RegistryError], **options: object) -> str:
    make(folder)
    with pytest.raises(kind) as caught:
        await pull(fake, folder, **options)  # type: ignore[arg-type]
    assert not (folder / "app").exists()
    return caught.value.message


async def test_a_token_and_blobs_elsewhere(fake: Fake, tmp_path: Path) -> None:
    await pull(fake, tmp_path)
    asked = next(request for request in fake.requests if request.url.host == "auth.example.com")
    assert dict(asked.url.params) == {"service": "the registry", "scope": "repository:shop:pull"}
    assert fake.hosts_with("authorization") == {HOST}, "nobody else is shown our token"


async def test_credentials_go_where_tokens_come_from(fake: Fake, tmp_path: Path) -> None:
    fake.password = SOMEONE.basic()
    await refused(fake, tmp_path, OciDenied)
    fake.requests.clear()
    await pull(fake, tmp_path, credentials=SOMEONE)
    assert {
        request.url.host for request in fake.requests if request.headers.get("authorization") == SOMEONE.basic()
    } == {"auth.example.com"}


async def test_a_token_that_does_not_help(fake: Fake, tmp_path: Path) -> None:
    fake.token = b'{"access_token": "other"}'
    await refused(fake, tmp_path, OciDenied)
    assert len(fake.requests) == 3


@pytest.mark.parametrize(
    "token", [b"{}", b"not json", b'{"token": 7}', b'{"token": "a\\r\\nb"}', b'{"token": "\\u00fc"}']
)
async def test_a_token_that_is_none(fake: Fake, tmp_path: Path, token: bytes) -> None:
    fake.token = token
    await refused(fake, tmp_path, OciInvalid)


async def test_a_token_at_the_limit_and_over(fake: Fake, tmp_path: Path) -> None:
    fake.token = json.dumps({"token": "t0ken"}).encode().ljust(OCI_TOKEN_BYTES_MAX)
    await pull(fake, tmp_path)
    fake.token += b" "
    await refused(fake, tmp_path / "x", OciInvalid)


# --- where a registry may send us ---

SURPRISES = [
    "http://cdn.example.com/",
    "https://127.0.0.1/",
    "https://registry.internal/",
    "https://both.example.com/",
    "https://169.254.169.254/latest/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[::7f00:1]/",
    "https://[::ffff:0:7f00:1]/",
    "https://[64:ff9b::a00:1]/",
    "https://[64:ff9b:1::a00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[3fff::1]/",
    "file:///etc/passwd?",
    "ftp://cdn.example.com/",
    f"http://{HOST}/",
]


async def literal(host: str) -> Collection[str]:
    return [host] if host[0].isdigit() or ":" in host else await public(host)


@pytest.mark.parametrize("where", SURPRISES)
async def test_a_redirect_to_a_private_surprise(fake: Fake, tmp_path: Path, where: str) -> None:
    fake.blobs_at = where
    async with open_registry(
        parse_reference(f"{HOST}/shop"), transport=httpx.MockTransport(fake), resolve=literal
    ) as image:
        with pytest.raises(OciRedirectRefused):
            await import_app(image, tmp_path / "app")
    assert {request.url.host for request in fake.requests} == {HOST, "auth.example.com"}


@pytest.mark.parametrize("address", ["93.184.216.34", "[2606:2800:21f::1]", "[64:ff9b::5db8:d822]"])
async def test_a_redirect_to_a_public_address(fake: Fake, tmp_path: Path, address: str) -> None:
    fake.blobs_at = f"https://{address}/"

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.host == address.strip("[]"):
            return answer(fake.image.blobs[request.url.path.removeprefix("/")])
        return fake(request)

    async with open_registry(
        parse_reference(f"{HOST}/shop"), transport=httpx.MockTransport(serve), resolve=literal
    ) as image:
        await import_app(image, tmp_path / "app")


@pytest.mark.parametrize("host", ["a" * 64 + ".example.com", "a..b"])
async def test_a_redirect_to_no_name(fake: Fake, tmp_path: Path, host: str) -> None:
    async def resolve(name: str) -> Collection[str]:
        return await (resolve_host if name == host else public)(name)  # the real one does not get as far as asking

    fake.blobs_at = f"https://{host}/"
    async with open_registry(
        parse_reference(f"{HOST}/shop"), transport=httpx.MockTransport(fake), resolve=resolve
    ) as image:
        with pytest.raises(OciUnavailable):
            await import_app(image, tmp_path / "app")


@pytest.mark.parametrize("header", ["Bearer realm=", "Bearer =", 'Bearer realm=",', "Bearer", "Basic realm=,", ""])
async def test_a_challenge_that_asks_nothing(tmp_path: Path, header: str) -> None:
    def serve(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, headers={"www-authenticate": header})

    async with open_registry(parse_reference(f"{HOST}/shop"), transport=httpx.MockTransport(serve)) as image:
        with pytest.raises((OciDenied, OciRedirectRefused)):
            await import_app(image, tmp_path / "app")


async def test_a_manifest_that_drips(fake: Fake, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    class Drip(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                await trio.sleep(OCI_READ_TIMEOUT_S - 1)
                yield b" "

    def serve(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Drip())

    async with open_registry(parse_reference(f"{HOST}/shop"), transport=httpx.MockTransport(serve)) as image:
        with pytest.raises(OciUnavailable, match="no manifest within"):
            await import_app(image, tmp_path / "app")


@pytest.mark.parametrize("where", ["https://registry.internal/token", "http://auth.example.com/token"])
async def test_a_realm_that_is_a_private_surprise(fake: Fake, tmp_path: Path, where: str) -> None:
    fake.realm = where
    await refused(fake, tmp_path, OciRedirectRefused, credentials=SOMEONE)
    assert fake.hosts_with("authorization") == set(), "no password went anywhere"


async def test_a_private_host_that_the_operator_named(fake: Fake, tmp_path: Path) -> None:
    fake.blobs_at = "https://registry.internal/"
    inner = fake.__call__

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.host == "registry.internal":
            return answer(fake.image.blobs[request.url.path.removeprefix("/")])
        return inner(request)

    async with open_registry(
        parse_reference(f"{HOST}/shop"),
        hosts_allowed=["registry.internal"],
        transport=httpx.MockTransport(serve),
        resolve=public,
    ) as image:
        await import_app(image, tmp_path / "app")


async def test_round_and_round(fake: Fake, tmp_path: Path) -> None:
    fake.blobs_at = f"https://{HOST}/v2/shop/blobs/"
    await refused(fake, tmp_path, OciUnavailable)
    blobs = [request for request in fake.requests if "/blobs/" in request.url.path]
    assert len(blobs) == OCI_REDIRECT_COUNT_MAX + 2


async def test_nowhere(fake: Fake, tmp_path: Path) -> None:
    fake.blobs_at = "https://[::/"
    await refused(fake, tmp_path, OciUnavailable)


# --- what a registry may answer ---


async def test_a_manifest_of_another_digest(fake: Fake, tmp_path: Path) -> None:
    other = "sha256:" + "0" * 64
    assert other in await refused(fake, tmp_path, OciInvalid, reference=f"{HOST}/shop@{other}")


async def test_a_manifest_at_the_limit_and_over(fake: Fake, tmp_path: Path) -> None:
    fake.image.manifest_bytes = fake.image.manifest_bytes.ljust(OCI_MANIFEST_BYTES_MAX)
    await pull(fake, tmp_path)
    fake.image.manifest_bytes += b" "
    await refused(fake, tmp_path / "x", OciInvalid)


@pytest.mark.parametrize("extra", [b"x", b"x" * 1_000_000])
async def test_a_blob_that_does_not_end(fake: Fake, tmp_path: Path, extra: bytes) -> None:
    for digest in fake.image.blobs:
        fake.image.blobs[digest] += extra
    await refused(fake, tmp_path, OciInvalid)


@pytest.mark.parametrize(
    ("status", "kind"), [(404, OciMissing), (403, OciDenied), (429, OciUnavailable), (500, OciUnavailable)]
)
async def test_statuses(tmp_path: Path, status: int, kind: type[RegistryError]) -> None:
    async with open_registry(
        parse_reference(f"{HOST}/shop"), transport=httpx.MockTransport(lambda _request: httpx.Response(status))
    ) as image:
        with pytest.raises(kind):
            await import_app(image, tmp_path / "app")


async def test_an_index_with_one_image_for_webassembly(fake: Fake, tmp_path: Path) -> None:
    fake.blobs_at = None
    image = fake.image
    descriptors = [
        {**described(MANIFEST, b"other"), "platform": {"architecture": "amd64"}},
        {**described(MANIFEST, image.manifest_bytes), "platform": {"architecture": "wasm"}},
    ]
    index = json.dumps({"schemaVersion": 2, "manifests": descriptors}).encode()
    inner = fake.__call__

    def serve(request: httpx.Request) -> httpx.Response:
        found = inner(request)
        return answer(index) if found.is_success and request.url.path.endswith("/manifests/latest") else found

    async with open_registry(
        parse_reference(f"{HOST}/shop"), transport=httpx.MockTransport(serve), resolve=public
    ) as opened:
        imported = await import_app(opened, tmp_path / "app")
    assert imported.digest == image.digest


# --- references ---

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("localhost/a", Reference("localhost", "a", "latest")),
        ("localhost:5000/a/b-c__d.e:1.0", Reference("localhost:5000", "a/b-c__d.e", "1.0")),
        ("r.example.com/a@sha256:" + HEX, Reference("r.example.com", "a", "", Digest("sha256:" + HEX))),
        ("r.io:65535/a:x", Reference("r.io:65535", "a", "x")),
        ("10.0.0.1/a:x", Reference("10.0.0.1", "a", "x")),
        ("[::1]:5000/a:_x", Reference("[::1]:5000", "a", "_x")),
        ("r.io/a:" + "t" * 128, Reference("r.io", "a", "t" * 128)),
    ],
)
def test_references(text: str, reference: Reference) -> None:
    assert parse_reference(text) == reference
    if text.partition("/")[2] != "a":
        assert str(reference) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "team/shop",
        "https://r.io/a",
        "r.io/",
        "r.io/A",
        "r.io/../a",
        "r.io/a//b",
        "r.io/a:",
        "r.io/a:" + "t" * 129,
        "r.io/a:-x",
        "r.io/a@sha256:" + HEX[1:],
        "r.io/a@md5:1",
        "r.io/" + "a" * 251,
        "r.io:123456/a",
        "user@r.io/a",
        "r.io/a?b",
        "r.io/a:b\n",
        "[:::]/a",
        "[1:2]/a",
        "r.io:0/a",
        "r.io:65536/a",
        "1.2.3.999/a",
        "0x7f.1/a",
        "127.1/a",
        "-r.io/a",
        "r" * 64 + ".io/a",
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(RegistryError) as caught:
        parse_reference(text)
    assert caught.value.code == "registry.oci-reference"


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(SOMEONE)
