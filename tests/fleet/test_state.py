"""What is accepted, what is refused, and that a refusal changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edged.errors import (
    RecordForbidden,
    RecordInvalid,
    RecordsTooMany,
    RecordsUnusable,
    VoucherInvalid,
    VoucherUsed,
)
from edged.fleet import checks
from edged.fleet.alarm import Alarms
from edged.fleet.record import Key, Version
from edged.fleet.roster import Region
from edged.fleet.state import FleetState, Outcome
from edged.fleet.store import RecordStore, Stored
from edged.fleet.voucher import ADMISSION_TYPE, Admission
from edged.limits import RECORD_ALARM_COUNT_MAX, SEQUENCE_JUMP_MAX, VOUCHER_S_MAX
from registry.digest import digest_of
from registry.dsse import sign
from tests.fleet.kit import (
    NOW,
    OTHER_RELEASE,
    RELEASE,
    ROSTER,
    Joining,
    deployment,
    forged,
    identity,
    key,
    node,
    root,
    roster,
    signed,
    state,
)
from tests.simulator.memory_disk import MemoryDisk


def refused(fleet: FleetState, data: bytes, code: str, kind: str = "refused") -> Outcome:
    """Try a record that must change nothing."""
    view, heads_hash = fleet.view, fleet.heads_hash()
    outcome = fleet.accept(data, NOW)
    assert outcome.error is not None
    assert (outcome.kind, outcome.error.code) == (kind, code), outcome.error
    assert fleet.view is view
    assert fleet.heads_hash() == heads_hash
    return outcome


def accepted(fleet: FleetState, data: bytes) -> None:
    outcome = fleet.accept(data, NOW)
    assert outcome.kind == "accepted", outcome


def next_roster(fleet: FleetState, *signers: str, **changes: object) -> bytes:
    held = fleet.roster
    assert held is not None
    return replace(held, version=held.version + 1, previous=held.digest, **changes).seal(
        [root(name) for name in signers or ("root",)]
    )


def test_a_deployment_counts_and_is_there_after_a_restart(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    outcome = fleet.accept(signed(variables={"password": "geheim"}), NOW)
    assert (outcome.kind, outcome.key) == ("accepted", Key("deployment", "shop"))
    assert "geheim" not in repr(outcome)
    for again in (fleet, state(tmp_path)):
        head = again.head("shop")
        assert head is not None
        assert (head.head.version, head.signed_by, head.accepted_at) == (Version(1, 1), "operator", int(NOW))
        assert again.deployments()["shop"].variables == {"password": "geheim"}
        assert again.heads_hash() == fleet.heads_hash()
        assert again.alarms() == ()


def test_the_same_again_is_known(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    accepted(fleet, signed())
    view = fleet.view
    assert fleet.accept(signed(), NOW).kind == "known"
    assert fleet.view is view


def test_only_a_higher_sequence_counts(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    accepted(fleet, signed(sequence=5))
    refused(fleet, signed(sequence=4), "fleet.record-stale", "stale")
    accepted(fleet, signed(sequence=6, regions={"eu": OTHER_RELEASE}))
    assert [record.head.version.sequence for record in fleet.history("shop")] == [6, 5]
    assert [record.signed_by for record in fleet.history("shop")] == ["operator", "operator"]


def test_equivocation_keeps_the_first_and_raises_an_alarm(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    first, second = signed(), signed(message="another")
    accepted(fleet, first)
    refused(fleet, second, "fleet.record-conflict", "equivocation")
    refused(fleet, second, "fleet.record-conflict", "equivocation")
    [alarm] = fleet.alarms()
    assert (alarm.code, alarm.subject, alarm.count) == ("fleet.record-conflict", "deployment shop", 2)
    assert alarm.proof == (first, second)
    accepted(fleet, signed(sequence=2))
    assert fleet.alarms() == ()


def test_equivocation_by_a_stranger_raises_none(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    accepted(fleet, signed())
    refused(fleet, signed(by="stranger", message="another"), "fleet.record-forbidden")
    assert fleet.alarms() == ()


@pytest.mark.parametrize(
    ("by", "app", "regions", "is_allowed"),
    [
        ("operator", "shop", {"eu": RELEASE, "us": RELEASE}, True),
        ("shopkeeper", "shop-1", {"us": RELEASE}, True),
        ("shopkeeper", "blog", {"us": RELEASE}, False),
        ("euro", "blog", {"eu": RELEASE}, True),
        ("euro", "blog", {"us": RELEASE}, False),
        ("euro", "blog", {"eu": RELEASE, "us": RELEASE}, False),
        ("reader", "blog", {"eu": RELEASE}, False),
        ("stranger", "blog", {"eu": RELEASE}, False),
        ("n1", "blog", {"eu": RELEASE}, False),
    ],
)
def test_who_may_deploy_what_where(
    tmp_path: Path, by: str, app: str, regions: dict[str, object], is_allowed: bool
) -> None:
    fleet = state(tmp_path)
    if is_allowed:
        accepted(fleet, signed(app, by=by, regions=regions))
    else:
        refused(fleet, signed(app, by=by, regions=regions), "fleet.record-forbidden")


def test_a_key_of_one_region_takes_an_app_away_from_no_other(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    accepted(fleet, signed("blog"))
    refused(fleet, signed("blog", 2, by="euro", regions={"eu": RELEASE}), "fleet.record-forbidden")
    refused(fleet, signed("blog", 2, by="euro", regions={}), "fleet.record-forbidden")
    accepted(fleet, signed("blog", 2, regions={"eu": RELEASE}))
    accepted(fleet, signed("blog", 3, by="euro", regions={}))


def test_jumps(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    refused(fleet, signed(sequence=SEQUENCE_JUMP_MAX + 1), "fleet.record-forbidden")
    accepted(fleet, signed(sequence=SEQUENCE_JUMP_MAX))
    refused(fleet, signed(sequence=2 * SEQUENCE_JUMP_MAX + 1), "fleet.record-forbidden")
    accepted(fleet, signed(sequence=2 * SEQUENCE_JUMP_MAX))


@pytest.mark.parametrize(
    "changes", [{"fleet": "other"}, {"regions": {"moon": RELEASE}}], ids=["another fleet", "no such region"]
)
def test_what_is_not_of_this_fleet(tmp_path: Path, changes: dict[str, object]) -> None:
    refused(state(tmp_path), signed(**changes), "fleet.record-forbidden")


@pytest.mark.parametrize("epoch", [1, 3])
def test_another_epoch(tmp_path: Path, epoch: int) -> None:
    fleet = state(tmp_path, epoch=2)
    refused(fleet, signed(epoch=epoch), "fleet.record-stale", "stale")
    accepted(fleet, signed(epoch=2))


def test_a_floor(tmp_path: Path) -> None:
    fleet = state(tmp_path, floors={"shop": Version(1, 10)})
    refused(fleet, signed(sequence=9), "fleet.record-stale", "stale")
    accepted(fleet, signed(sequence=10))
    accepted(fleet, signed("blog"))


def test_a_floor_with_an_epoch_begins_sequences_anew(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    accepted(fleet, signed(sequence=900))
    accepted(fleet, next_roster(fleet, floors={"shop": Version(2, 0)}))
    refused(fleet, signed(sequence=901), "fleet.record-stale", "stale")
    accepted(fleet, signed(sequence=1, epoch=2))
    assert fleet.alarms() == ()


@pytest.mark.parametrize("data", [b"", b"\xc1", b"x" * 600_000, sign("text/plain", b"x").encode()])
def test_what_is_no_record(tmp_path: Path, data: bytes) -> None:
    refused(state(tmp_path), data, "fleet.record-invalid")


def test_every_changed_byte_is_refused(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    data = signed()
    view = fleet.view
    for index in range(len(data)):
        outcome = fleet.accept(data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :], NOW)
        assert outcome.kind == "refused", index
        assert fleet.view is view
    accepted(fleet, data)


def test_nothing_without_a_roster(tmp_path: Path) -> None:
    refused(FleetState(RecordStore(tmp_path), now=NOW), signed(), "fleet.record-forbidden")


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    (tmp_path / "deployment").write_text("no folder")
    refused(fleet, signed(), "fleet.records-unusable")
    (tmp_path / "deployment").unlink()
    accepted(fleet, signed())


# --- rosters ---


def test_rosters_follow_on_each_other(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    second = next_roster(fleet, regions=(Region("eu"), Region("us"), Region("ap")))
    accepted(fleet, second)
    accepted(fleet, next_roster(fleet))
    refused(fleet, second, "fleet.record-stale", "stale")
    assert state(tmp_path).roster == fleet.roster


def test_a_roster_needs_enough_root_keys(tmp_path: Path) -> None:
    two = tuple(root(name).public.raw for name in ("a", "b", "c"))
    fleet = FleetState(RecordStore(tmp_path), now=NOW)
    first = roster(root_keys=two, threshold=2)
    assert fleet.begin(first.seal([root("a")]), NOW).kind == "refused"
    assert fleet.begin(first.seal([root("a"), root("b")]), NOW).kind == "accepted"
    refused(fleet, next_roster(fleet, "a"), "fleet.record-forbidden")
    refused(fleet, next_roster(fleet, "a", "root"), "fleet.record-forbidden")
    accepted(fleet, next_roster(fleet, "a", "c"))


def test_new_root_keys_are_brought_in_by_old_ones(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    new = {"root_keys": (root("new").public.raw,)}
    refused(fleet, next_roster(fleet, "root", **new), "fleet.record-forbidden")
    refused(fleet, next_roster(fleet, "new", **new), "fleet.record-forbidden")
    accepted(fleet, next_roster(fleet, "root", "new", **new))
    accepted(fleet, next_roster(fleet, "new"))
    # Whoever was away for the change follows the chain.
    late = state(tmp_path / "late")
    assert [late.accept(data, NOW).kind for data in fleet.roster_chain()] == ["accepted", "accepted"]
    assert late.roster == fleet.roster


def test_two_rosters_with_one_version(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    one, other = next_roster(fleet), next_roster(fleet, domain="other.example")
    accepted(fleet, one)
    refused(fleet, other, "fleet.record-conflict", "equivocation")
    assert [alarm.subject for alarm in fleet.alarms()] == ["roster demo"]


def test_a_first_roster_is_one_that_a_pinned_key_signed(tmp_path: Path) -> None:
    fleet = FleetState(RecordStore(tmp_path), now=NOW)
    data = roster().seal([root()])
    assert isinstance(fleet.begin(data, NOW, [root("other").public.raw]).error, RecordForbidden)
    assert fleet.roster is None
    assert fleet.begin(data, NOW, [root("other").public.raw, root().public.raw]).kind == "accepted"
    assert fleet.begin(data, NOW).kind == "known"


def test_a_key_that_leaves(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    accepted(fleet, signed("shop-1", by="shopkeeper"))
    accepted(fleet, signed("blog"))
    held = fleet.roster
    assert held is not None
    accepted(fleet, next_roster(fleet, keys=(held.keys[0],)))
    for again in (fleet, state(tmp_path)):
        assert "shop-1" in again.deployments()  # it is served on
        assert Key("deployment", "shop-1") not in [head.key for head in again.heads()]  # but nobody is given it
        assert [(alarm.code, alarm.subject) for alarm in again.alarms()] == [
            ("fleet.record-orphaned", "deployment shop-1")
        ]
    refused(fleet, signed("shop-1", 2, by="shopkeeper"), "fleet.record-forbidden")
    accepted(fleet, signed("shop-1", 2))
    assert fleet.alarms() == ()


# --- vouchers and admissions ---


def test_a_voucher_lets_one_node_in(tmp_path: Path) -> None:
    fleet, new = state(tmp_path), Joining()
    admission = fleet.admit(new.voucher, new.identity.certificate, new.proof(), identity("n1"), NOW)
    assert [one.name for one in fleet.nodes()] == ["n1", "n2", "n3"]
    assert fleet.anchors().find(new.identity.certificate) is not None
    # An answer that was lost may be asked for again.
    assert fleet.admit(new.voucher, new.identity.certificate, new.proof(), identity("n1"), NOW + 9_999) == admission
    other = state(tmp_path / "other")
    accepted(other, admission)
    assert other.nodes() == fleet.nodes()
    assert other.heads_hash() == fleet.heads_hash()


def test_a_voucher_used_by_a_second_key(tmp_path: Path) -> None:
    fleet, new, thief = state(tmp_path), Joining(), identity("thief")
    fleet.admit(new.voucher, new.identity.certificate, new.proof(), identity("n1"), NOW)
    view = fleet.view
    with pytest.raises(VoucherUsed):
        fleet.admit(new.voucher, thief.certificate, new.proof(thief), identity("n1"), NOW)
    assert fleet.view is view
    assert [(alarm.code, alarm.subject) for alarm in fleet.alarms()] == [("fleet.voucher-used", "admission n3")]
    # Likewise where another node let the thief in.
    other = state(tmp_path / "other")
    stolen = other.admit(new.voucher, thief.certificate, new.proof(thief), identity("n2"), NOW)
    refused(fleet, stolen, "fleet.voucher-used")


def test_two_nodes_admit_the_same_one(tmp_path: Path) -> None:
    new, fleets = Joining(), [state(tmp_path / name) for name in ("n1", "n2")]
    admissions = [
        fleet.admit(new.voucher, new.identity.certificate, new.proof(), identity(name), NOW)
        for fleet, name in zip(fleets, ("n1", "n2"), strict=True)
    ]
    for fleet in fleets:
        for admission in admissions:
            assert fleet.accept(admission, NOW).error is None
    assert fleets[0].heads_hash() == fleets[1].heads_hash()
    assert [fleet.alarms() for fleet in fleets] == [(), ()]


@pytest.mark.parametrize(
    "new",
    [
        Joining(by="shopkeeper"),
        Joining(by="stranger"),
        Joining(region="moon"),
        Joining(fleet="other"),
        Joining(expires=int(NOW) - 1),
        Joining(expires=int(NOW) + VOUCHER_S_MAX + 1),
    ],
    ids=["no such role", "a stranger's", "no such region", "another fleet", "expired", "too long"],
)
def test_vouchers_that_count_for_nothing(tmp_path: Path, new: Joining) -> None:
    fleet = state(tmp_path)
    with pytest.raises(VoucherInvalid):
        fleet.admit(new.voucher, new.identity.certificate, new.proof(), identity("n1"), NOW)
    assert len(fleet.nodes()) == 2


@pytest.mark.parametrize("expires", [int(NOW), int(NOW) + VOUCHER_S_MAX])
def test_vouchers_at_their_limits(tmp_path: Path, expires: int) -> None:
    fleet, new = state(tmp_path), Joining(expires=expires)
    fleet.admit(new.voucher, new.identity.certificate, new.proof(), identity("n1"), NOW)
    assert len(fleet.nodes()) == 3


def test_a_proof_by_another_key(tmp_path: Path) -> None:
    fleet, new = state(tmp_path), Joining()
    with pytest.raises(VoucherInvalid):
        fleet.admit(new.voucher, new.identity.certificate, new.proof(identity("thief")), identity("n1"), NOW)


def test_an_admission_by_who_is_no_node(tmp_path: Path) -> None:
    new = Joining()
    lone = state(tmp_path / "lone", nodes=(node("n1"), node("n2", "us"), node("n9")))
    admission = lone.admit(new.voucher, new.identity.certificate, new.proof(), identity("n9"), NOW)
    refused(state(tmp_path), admission, "fleet.record-forbidden")


def test_a_roster_takes_admitted_nodes_over(tmp_path: Path) -> None:
    fleet, new = state(tmp_path), Joining()
    admission = fleet.admit(new.voucher, new.identity.certificate, new.proof(), identity("n1"), NOW)
    accepted(fleet, next_roster(fleet, nodes=(node("n1"), node("n2", "us"), node("n3", "us"))))
    assert [head.key.kind for head in fleet.heads()] == ["roster"]
    assert [one.name for one in state(tmp_path).nodes()] == ["n1", "n2", "n3"]
    assert fleet.accept(admission, NOW).kind == "known"
    # A node that was removed does not come back with its old admission, once its key is revoked.
    removed = frozenset({identity("n3").key.public.id})
    accepted(fleet, next_roster(fleet, nodes=(node("n1"), node("n2", "us")), revoked=removed))
    refused(fleet, admission, "fleet.voucher-invalid")


def test_an_admission_goes_with_the_key_that_vouched(tmp_path: Path) -> None:
    fleet, new = state(tmp_path), Joining()
    fleet.admit(new.voucher, new.identity.certificate, new.proof(), identity("n1"), NOW)
    accepted(fleet, next_roster(fleet, keys=(key("reader", "read"),)))
    assert len(fleet.nodes()) == len(state(tmp_path).nodes()) == 2


# --- the rest ---


def test_whoever_listens_is_told_when_it_counts(tmp_path: Path) -> None:
    told: list[object] = []
    fleet = FleetState(RecordStore(tmp_path), now=NOW, accepted=lambda record: told.append(record.head.key))
    fleet.begin(roster().seal([root()]), NOW)
    accepted(fleet, signed())
    fleet.accept(signed(), NOW)
    assert told == [Key("roster", "demo"), Key("deployment", "shop")]


def test_statistics(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    accepted(fleet, signed())
    refused(fleet, b"", "fleet.record-invalid")
    statistics = fleet.statistics()
    assert statistics.outcomes == {"accepted": 2, "refused": 1}
    assert statistics.codes == {"fleet.record-invalid": 1}
    assert statistics.records == 2


def test_the_digest_is_that_of_the_payload() -> None:
    one = deployment()
    assert one.digest == digest_of(one.encode())


# --- who would bring a node down with a record ---


@pytest.mark.parametrize("instead", [b"\x0c\x08abcd\xff\xffgh", b"\x03\x08abcdefgh"])
def test_a_certificate_whose_name_is_none_is_no_more_than_refused(tmp_path: Path, instead: bytes) -> None:
    fleet = state(tmp_path)
    new = Joining("abcdefgh")
    certificate = forged(b"\x0c\x08abcdefgh", instead)
    who = replace(new.identity, certificate=certificate)
    with pytest.raises(RecordInvalid):
        fleet.admit(new.voucher, certificate, new.proof(who), identity("n1"), NOW)
    payload = Admission(new.voucher, certificate, new.proof(who), "n1", int(NOW)).encode()
    refused(fleet, sign(ADMISSION_TYPE, payload, identity("n1").key).encode(), "fleet.record-invalid")


# --- vouchers, after whom they let in ---


def admitted(fleet: FleetState, new: Joining) -> bytes:
    return fleet.admit(new.voucher, new.identity.certificate, new.proof(), identity("n1"), NOW)


def thief_is_refused(fleet: FleetState, new: Joining) -> None:
    thief = identity("thief")
    with pytest.raises(VoucherUsed):
        fleet.admit(new.voucher, thief.certificate, new.proof(thief), identity("n1"), NOW)
    payload = Admission(new.voucher, thief.certificate, new.proof(thief), "n2", int(NOW)).encode()
    refused(fleet, sign(ADMISSION_TYPE, payload, identity("n2").key).encode(), "fleet.voucher-used")


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_used_voucher_is_good_for_nobody_else_once_its_node_was_removed(tmp_path: Path, is_restarted: bool) -> None:
    fleet = state(tmp_path)
    new = Joining()
    admitted(fleet, new)
    accepted(fleet, next_roster(fleet, nodes=(node("n1"), node("n2", "us"), node("n3", "us"))))
    revoked = frozenset({new.identity.key.public.id})
    accepted(fleet, next_roster(fleet, nodes=(node("n1"), node("n2", "us")), revoked=revoked))
    assert [one.name for one in fleet.nodes()] == ["n1", "n2"]
    fleet = state(tmp_path) if is_restarted else fleet
    thief_is_refused(fleet, new)
    with pytest.raises(VoucherInvalid, match="revoked"):
        admitted(fleet, new)


def test_who_was_let_in_by_a_node_that_left_comes_back_with_the_same_key(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    new = Joining()
    admitted(fleet, new)
    accepted(fleet, next_roster(fleet, nodes=(node("n2", "us"),)))
    assert [one.name for one in fleet.nodes()] == ["n2"]
    fleet.admit(new.voucher, new.identity.certificate, new.proof(), identity("n2"), NOW)
    assert [one.name for one in fleet.nodes()] == ["n2", "n3"]


def test_a_misused_voucher_is_alarmed_over_restarts_until_the_next_roster(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    new = Joining()
    admitted(fleet, new)
    thief_is_refused(fleet, new)
    for _ in range(2):
        fleet = state(tmp_path)
        [alarm] = fleet.alarms()
        assert (alarm.code, alarm.subject, alarm.since) == ("fleet.voucher-used", "admission n3", int(NOW))
    accepted(fleet, next_roster(fleet))
    assert fleet.alarms() == ()
    assert state(tmp_path).alarms() == ()


def test_a_ledger_that_is_damaged_is_alarmed(tmp_path: Path) -> None:
    admitted(state(tmp_path), Joining())
    (tmp_path / "ledger").write_bytes(b"\xc1")
    fleet = state(tmp_path)
    assert [alarm.code for alarm in fleet.alarms()] == ["fleet.record-damaged"]
    assert [one.name for one in fleet.nodes()] == ["n1", "n2", "n3"]


def test_nobody_comes_in_whom_the_ledger_would_forget() -> None:
    disk = MemoryDisk()
    fleet = state(Path("/records"), disk=disk)
    disk.full = True
    with pytest.raises(RecordsUnusable):
        admitted(fleet, Joining())
    assert [one.name for one in fleet.nodes()] == ["n1", "n2"]
    disk.full = False
    admitted(fleet, Joining())


def test_a_voucher_replaces_no_node_of_a_region_that_is_not_its_signers(tmp_path: Path) -> None:
    fleet = state(tmp_path, keys=(key("operator", "admit"), key("euro", "admit", regions=("eu",))))
    admitted(fleet, Joining())
    other = Joining(by="euro", region="eu", expires=int(NOW) + 7_200)
    other.identity = identity("another n3")
    with pytest.raises(VoucherInvalid, match="not for region us"):
        admitted(fleet, other)
    admitted(fleet, Joining("n5", by="euro", region="eu"))


@pytest.mark.parametrize(("more", "is_accepted"), [(0, True), (1, False)])
def test_a_voucher_that_was_good_for_too_long_lets_nobody_in_by_a_node_that_lies(
    tmp_path: Path, more: int, is_accepted: bool
) -> None:
    fleet = state(tmp_path)
    new = Joining(expires=int(NOW) + VOUCHER_S_MAX + more)
    payload = Admission(new.voucher, new.identity.certificate, new.proof(), "n1", int(NOW)).encode()
    data = sign(ADMISSION_TYPE, payload, identity("n1").key).encode()
    if is_accepted:
        accepted(fleet, data)
    else:
        refused(fleet, data, "fleet.voucher-invalid")


# --- who would take what is others' ---


@pytest.mark.parametrize(
    ("by", "app", "host", "is_allowed"),
    [
        ("shopkeeper", "shop-1", "shop-1.demo.localhost", True),
        ("shopkeeper", "shop-1", "shop-2.demo.localhost", True),
        ("shopkeeper", "shop-1", "blog.demo.localhost", False),
        ("shopkeeper", "shop-1", "www.example.com", True),
        ("shopkeeper", "shop-1", "blogdemo.localhost", True),
        ("operator", "shop-1", "blog.demo.localhost", True),
    ],
)
def test_whose_hosts_are_below_the_domain(tmp_path: Path, by: str, app: str, host: str, is_allowed: bool) -> None:
    fleet = state(tmp_path)
    data = signed(app, by=by, hosts=(host,))
    if is_allowed:
        accepted(fleet, data)
    else:
        refused(fleet, data, "fleet.record-forbidden")


def test_a_key_leaves_room_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "RECORDS_PER_SIGNER_MAX", 2)
    fleet = state(tmp_path)
    for app in ("shop-1", "shop-2"):
        accepted(fleet, signed(app, by="shopkeeper"))
    refused(fleet, signed("shop-3", by="shopkeeper"), "fleet.too-many-records")
    accepted(fleet, signed("shop-2", 2, by="shopkeeper"))
    accepted(fleet, signed("shop-3"))


def test_a_key_leaves_memory_for_others_and_may_always_shrink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = signed("shop-1", by="shopkeeper", variables={"a": "x" * 1_000})
    second = signed("shop-2", by="shopkeeper", variables={"a": "x" * 1_000})
    monkeypatch.setattr(checks, "RECORD_BYTES_PER_SIGNER_MAX", len(first) + len(second))
    fleet = state(tmp_path)
    accepted(fleet, first)
    accepted(fleet, second)
    refused(fleet, signed("shop-2", 2, by="shopkeeper", variables={"a": "x" * 1_001}), "fleet.too-many-records")
    monkeypatch.setattr(checks, "RECORD_BYTES_PER_SIGNER_MAX", 1)
    accepted(fleet, signed("shop-2", 2, by="shopkeeper"))


@pytest.mark.parametrize(("room", "is_accepted"), [(3, True), (2, False)])
def test_admissions_end_where_a_roster_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, is_accepted: bool
) -> None:
    monkeypatch.setattr(checks, "NODE_COUNT_MAX", room)
    fleet = state(tmp_path)
    if is_accepted:
        admitted(fleet, Joining())
    else:
        with pytest.raises(RecordsTooMany):
            admitted(fleet, Joining())


# --- what can go wrong when a roster has been written ---


class Unreadable(RecordStore):
    """A disk that takes records, and gives none back."""

    def history(self, key: Key) -> list[Stored]:
        raise RecordsUnusable("cannot be read")


def test_a_roster_that_is_on_disk_counts_whatever_cannot_be_read(tmp_path: Path) -> None:
    told: list[Key] = []
    fleet = FleetState(Unreadable(tmp_path), now=NOW, accepted=lambda record: told.append(record.head.key))
    first = roster().seal([root()])
    assert fleet.begin(first, NOW).kind == "accepted"
    later = next_roster(fleet)
    accepted(fleet, later)
    assert told == [ROSTER, ROSTER]
    assert fleet.roster_chain() == (later,)


def test_many_alarms_of_one_kind_push_out_none_of_another() -> None:
    alarms = Alarms()
    alarms.raise_(VoucherUsed("the first"), "admission n3", NOW)
    for number in range(RECORD_ALARM_COUNT_MAX + 10):
        alarms.raise_(RecordForbidden("many"), f"deployment shop-{number}", NOW)
    assert len(alarms.all) == RECORD_ALARM_COUNT_MAX
    assert alarms.all[0].code == VoucherUsed.code


def test_when_keys_were_last_used_is_known_after_others_replaced_what_they_signed(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    operator, shopkeeper = (identity(name).key.public.id for name in ("operator", "shopkeeper"))
    assert fleet.last_uses() == {}
    assert fleet.accept(signed("shop-1", by="shopkeeper"), NOW).kind == "accepted"
    assert fleet.accept(signed("shop-1", 2, by="shopkeeper"), NOW + 1).kind == "accepted"
    assert fleet.accept(signed("shop-1", 3), NOW + 5).kind == "accepted"
    assert fleet.accept(signed("blog"), NOW + 3).kind == "accepted"
    for again in (fleet, state(tmp_path)):
        assert again.last_uses() == {operator: int(NOW) + 5, shopkeeper: int(NOW) + 1}
