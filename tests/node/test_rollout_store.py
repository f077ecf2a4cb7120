"""What rollouts keep on disk: whole or as before, and one damaged file is one app's affair."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.errors import RolloutNotSaved
from edged.fleet.deployment import Deployment
from edged.fleet.record import Version
from edged.fleet.rollout_event import Target
from edged.fleet.rollout_plan import Refused, Saved
from edged.limits import ROLLOUT_FILE_BYTES_MAX
from edged.node.rollout_store import Kept, RolloutStore
from registry.digest import Digest, digest_of
from registry.strict import decode

RELEASE = digest_of(b"release")
OTHER = digest_of(b"other")


def deployment(sequence: int, release: Digest = RELEASE) -> Deployment:
    return Deployment("demo", "shop", 1, sequence, {"eu": release}, variables={"password": "hunter2"})


def kept() -> Kept:
    saved = Saved(
        floor=Version(1, 3),
        live=Target(Version(1, 2), RELEASE),
        watched=True,
        previous=Target(Version(1, 1), OTHER),
        refused=Refused(Version(1, 3), True, "rollout.crashed", "twice"),
    )
    return Kept(saved, {Version(1, n): deployment(n) for n in (1, 2)})


@pytest.mark.parametrize("each", [kept(), Kept(Saved(), {}), Kept(Saved(floor=Version(2, 9)), {})])
def test_what_was_saved_is_loaded(tmp_path: Path, each: Kept) -> None:
    RolloutStore(tmp_path / "rollouts").save("shop", each)
    assert RolloutStore(tmp_path / "rollouts").load() == {"shop": each}


def test_the_last_one_counts(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path)
    store.save("shop", kept())
    store.save("shop", Kept(Saved(floor=Version(1, 4)), {}))
    store.save("blog", kept())
    assert {app: each.saved.floor for app, each in store.load().items()} == {
        "shop": Version(1, 4),
        "blog": Version(1, 3),
    }


def test_secrets_are_their_owners_only(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path / "rollouts")
    store.save("shop", kept())
    assert (tmp_path / "rollouts").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "rollouts" / "shop").stat().st_mode & 0o777 == 0o600
    assert "hunter2" not in repr(store.load())


def test_any_damage_is_noticed_and_concerns_one_app(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path)
    store.save("blog", kept())
    store.save("shop", kept())
    data = (tmp_path / "shop").read_bytes()
    for cut in range(0, len(data), 7):
        (tmp_path / "shop").write_bytes(data[:cut])
        assert set(store.load()) == {"blog"}
        assert (tmp_path / ".damaged-shop").read_bytes() == data[:cut]
    for extra in (data + b"\0", data.replace(b"format", b"fromat"), b"\0" * (ROLLOUT_FILE_BYTES_MAX + 1)):
        (tmp_path / "shop").write_bytes(extra)
        assert set(store.load()) == {"blog"}


def test_every_bit_that_turns_is_noticed(tmp_path: Path) -> None:
    """One in a sequence would freeze an app for ever, one in a variable would change what it does."""
    store = RolloutStore(tmp_path)
    store.save("shop", kept())
    data = (tmp_path / "shop").read_bytes()
    for index in range(len(data)):
        (tmp_path / "shop").write_bytes(data[:index] + bytes([data[index] ^ 1 << index % 8]) + data[index + 1 :])
        assert store.load() == {}, index


def test_a_file_without_a_digest_is_read(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path)
    store.save("shop", kept())
    content = decode((tmp_path / "shop").read_bytes(), ROLLOUT_FILE_BYTES_MAX)
    assert isinstance(content, dict)
    (tmp_path / "shop").write_bytes(content["content"])
    assert store.load() == {"shop": kept()}


def test_a_target_without_its_deployment_is_damage(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path)
    store.save("shop", Kept(kept().saved, {Version(1, 2): deployment(2)}))
    assert store.load() == {}


def test_what_a_crash_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".shop.0123.tmp").write_bytes(b"half")
    assert RolloutStore(tmp_path).load() == {}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RolloutNotSaved, match="cannot be written"):
        RolloutStore(tmp_path / "file")
    store = RolloutStore(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(RolloutNotSaved):
        store.save("shop", kept())
    with pytest.raises(RolloutNotSaved):
        store.load()
