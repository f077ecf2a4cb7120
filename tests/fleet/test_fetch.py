"""Fetching a release: from several peers, past those that lie, lack or stall, and only what is not here yet."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from edged.errors import EdgedError, NotHere, Overloaded, ReleaseUnavailable
from edged.fleet.fetch import Progress
from edged.fleet.peer import Peer
from registry.digest import Digest
from registry.dsse import Envelope
from registry.errors import SignatureInvalid, StoreFull
from registry.limits import TRANSFER_STALL_S
from registry.release import RELEASE_TYPE
from registry.release_store import StoredRelease, open_release
from tests.fleet import kit
from tests.fleet.fakes import settle, table
from tests.fleet.nodes import TestNode, link

FILES = {"spin.toml": b"x", "components/a.wasm": os.urandom(3_000_000), "files/b": os.urandom(1_000_000)}


def trusted(node: TestNode):
    def verify(stored: StoredRelease) -> None:
        node.state.keyring().verify(Envelope.parse(stored.envelope), RELEASE_TYPE, "deploy", stored.release.app)

    return verify


def made(tmp_path: Path, *names: str, files: dict[str, bytes] = FILES) -> tuple[list[TestNode], Digest]:
    """Nodes with the roster; all but the first have the release, and a record names it."""
    nodes = [TestNode(name, tmp_path / name) for name in names]
    digest = Digest("")
    for node in nodes:
        node.begin()
        if node is not nodes[0]:
            digest = node.add_release(files)
    for node in nodes:
        node.state.accept(kit.signed(regions={"eu": digest}), kit.NOW)
    return nodes, digest


class Counted:
    """A node's dispatch, which counts chunks and can be told to misbehave.

    Attributes:
        instead: answers `chunk`, if set.
    """

    def __init__(self, node: TestNode) -> None:
        self.node = node
        self.chunks: list[str] = []
        self.instead: Any = None

    async def __call__(self, peer: Peer, call: str, args: dict[str, Any]) -> Any:
        if call == "chunk":
            self.chunks.append(args["digest"])
            if self.instead is not None:
                return await self.instead(args)
        return await self.node.dispatch(peer, call, args)


async def test_from_two_peers_with_progress(tmp_path: Path) -> None:
    (here, one, two), digest = made(tmp_path, "here", "one", "two")
    at_one, at_two = Counted(one), Counted(two)
    told: list[Progress] = []
    async with link(here, one, at_one), link(here, two, at_two):
        stored = await here.fetcher.fetch(digest, trusted(here), told.append)
    assert stored.digest == digest
    assert here.releases.get(digest).release == stored.release
    assert at_one.chunks
    assert at_two.chunks
    assert sorted(at_one.chunks + at_two.chunks) == sorted(chunk.digest for chunk in stored.release.chunks())
    total = sum(chunk.size for chunk in stored.release.chunks())
    assert told[0] == Progress(0, total, 0)
    assert told[-1] == Progress(total, total, 0)
    assert [p.bytes_done for p in told] == sorted(p.bytes_done for p in told)
    assert here.chunks.statistics().lease_count == 0


async def test_only_what_is_not_here(tmp_path: Path) -> None:
    (here, one), digest = made(tmp_path, "here", "one")
    here.make_release({"files/b": FILES["files/b"]})
    at_one, told = Counted(one), list[Progress]()
    async with link(here, one, at_one):
        await here.fetcher.fetch(digest, trusted(here), told.append)
        assert told[0].bytes_saved == told[0].bytes_done == len(FILES["files/b"])
        asked = len(at_one.chunks)
        await here.fetcher.fetch(digest, trusted(here), told.append)
        assert len(at_one.chunks) == asked
    assert told[-1].bytes_saved == told[-1].bytes_total


async def test_two_who_want_the_same_fetch_once(tmp_path: Path) -> None:
    (here, one), digest = made(tmp_path, "here", "one")
    at_one = Counted(one)
    async with link(here, one, at_one), trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(here.fetcher.fetch, digest, trusted(here))
    assert len(at_one.chunks) == len(set(at_one.chunks))


async def test_a_peer_that_lies_is_left_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    (here, liar, honest), digest = made(tmp_path, "here", "liar", "honest")
    at_liar = Counted(liar)
    chunks = open_release(honest.releases.get(digest).envelope).release.chunks()

    async def lie(_args: dict[str, Any]) -> Any:
        return {"frame": liar.chunks.get_frame(chunks[0])}

    at_liar.instead = lie
    async with link(here, liar, at_liar), link(here, honest):
        await here.fetcher.fetch(digest, trusted(here))
    assert [here.chunks.get(chunk) for chunk in chunks] == [honest.chunks.get(chunk) for chunk in chunks]


@pytest.mark.parametrize("answer", [{"frame": b"rubbish"}, {"frame": 1}, {}, None, [1]])
async def test_only_peers_that_lie(tmp_path: Path, answer: object) -> None:
    (here, liar), digest = made(tmp_path, "here", "liar")
    at_liar = Counted(liar)

    async def lie(_args: dict[str, Any]) -> Any:
        return answer

    at_liar.instead = lie
    async with link(here, liar, at_liar):
        with pytest.raises(ReleaseUnavailable, match="liar: lied"):
            await here.fetcher.fetch(digest, trusted(here))
    assert not here.releases.has(digest)


async def test_a_peer_that_stalls_is_left(tmp_path: Path, mock_clock: MockClock) -> None:
    (here, slow, other), digest = made(tmp_path, "here", "slow", "other")
    at_slow, stalled = Counted(slow), trio.Event()

    async def stall(_args: dict[str, Any]) -> Any:
        stalled.set()
        await trio.sleep_forever()

    at_slow.instead = stall
    async with link(here, slow, at_slow), link(here, other) as to_other, trio.open_nursery() as nursery:
        here.links.remove(to_other)  # it comes later
        nursery.start_soon(here.fetcher.fetch, digest, trusted(here))
        await stalled.wait()
        here.links.append(to_other)
        mock_clock.jump(TRANSFER_STALL_S)
    assert here.releases.has(digest)


async def test_a_peer_that_goes_away_in_the_middle(tmp_path: Path) -> None:
    (here, leaver, other), digest = made(tmp_path, "here", "leaver", "other")
    at_leaver = Counted(leaver)
    async with link(here, leaver, at_leaver) as leaving, link(here, other):

        async def leave(_args: dict[str, Any]) -> Any:
            leaving.close("gone")

        at_leaver.instead = leave
        await here.fetcher.fetch(digest, trusted(here))
    assert here.releases.has(digest)


async def test_a_peer_without_the_chunks(tmp_path: Path) -> None:
    (here, empty, full), digest = made(tmp_path, "here", "empty", "full")
    empty.releases.remove(digest)
    async with link(here, empty), link(here, full):
        await here.fetcher.fetch(digest, trusted(here))
    assert here.releases.has(digest)


async def test_nobody_has_it(tmp_path: Path) -> None:
    (here, one), _ = made(tmp_path, "here", "one")
    with pytest.raises(ReleaseUnavailable, match="no peer is linked"):
        await here.fetcher.fetch(kit.RELEASE, trusted(here))
    async with link(here, one):
        with pytest.raises(ReleaseUnavailable, match="one: no record here names"):
            await here.fetcher.fetch(kit.RELEASE, trusted(here))


async def test_a_release_that_is_not_to_be_trusted(tmp_path: Path) -> None:
    (here, one), digest = made(tmp_path, "here", "one")

    def verify(_stored: StoredRelease) -> None:
        raise SignatureInvalid("nobody that I know")

    async with link(here, one):
        with pytest.raises(SignatureInvalid, match="nobody that I know"):
            await here.fetcher.fetch(digest, verify)
    assert here.chunks.statistics().chunk_count == 0


@pytest.mark.parametrize("other", ["has it signed", "has it not", "fails"])
async def test_one_peer_that_spoils_signatures_decides_nothing(tmp_path: Path, other: str) -> None:
    """They are not part of the digest, so whoever passes a release on can change them."""
    (here, spoiler, honest), digest = made(tmp_path, "here", "spoiler", "honest")
    envelope = Envelope.parse(honest.releases.get(digest).envelope)
    bad = replace(envelope, signatures=tuple(replace(each, signature=bytes(64)) for each in envelope.signatures))
    spoiled = table(release=lambda _peer, _args: {"envelope": bad.encode()})
    answers = {
        "has it signed": None,
        "has it not": table(release=lambda _peer, _args: refuse(NotHere("not here"))),
        "fails": table(release=lambda _peer, _args: refuse(Overloaded("too much to do"))),
    }
    async with link(here, spoiler, spoiled), link(here, honest, answers[other]):
        if other == "has it signed":
            await here.fetcher.fetch(digest, trusted(here))
            assert here.releases.has(digest)
        else:
            with pytest.raises(SignatureInvalid if other == "has it not" else ReleaseUnavailable):
                await here.fetcher.fetch(digest, trusted(here))


def refuse(error: EdgedError) -> Any:
    raise error


async def test_another_release_than_the_one_asked_for(tmp_path: Path) -> None:
    (here, one), digest = made(tmp_path, "here", "one")
    other = one.make_release({"a": b"other"})
    async with link(here, one, table(release=lambda _peer, _args: {"envelope": other})):
        with pytest.raises(ReleaseUnavailable, match="in place of"):
            await here.fetcher.fetch(digest, trusted(here))


async def test_our_own_disk_is_nobody_elses_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here, one), digest = made(tmp_path, "here", "one")

    def full(*_args: object) -> None:
        raise StoreFull("full")

    monkeypatch.setattr(here.chunks, "put_frame", full)
    async with link(here, one):
        with pytest.raises(StoreFull):
            await here.fetcher.fetch(digest, trusted(here))


@pytest.mark.parametrize("rate", ["rate_bytes_s", "peer_rate_bytes_s"])
async def test_a_rate_is_kept(tmp_path: Path, mock_clock: MockClock, rate: str) -> None:
    (_, one), digest = made(tmp_path, "here", "one")
    here = TestNode("here", tmp_path / "slow", **{rate: 1})
    here.begin()
    at_one, told = Counted(one), list[Progress]()
    async with link(here, one, at_one), trio.open_nursery() as nursery:
        nursery.start_soon(here.fetcher.fetch, digest, trusted(here), told.append)
        while not told or not told[-1].bytes_done:
            await trio.lowlevel.checkpoint()
        await settle()
        assert len(at_one.chunks) == 1  # the clock stands still, so nothing more may be asked
        nursery.cancel_scope.cancel()


async def test_corrupt_chunks_are_brought_back(tmp_path: Path) -> None:
    (here, one), digest = made(tmp_path, "here", "one")
    async with link(here, one):
        stored = await here.fetcher.fetch(digest, trusted(here))
        chunk = stored.release.chunks()[0]
        [path] = (tmp_path / "here" / "registry" / "chunks").glob(f"*/{chunk.digest.removeprefix('sha256:')}")
        path.unlink()
        await here.fetcher.repair([chunk], "test")
    assert here.chunks.get(chunk) == one.chunks.get(chunk)


async def test_peers_get_what_is_here_of_a_release_on_its_way(tmp_path: Path) -> None:
    (first, origin, second), digest = made(tmp_path, "first", "origin", "second")
    second.releases.remove(digest)
    at_origin = Counted(origin)
    half = trio.Event()
    go = trio.Event()

    async def slowly(args: dict[str, Any]) -> Any:
        if len(at_origin.chunks) > 3:
            half.set()
            await go.wait()
        return await origin.dispatch(kit_peer(), "chunk", args)

    at_origin.instead = slowly
    async with link(first, origin, at_origin), trio.open_nursery() as nursery:
        nursery.start_soon(first.fetcher.fetch, digest, trusted(first))
        await half.wait()
        here = await until_some(first, at_origin.chunks[:3])
        async with link(second, first) as to_first:
            assert "frame" in await to_first.call("chunk", digest=here)
        go.set()


def kit_peer() -> Peer:
    return Peer("first", "node", "sha256:first")


async def until_some(node: TestNode, digests: list[str]) -> Digest:
    while True:
        await trio.lowlevel.checkpoint()
        for digest in digests:
            if node.chunks.has(Digest(digest)):
                return Digest(digest)
