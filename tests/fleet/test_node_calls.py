"""What a node answers: uploads from publishers, what peers may read, and who joins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edged.errors import RemoteError
from edged.fleet import node_calls, uploads
from edged.fleet.peer import ANYONE, Peer
from edged.limits import COLLECT_INTERVAL_S, RELEASE_GRACE_S
from registry.blob import Chunk
from registry.digest import Digest, digest_of
from registry.disk import BLOCK_BYTES
from registry.release_store import open_release
from tests.fleet import kit
from tests.fleet.nodes import TestNode, client, key_peer

PEER = Peer("n2", "node", "sha256:n2")


@pytest.fixture
def node(tmp_path: Path) -> TestNode:
    made = TestNode("n1", tmp_path)
    made.begin()
    return made


@pytest.fixture
def laptop(tmp_path: Path) -> TestNode:
    """Somewhere to build releases."""
    return TestNode("laptop", tmp_path / "laptop")


def refused(code: str):
    class Refused:
        def __enter__(self) -> None:
            self._raises = pytest.raises(RemoteError)
            self._caught = self._raises.__enter__()

        def __exit__(self, *error: object) -> bool:
            swallowed = self._raises.__exit__(*error)
            assert self._caught.value.code == code
            return swallowed

    return Refused()


async def upload(link, laptop: TestNode, envelope: bytes, lease: str = "push") -> None:
    chunks = {chunk.digest: chunk for chunk in open_release(envelope).release.chunks()}
    for digest in await link.call("missing", digests=list(chunks), lease=lease):
        frame = laptop.chunks.get_frame(chunks[digest])
        await link.call("put_chunk", digest=digest, size=chunks[digest].size, frame=frame)


async def test_a_push(node: TestNode, laptop: TestNode) -> None:
    envelope = laptop.make_release({"a": os.urandom(300_000), "b": b"small"})
    digest = open_release(envelope).digest
    async with client(node, key_peer("operator")) as link:
        with refused("registry.blobs-missing"):
            await link.call("put_release", envelope=envelope)
        await upload(link, laptop, envelope)
        assert await link.call("put_release", envelope=envelope) == {"digest": digest}
        record = kit.signed(regions={"eu": digest})
        assert await link.call("put_record", envelope=record) == {"outcome": "accepted"}
        assert await link.call("put_record", envelope=record) == {"outcome": "known"}
        assert await link.call("head", app="shop") == {"envelope": record, "roster_version": 1}
        assert await link.call("head", app="other") == {"envelope": None, "roster_version": 1}
        newer = kit.signed(sequence=2, regions={"eu": digest})
        await link.call("put_record", envelope=newer)
        assert await link.call("history", app="shop") == {"envelopes": [newer, record]}
        answer = await link.call("roster")
        assert (len(answer["envelopes"]), answer["admissions"]) == (1, [])
        assert await link.call("alarms") == {"alarms": []}
    async with client(node, key_peer("reader")) as link:
        [app] = (await link.call("apps"))["apps"]
        assert (app["app"], app["sequence"], app["regions"]) == ("shop", 2, {"eu": digest})
        assert "variables" not in app


async def test_a_second_push_sends_only_what_is_missing(node: TestNode, laptop: TestNode) -> None:
    big = os.urandom(300_000)
    async with client(node, key_peer("operator")) as link:
        await upload(link, laptop, laptop.make_release({"a": big}))
        changed = laptop.make_release({"a": big, "b": b"one more line"})
        chunks = [chunk.digest for chunk in open_release(changed).release.chunks()]
        assert await link.call("missing", digests=chunks, lease="again") == [digest_of(b"one more line")]


async def test_a_key_for_another_app(node: TestNode, laptop: TestNode) -> None:
    async with client(node, key_peer("shopkeeper")) as link:
        theirs = laptop.make_release({"a": b"a"}, "shop-1", by="shopkeeper")
        await upload(link, laptop, theirs)
        assert await link.call("put_release", envelope=theirs)
        for by in ("shopkeeper", "operator"):
            foreign = laptop.make_release({"a": b"a"}, "bank", by=by)
            with refused("fleet.forbidden"):
                await link.call("put_release", envelope=foreign)
        for call in ("head", "history"):
            with refused("fleet.forbidden"):
                await link.call(call, app="bank")


async def test_a_release_that_the_wrong_one_signed(node: TestNode, laptop: TestNode) -> None:
    async with client(node, key_peer("operator")) as link:
        for by, code in (("shopkeeper", "registry.key-not-allowed"), ("stranger", "registry.signature")):
            envelope = laptop.make_release({"a": b"a"}, by=by)
            await upload(link, laptop, envelope)
            with refused(code):
                await link.call("put_release", envelope=envelope)
        assert node.releases.digests() == frozenset()


async def test_a_record_that_is_refused_says_why(node: TestNode) -> None:
    async with client(node, key_peer("operator")) as link:
        with pytest.raises(RemoteError) as caught:
            await link.call("put_record", envelope=kit.signed(by="reader"))
        assert caught.value.code.startswith("fleet.record")
        with pytest.raises(RemoteError):
            await link.call("put_record", envelope=b"rubbish")
        assert node.state.deployments() == {}


async def test_a_chunk_that_is_not_what_it_says(node: TestNode, laptop: TestNode) -> None:
    envelope = laptop.make_release({"a": b"plain"})
    [chunk] = open_release(envelope).release.chunks()
    frame = laptop.chunks.get_frame(chunk)
    async with client(node, key_peer("operator")) as link:
        with refused("fleet.upload-refused"):  # not announced
            await link.call("put_chunk", digest=chunk.digest, size=chunk.size, frame=frame)
        await link.call("missing", digests=[chunk.digest, digest_of(b"else")], lease="l")
        for digest, size, data in (
            (digest_of(b"else"), chunk.size, frame),
            (chunk.digest, chunk.size + 1, frame),
            (chunk.digest, chunk.size, frame[:-1]),
            (chunk.digest, chunk.size, frame + b"x"),
        ):
            with pytest.raises(RemoteError) as caught:
                await link.call("put_chunk", digest=digest, size=size, frame=data)
            assert caught.value.code.startswith("registry.")
        assert node.chunks.missing([chunk.digest]) == [chunk.digest]


async def test_peers_get_what_records_name_and_nothing_else(node: TestNode, tmp_path: Path) -> None:
    named, unnamed = node.add_release({"a": b"named"}), node.add_release({"a": b"unnamed"})
    node.state.accept(kit.signed(regions={"eu": named}), kit.NOW)
    async with client(node, PEER) as link:
        answer = await link.call("release", digest=named)
        assert open_release(answer["envelope"]).digest == named
        chunk = Chunk(digest_of(b"named"), 5)
        other = TestNode("n2", tmp_path / "other")
        other.chunks.put_frame(chunk, (await link.call("chunk", digest=chunk.digest))["frame"])
        assert other.chunks.get(chunk) == b"named"
        with refused("fleet.not-here"):
            await link.call("release", digest=unnamed)
        with refused("fleet.not-here"):
            await link.call("chunk", digest=digest_of(b"unnamed"))
        node.state.accept(kit.signed(sequence=2, regions={"eu": unnamed}), kit.NOW)
        assert await link.call("chunk", digest=digest_of(b"unnamed"))
        with refused("fleet.not-here"):  # no record names it any more
            await link.call("chunk", digest=digest_of(b"named"))


async def test_a_fresh_upload_is_given_away_before_its_record_comes(node: TestNode, laptop: TestNode) -> None:
    envelope = laptop.make_release({"a": b"fresh"})
    async with client(node, key_peer("operator")) as link:
        await upload(link, laptop, envelope)
        async with client(node, PEER) as peer:
            with refused("fleet.not-here"):
                await peer.call("chunk", digest=digest_of(b"fresh"))
            await link.call("put_release", envelope=envelope)
            assert await peer.call("chunk", digest=digest_of(b"fresh"))
            assert await peer.call("release", digest=open_release(envelope).digest)


async def test_a_named_release_that_is_not_here(node: TestNode) -> None:
    node.state.accept(kit.signed(), kit.NOW)
    async with client(node, PEER) as link:
        with refused("fleet.not-here"):
            await link.call("release", digest=kit.RELEASE)
        with refused("fleet.not-here"):
            await link.call("chunk", digest=kit.RELEASE)


async def test_a_node_asks_what_is_missing_without_a_lease(node: TestNode) -> None:
    async with client(node, PEER) as link:
        assert await link.call("missing", digests=[kit.RELEASE], lease="") == [kit.RELEASE]
    assert node.chunks.statistics().lease_count == 0


async def test_a_new_node_joins(node: TestNode) -> None:
    joining = kit.Joining()
    async with client(node, ANYONE) as link:
        answer = await link.call(
            "join", voucher=joining.voucher, certificate=joining.identity.certificate, proof=joining.proof()
        )
        assert [n.name for n in node.state.nodes()] == ["n1", "n2", "n3"]
        assert answer["rosters"] == list(node.state.roster_chain())
        thief = kit.identity("thief")
        with pytest.raises(RemoteError) as caught:
            await link.call("join", voucher=joining.voucher, certificate=thief.certificate, proof=joining.proof(thief))
        assert caught.value.code.startswith("fleet.voucher")
        with refused("fleet.forbidden"):
            await link.call("apps")


def test_an_answer_has_only_so_many_records() -> None:
    size = node_calls._ANSWER_BYTES_MAX // 4
    assert len(node_calls._fitting([bytes(size)] * 4)) == 4
    assert len(node_calls._fitting([bytes(size)] * 3 + [bytes(size + 1), b""])) == 3


# --- quotas ---


def chunk(number: int, size: int = 1) -> Chunk:
    return Chunk(digest_of(b"%d" % number), size)


def release(number: int) -> Digest:
    return digest_of(b"release %d" % number)


def quotas(*named: Digest) -> uploads.Uploads:
    return uploads.Uploads(lambda: named)


def put(made: uploads.Uploads, digest: Digest, *chunks: Chunk, now: float = 0, size: int = 0) -> None:
    with made.releasing("k", digest, size, {one.digest for one in chunks}, now):
        pass


def test_uploads_at_the_limit_and_over() -> None:
    made = quotas()
    for number in range(uploads.UPLOAD_LEASES_PER_KEY_MAX):
        made.announce("k", str(number), [], 0)
    made.announce("k", "0", [], 0)
    with pytest.raises(uploads.UploadRefused, match="open"):
        made.announce("k", "more", [], 0)
    made.announce("other", "more", [], 0)
    made.announce("k", "more", [], uploads.UPLOAD_LEASE_S)


def test_bytes_of_one_key_at_the_limit_and_over() -> None:
    made = quotas()
    half = uploads.UPLOAD_BYTES_MAX // 2
    made.announce("k", "a", [chunk(1).digest, chunk(2).digest], 0)
    made.announce("k", "b", [chunk(3).digest], 0)
    made.admit("k", chunk(1, half), 0)
    made.admit("k", chunk(1, half), 0)
    made.admit("k", chunk(3, half), 0)
    with pytest.raises(uploads.UploadRefused, match="takes"):
        made.admit("k", chunk(2, 1), 0)
    with pytest.raises(uploads.UploadRefused, match="not announced"):
        made.admit("other", chunk(1), 0)


def test_a_chunk_counts_as_what_it_takes_of_the_disk() -> None:
    made = quotas()
    made.announce("k", "a", [chunk(number).digest for number in range(3)], 0)
    made.admit("k", chunk(0, uploads.UPLOAD_BYTES_MAX - BLOCK_BYTES), 0)
    made.admit("k", chunk(1, 1), 0)
    with pytest.raises(uploads.UploadRefused, match="takes"):
        made.admit("k", chunk(2, 1), 0)


def test_chunks_of_one_upload_at_the_limit_and_over() -> None:
    made = quotas()
    digests = [chunk(number).digest for number in range(uploads.UPLOAD_CHUNK_COUNT_MAX + 1)]
    name, announced, until = made.announce("k", "a", digests[:-1], 5)
    assert (name, len(announced), until) == ("upload k a", len(digests) - 1, 5 + uploads.UPLOAD_LEASE_S)
    with pytest.raises(uploads.UploadRefused, match="chunks"):
        made.announce("k", "a", digests[-1:], 5)


def test_a_finished_upload_makes_room_for_another_of_the_same_name() -> None:
    made = quotas()
    made.announce("k", "a", [chunk(1).digest], 0)
    made.admit("k", chunk(1), 0)
    put(made, release(1), chunk(1))
    with pytest.raises(uploads.UploadRefused, match="not announced"):
        made.admit("k", chunk(1), 0)


def test_releases_that_no_record_names_at_the_limit_and_over() -> None:
    made = quotas(release(-1))
    for number in range(uploads.UPLOAD_RELEASE_COUNT_MAX):
        put(made, release(number))
    put(made, release(0))  # again, for an answer that was lost
    put(made, release(-1))  # a record names it
    with pytest.raises(uploads.UploadRefused, match="no record names"):
        put(made, release(-2))
    made.named([release(0)])
    put(made, release(-2))
    with pytest.raises(uploads.UploadRefused, match="no record names"):
        put(made, release(-3))
    put(made, release(-3), now=RELEASE_GRACE_S + COLLECT_INTERVAL_S)  # by now they are gone


def test_bytes_of_a_release_count_until_a_record_names_it() -> None:
    made = quotas()
    made.announce("k", "a", [chunk(1).digest, chunk(2).digest, chunk(3).digest], 0)
    made.admit("k", chunk(1, uploads.UPLOAD_BYTES_MAX - BLOCK_BYTES), 0)
    with pytest.raises(uploads.UploadRefused, match="takes"):
        put(made, release(1), chunk(1), size=BLOCK_BYTES + 1)
    put(made, release(1), chunk(1), size=BLOCK_BYTES)
    with pytest.raises(uploads.UploadRefused, match="takes"):
        made.admit("k", chunk(2), 0)
    made.named([release(1)])
    made.admit("k", chunk(2), 0)


def test_a_release_that_is_not_stored_is_not_counted() -> None:
    made = quotas()
    made.announce("k", "a", [chunk(1).digest], 0)
    made.admit("k", chunk(1), 0)
    for number in range(uploads.UPLOAD_RELEASE_COUNT_MAX + 1):
        with pytest.raises(OSError, match="disk"), made.releasing("k", release(number), 1, {chunk(1).digest}, 0):
            raise OSError("the disk is full")
    put(made, release(1), chunk(1))


async def test_releases_of_a_key_end_at_the_limit(node: TestNode, laptop: TestNode) -> None:
    """Over the wire; what a record names makes room."""
    async with client(node, key_peer("operator")) as link:

        async def push(number: int) -> bytes:
            envelope = laptop.make_release({"a": b"%d" % number})
            await upload(link, laptop, envelope)
            await link.call("put_release", envelope=envelope)
            return envelope

        first = await push(0)
        for number in range(1, uploads.UPLOAD_RELEASE_COUNT_MAX):
            await push(number)
        with refused("fleet.upload-refused"):
            await push(-1)
        await link.call("put_record", envelope=kit.signed(regions={"eu": open_release(first).digest}))
        await link.call("put_record", envelope=kit.signed(sequence=2, regions={"eu": kit.RELEASE}))
        await push(-1)
        with refused("fleet.upload-refused"):
            await push(-2)
