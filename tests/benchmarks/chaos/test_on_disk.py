"""What is looked at after a kill is seen when it is wrong: damage, loss and what went back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.chaos.on_disk import OnDisk, older, read
from edged.fleet.record import Key, Version
from edged.fleet.rollout_event import Target
from edged.fleet.rollout_plan import Saved
from edged.node.rollout_store import Kept, RolloutStore
from registry.blob import Blob, Chunk
from registry.chunk_store import ChunkStore
from registry.digest import Digest, digest_of
from registry.dsse import sign
from registry.release import RELEASE_TYPE, Entry, Release
from registry.release_store import ReleaseStore
from tests.fleet import kit

CONTENT = b"what the app is made of"
CHUNK = Chunk(digest_of(CONTENT), len(CONTENT))
KEY = Key("deployment", "shop")
AT_TWO = Version(1, 2)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A node's folder: `shop` is at its second deployment, and serves it."""
    folder = tmp_path / "state"
    chunks = ChunkStore(folder / "registry", 1 << 20)
    releases = ReleaseStore(folder / "registry", chunks)
    chunks.put(CHUNK, CONTENT)
    release = Release("shop", "1", (Entry("file", Blob(CHUNK.digest, CHUNK.size, (CHUNK,))),), {})
    digest = releases.put(sign(RELEASE_TYPE, release.encode(), kit.identity("operator").key).encode())
    fleet = kit.state(folder / "records")
    for sequence in (1, 2):
        fleet.accept(kit.signed("shop", sequence, regions={"eu": digest}), kit.NOW)
    save_rollout(folder, AT_TWO, digest)
    return folder


def save_rollout(folder: Path, version: Version, digest: Digest) -> None:
    saved = Saved(floor=version, live=Target(version, digest))
    kept = Kept(saved, {version: kit.deployment("shop", version.sequence, regions={"eu": digest})})
    RolloutStore(folder / "rollouts").save("shop", kept)


def looked(state: Path) -> OnDisk:
    scratch = state.with_name("scratch")
    found = read(state, scratch)
    assert not scratch.exists()
    return found


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_is_well(state: Path) -> None:
    before = files(state)
    found = looked(state)
    assert found.problems == ()
    assert found.versions[KEY] == AT_TWO
    assert found.floors == found.live == {"shop": AT_TWO}
    assert set(found.releases) == {"shop"}
    assert files(state) == before, "the one who starts next finds what was left"
    assert list(older(found, looked(state))) == []


def damage_record(state: Path) -> None:
    newest = max((state / "records" / "deployment" / "shop").iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])


def damage_rollout(state: Path) -> None:
    (state / "rollouts" / "shop").write_bytes(b"\0")


def damage_ledger(state: Path) -> None:
    (state / "records" / "ledger").write_bytes(b"\0")


def lose_chunks(state: Path) -> None:
    # Of whatever name: a file that is as large as no other is the chunk's frame.
    for path in (state / "registry" / "chunks").rglob("*"):
        if path.is_file():
            path.unlink()


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (damage_record, "the record deployment shop 1.2 is damaged"),
        (damage_rollout, "the rollout .damaged-shop is damaged"),
        (damage_ledger, "the ledger is damaged"),
        (lose_chunks, "the release that is live of shop"),
    ],
)
def test_damage_is_seen(state: Path, harm: Callable[[Path], None], problem: str) -> None:
    harm(state)
    assert any(each.startswith(problem) for each in looked(state).problems)


def test_half_written_files_are_no_damage(state: Path) -> None:
    (state / "records" / "deployment" / "shop" / "0000000001.00000000000000000003.new").write_bytes(b"half")
    (state / "rollouts" / ".shop.0123.tmp").write_bytes(b"half")
    assert looked(state).problems == ()


def test_what_went_back_is_seen(state: Path) -> None:
    before = looked(state)
    max((state / "records" / "deployment" / "shop").iterdir()).unlink()
    (digest,) = before.releases["shop"]
    save_rollout(state, Version(1, 1), digest)
    assert list(older(before, looked(state))) == [
        "the record deployment shop was at 1.2 and is at 1.1",
        "the floor of shop was at 1.2 and is at 1.1",
        "what is live of shop was at 1.2 and is at 1.1",
    ]


def test_what_is_gone_is_seen(state: Path) -> None:
    before = looked(state)
    (state / "rollouts" / "shop").unlink()
    assert list(older(before, looked(state))) == [
        "the floor of shop was at 1.2 and is at nothing",
        "what is live of shop was at 1.2 and is at nothing",
    ]
