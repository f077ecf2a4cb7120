"""What a checkpoint says, who may sign it, in which order they come, and what a node finds when it looks at one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edged.errors import RecordInvalid
from edged.fleet.checkpoint import PAYLOAD_TYPE, Checkpoint, compare, hash_of
from edged.fleet.record import Head, Key, Version, seal
from edged.fleet.state import FleetState
from edged.fleet.store import RecordStore
from edged.limits import CHECKPOINT_S_MAX, SEQUENCE_JUMP_MAX
from registry import strict
from registry.digest import digest_of
from tests.fleet.kit import NOW, identity, key, root, roster, signed, state

KEYS = (key("operator", "deploy", "read", "admit"), key("notary", "checkpoint"))


def checkpoint(sequence: int = 1, **changes: Any) -> Checkpoint:
    return replace(Checkpoint("demo", 1, sequence, 1, {}, bytes(32), int(NOW), int(NOW) + 3_600), **changes)


def sealed(sequence: int = 1, by: str = "notary", **changes: Any) -> bytes:
    return checkpoint(sequence, **changes).seal(identity(by).key)


def fleet(folder: Path) -> FleetState:
    return state(folder, keys=KEYS)


def test_there_and_back() -> None:
    made = checkpoint(apps={"shop": Version(1, 7)})
    assert Checkpoint.parse(made.encode()) == made


@pytest.mark.parametrize(
    "changes",
    [
        {"fleet": "No Label"}, {"epoch": 0}, {"sequence": 0}, {"roster_version": 0}, {"heads_hash": bytes(31)},
        {"expires": int(NOW)}, {"expires": int(NOW) + CHECKPOINT_S_MAX + 1}, {"apps": {"shop": Version(0, 1)}},
        {"apps": {"../shop": Version(1, 1)}}, {"apps": {"shop": (1,)}}, {"apps": {"shop": Version(1, 0)}},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_none_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RecordInvalid):
        Checkpoint.parse(checkpoint(**changes).encode())
    with pytest.raises(RecordInvalid):
        checkpoint(**changes).seal(identity("notary").key)


def test_the_longest_time_and_a_field_more() -> None:
    longest = checkpoint(expires=int(NOW) + CHECKPOINT_S_MAX)
    assert Checkpoint.parse(longest.encode()) == longest
    fields = strict.decode(longest.encode(), 10_000)
    assert isinstance(fields, dict)
    with pytest.raises(RecordInvalid):
        Checkpoint.parse(strict.encode(fields | {"more": 1}))


def test_ten_thousand_apps_have_room() -> None:
    apps = {f"an-app-with-a-name-{number:05}": Version(1, 1_000_000) for number in range(10_000)}
    assert len(Checkpoint.parse(checkpoint(apps=apps).encode()).apps) == 10_000
    sealed(apps=apps)


def test_only_a_key_with_the_role_signs_one(tmp_path: Path) -> None:
    node = fleet(tmp_path)
    assert node.accept(sealed(by="operator"), NOW).kind == "refused"
    assert node.accept(sealed(by="shopkeeper"), NOW).kind == "refused"
    assert node.view.checkpoint is None
    assert node.accept(sealed(), NOW).kind == "accepted"
    assert node.view.checkpoint == checkpoint()
    assert node.accept(signed(by="notary"), NOW).kind == "refused"  # and it signs nothing else


def test_the_order(tmp_path: Path) -> None:
    node = fleet(tmp_path)
    assert node.accept(sealed(5), NOW).kind == "accepted"
    assert node.accept(sealed(5), NOW).kind == "known"
    assert node.accept(sealed(4), NOW).kind == "stale"
    assert node.accept(sealed(5, roster_version=2), NOW).kind == "equivocation"
    assert node.accept(sealed(6 + SEQUENCE_JUMP_MAX), NOW).kind == "refused"
    assert node.accept(sealed(5 + SEQUENCE_JUMP_MAX), NOW).kind == "accepted"
    assert node.accept(sealed(7 + SEQUENCE_JUMP_MAX, epoch=2), NOW).kind == "stale"
    assert node.accept(sealed(7 + SEQUENCE_JUMP_MAX, fleet="other"), NOW).kind == "refused"


def test_it_survives_a_restart_and_its_number_too(tmp_path: Path) -> None:
    assert fleet(tmp_path).accept(sealed(5), NOW).kind == "accepted"
    again = FleetState(RecordStore(tmp_path), now=NOW)
    assert again.view.checkpoint == checkpoint(5)
    assert again.accept(sealed(4), NOW).kind == "stale"


def test_one_whose_key_has_gone_says_nothing_and_the_next_one_counts(tmp_path: Path) -> None:
    node = fleet(tmp_path)
    assert node.accept(sealed(5), NOW).kind == "accepted"
    other = roster(version=2, keys=(KEYS[0], key("other", "checkpoint"))).seal([root()])
    assert node.accept(other, NOW).kind == "accepted"
    assert node.view.checkpoint is None
    assert node.alarms() == ()
    assert Key("checkpoint", "demo") not in {head.key for head in node.heads()}  # nor is it spread
    assert node.accept(sealed(5, by="other"), NOW).kind in ("stale", "known", "equivocation")
    assert node.accept(sealed(6, by="other"), NOW).kind == "accepted"
    assert node.view.checkpoint == checkpoint(6)


def test_another_kind_of_record_signed_as_one(tmp_path: Path) -> None:
    garbage = seal(PAYLOAD_TYPE, b"\x80", [identity("notary").key])
    assert fleet(tmp_path).accept(garbage, NOW).kind == "refused"


def head(app: str, sequence: int, text: bytes = b"") -> Head:
    return Head(Key("deployment", app), Version(1, sequence), digest_of(text or app.encode()))


SHOP, BLOG = head("shop", 7), head("blog", 2)
NAMED = checkpoint(apps={"shop": SHOP.version, "blog": BLOG.version}, heads_hash=hash_of([BLOG, SHOP]))


@pytest.mark.parametrize(
    ("heads", "roster_version", "missed", "differs"),
    [
        ([SHOP, BLOG], 1, (), False),
        ([SHOP, BLOG, head("new", 1)], 2, (), False),
        ([head("shop", 8), BLOG], 1, (), False),
        ([head("shop", 6), BLOG], 1, ("shop",), False),
        ([BLOG], 1, ("shop",), False),
        ([], 1, ("blog", "shop"), False),
        ([SHOP, BLOG], 0, ("roster",), False),
        ([head("shop", 7, b"another"), BLOG], 1, (), True),
        ([head("shop", 7, b"another"), head("blog", 3)], 1, (), False),  # ahead: nobody can tell
    ],
    ids=["same", "more", "ahead", "behind", "lacks", "empty", "old roster", "other bytes", "ahead elsewhere"],
)
def test_what_a_node_finds(heads: list[Head], roster_version: int, missed: tuple[str, ...], differs: bool) -> None:
    verdict = compare(NAMED, heads, Version(1, roster_version), NOW)
    assert (verdict.missed, verdict.differs) == (missed, differs)


def test_expiry_to_the_second() -> None:
    assert compare(NAMED, [SHOP, BLOG], Version(1, 1), NAMED.expires).expired_s == 0
    assert compare(NAMED, [SHOP, BLOG], Version(1, 1), NAMED.expires + 1).expired_s == 1
