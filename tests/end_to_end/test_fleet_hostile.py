"""What a publisher, a disk or a file must not be able to do to a real node: each is refused by name, or healed.

The node is asked over TLS, with the operator's key, so that nothing but what is wrong stands in the way. Afterwards
what was live is live, and the next push is as ever.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgpack
import pytest
import zstandard

from edged.errors import RemoteError
from edged.fleet.certificate import load_identity
from edged.fleet.client import Client, connect
from edged.fleet.deployment import Deployment
from edged.fleet.folder import FleetFolder
from edged.fleet.session import Hello
from edged.limits import KiB, MiB
from edged.publish.signer import Signer
from registry.blob import Blob, Chunk
from registry.digest import Digest, digest_of
from registry.dsse import sign
from registry.frame import encode_frame
from registry.keys import SigningKey
from registry.release import RELEASE_TYPE, Entry, Release
from tests.fleets import Fleet, Loopback, app_folder, made, saying

HOST = "victim.edged.localhost"
CHUNK = b"some bytes of a file"


@pytest.fixture(scope="module")
def app(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is live all the while."""
    app = app_folder(tmp_path_factory.mktemp("app"), "victim", saying("hello"))
    fleet.push(app)
    return app


@pytest.fixture(autouse=True)
def unharmed(fleet: Fleet, app: Path) -> Iterator[None]:
    """Whatever a test did: what was live is live, by the same processes."""
    pids = {name: node.workers() for name, node in fleet.nodes.items()}
    yield
    for name, node in fleet.nodes.items():
        assert node.get(host=HOST) == (200, b"hello")
        assert node.workers() == pids[name]


@dataclass
class Publisher:
    """Somebody with the operator's key and a client of their own."""

    client: Client
    signer: Signer

    async def put(self, chunk: Chunk, frame: bytes) -> None:
        await self.client.call("missing", digests=[chunk.digest], lease="test")
        await self.client.call("put_chunk", digest=chunk.digest, size=chunk.size, frame=frame)

    async def release(self, payload: bytes, *keys: SigningKey) -> None:
        await self.client.call("put_release", envelope=sign(RELEASE_TYPE, payload, *keys).encode())

    @property
    def key(self) -> SigningKey:
        return self.signer.identity.key


@contextlib.asynccontextmanager
async def publisher(fleet: Fleet, node: str = "eu-1") -> AsyncIterator[Publisher]:
    roster = FleetFolder(fleet.operator).signed()
    assert roster is not None
    identity = load_identity(fleet.operator / "operator.key", fleet.operator / "operator.crt")
    signer = Signer(identity, roster)
    hello = Hello(roster.fleet, roster.epoch, roster.version, "operator", "0")
    async with connect(fleet[node].address, identity, signer.anchors, hello=hello) as client:
        yield Publisher(client, signer)


def release(path: str = "file", *, size: int = len(CHUNK), app: str = "victim") -> bytes:
    """A release whose one chunk is `CHUNK`."""
    chunk = Chunk(digest_of(CHUNK), len(CHUNK))
    entry = Entry("file", Blob(chunk.digest, chunk.size, (chunk,)))
    data = Release(app, "1", (entry,), {}).encode()
    fields = msgpack.unpackb(data)
    if path != "file" or size != len(CHUNK):
        text = msgpack.packb(fields)
        assert text == data
        data = data.replace(msgpack.packb("file"), msgpack.packb(path))
        data = data.replace(msgpack.packb(len(CHUNK)), msgpack.packb(size))
    return data


def code_of(caught: pytest.ExceptionInfo[RemoteError]) -> str:
    return caught.value.code


async def test_a_release_that_is_what_it_should_be(fleet: Fleet) -> None:
    """The twin of all that follow."""
    async with publisher(fleet) as someone:
        await someone.put(Chunk(digest_of(CHUNK), len(CHUNK)), encode_frame(CHUNK))
        await someone.release(release(), someone.key)


async def test_signatures(fleet: Fleet) -> None:
    """None, one of a key that nobody knows, and one that belongs to other bytes."""
    async with publisher(fleet) as someone:
        await someone.put(Chunk(digest_of(CHUNK), len(CHUNK)), encode_frame(CHUNK))
        for keys in ((), (SigningKey.generate(),)):
            with pytest.raises(RemoteError) as caught:
                await someone.release(release(), *keys)
            assert code_of(caught) == "registry.signature"
        envelope = sign(RELEASE_TYPE, release(), someone.key).encode()
        with pytest.raises(RemoteError) as caught:
            await someone.client.call("put_release", envelope=envelope.replace(b"victim", b"victor"))
        assert code_of(caught) == "registry.signature"


def test_a_key_of_another_app(fleet: Fleet, tmp_path: Path) -> None:
    """With the real commands: a key that may push `shop-*` pushes `shop-a`, and not `victim`."""
    made_key = fleet.run("keys", "create", "shopkeeper", "--to", tmp_path, "--json").last
    certificate = Path(made_key["certificate"])
    options = ("--role", "deploy", "--app", "shop-*", "-C", fleet.operator)
    fleet.run("fleet", "add-key", "shopkeeper", certificate, *options)
    fleet.run("fleet", "sign", "-C", fleet.operator, "--yes")
    fleet.run("fleet", "publish", "-C", fleet.operator)
    fleet.wait_status(lambda status: all(node["roster_version"] == 3 for node in status["nodes"]))
    other = Fleet(fleet.folder, fleet.nodes, fleet.place)
    other.home = tmp_path / "shopkeeper"
    other.run("login", fleet.operator, "--key", certificate.with_suffix(".key"))
    assert other.push(app_folder(tmp_path / "a", "shop-a", saying("mine"))).last["event"] == "finished"
    refused = other.push(app_folder(tmp_path / "b", "victim", saying("theirs")), check=False)
    assert refused.status != 0
    assert refused.last["code"] == "fleet.forbidden"


@pytest.mark.parametrize("path", ["../x", "/etc", "a//b", "a\\b", "..", "a\0b", "a/./"])
async def test_hostile_paths(fleet: Fleet, path: str) -> None:
    async with publisher(fleet) as someone:
        with pytest.raises(RemoteError) as caught:
            await someone.release(release(path), someone.key)
    assert code_of(caught) == "registry.release-invalid"


async def test_a_decompression_bomb(fleet: Fleet) -> None:
    """A gigabyte of zeros in 32 KiB, said so in the header, not said, and said to be what the chunk is."""
    bomb = zstandard.ZstdCompressor(level=19)
    zeros = bytes(64 * MiB)
    unsaid = bomb.compressobj()
    frames = [bomb.compress(zeros), unsaid.compress(zeros) + unsaid.flush()]
    chunk = Chunk(digest_of(bytes(MiB)), MiB)
    async with publisher(fleet) as someone:
        for frame in frames:
            with pytest.raises(RemoteError) as caught:
                await someone.put(chunk, frame)
            assert code_of(caught) == "registry.frame-invalid"


async def test_ten_gigabytes_claimed(fleet: Fleet) -> None:
    """By a release, and by a chunk."""
    async with publisher(fleet) as someone:
        with pytest.raises(RemoteError) as caught:
            await someone.release(release(size=10 * 1024 * MiB), someone.key)
        assert code_of(caught) == "registry.release-invalid"
        with pytest.raises(RemoteError) as caught:
            await someone.client.call("put_chunk", digest=digest_of(b""), size=10 * 1024 * MiB, frame=b"")
        assert code_of(caught) == "fleet.request"


async def test_bytes_with_two_meanings(fleet: Fleet) -> None:
    """A map that has a key twice, bytes after the end, and a longer way to say the same number."""
    good = release()
    fields = msgpack.unpackb(good)
    twice = bytes([good[0] + 1]) + good[1:] + msgpack.packb("version") + msgpack.packb("2")
    assert msgpack.unpackb(twice)["version"] == "2"
    wide = good.replace(msgpack.packb("format") + b"\x01", msgpack.packb("format") + b"\xcc\x01")
    assert msgpack.unpackb(wide) == fields
    async with publisher(fleet) as someone:
        for payload in (twice, good + b"\0", wide):
            assert payload != good
            with pytest.raises(RemoteError) as caught:
                await someone.release(payload, someone.key)
            assert code_of(caught) == "registry.release-invalid"


async def test_a_chunk_damaged_in_flight(fleet: Fleet) -> None:
    """Other bytes than the digest's, a frame cut off, and one with a bit turned."""
    data = os.urandom(100 * KiB)
    chunk, frame = Chunk(digest_of(data), len(data)), encode_frame(data)
    turned = bytearray(frame)
    turned[len(turned) // 2] ^= 1
    other = encode_frame(os.urandom(100 * KiB))
    async with publisher(fleet) as someone:
        for damaged in (other, frame[:-10], bytes(turned)):
            with pytest.raises(RemoteError) as caught:
                await someone.put(chunk, damaged)
            assert code_of(caught) in ("registry.blob-mismatch", "registry.frame-invalid")
        assert await someone.client.call("missing", digests=[chunk.digest], lease="test") == [chunk.digest]
        await someone.put(chunk, frame)
        assert await someone.client.call("missing", digests=[chunk.digest], lease="test") == []


async def test_a_deployment_of_a_release_that_nobody_has(fleet: Fleet) -> None:
    """It is a signed wish, so it is a record; what was live goes on, and a later one counts."""
    async with publisher(fleet) as someone:
        head = someone.signer.read_deployment((await someone.client.call("head", app="victim"))["envelope"]).deployment
        nowhere: Digest = digest_of(b"nowhere")
        wish = Deployment(
            fleet=head.fleet,
            app=head.app,
            epoch=head.epoch,
            sequence=head.sequence + 1,
            regions=dict.fromkeys(head.regions, nowhere),
            hosts=head.hosts,
            limits=head.limits,
            variables=head.variables,
            issued=int(time.time()),
            previous=head.digest,
            message="",
            probe="",
        )
        await someone.client.call("put_record", envelope=someone.signer.sign_deployment(wish))


def test_then_the_app_is_pushed_again(fleet: Fleet, app: Path) -> None:
    assert set(fleet.push(app).last["regions"].values()) == {"live"}


def test_a_full_disk(tmp_path: Path) -> None:
    """An upload meets a full disk half-way: it is refused by name, what is live goes on, and with room again the push
    goes on where it was.
    """
    state = tmp_path / "fleet" / "eu-1" / "state"
    state.mkdir(parents=True)
    # A mount of its own, that only this node sees. Of it `registry.limits.DISK_RESERVE_BYTES`, 64 MiB, stay free.
    script = f'mount -t tmpfs -o size=160m none {state} && cp -a {state}.kept/. {state}/ && exec "$@"'
    prefix = {"eu-1": ("unshare", "--mount", "sh", "-c", script, "sh")}
    with made(tmp_path / "fleet", Loopback(), {"eu-1": "eu", "us-1": "us"}, prefix=prefix, start=False) as fleet:
        state.rename(f"{state}.kept")
        state.mkdir()
        for node in fleet.nodes.values():
            node.start()
        small = app_folder(tmp_path / "small", "small", saying("small"))
        fleet.push(small)
        process = fleet["eu-1"].process
        assert process is not None
        ballast = Path(f"/proc/{process.pid}/root{state}/ballast")
        ballast.write_bytes(bytes(80 * MiB))
        large = app_folder(tmp_path / "large", "large", saying("large"), files='["noise"]')
        (large / "noise").write_bytes(os.urandom(24 * MiB))
        refused = fleet.push(large, check=False)
        assert refused.last["code"] == "registry.disk-full"
        for node in fleet.nodes.values():
            assert node.get(host="small.edged.localhost") == (200, b"small")
        ballast.unlink()
        pushed = fleet.push(large).last
        assert pushed["regions"] == {"eu": "live", "us": "live"}
        assert pushed["bytes_saved"] > 4 * MiB
        for node in fleet.nodes.values():
            assert node.get(host="large.edged.localhost") == (200, b"large")
