"""What rounds and facts come to, which prefixes are wanted, and where workers are asked for them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from bgp.prefix import AllowList
from edged.anycast.config import BgpTable
from edged.anycast.drained import Drained
from edged.anycast.evidence import Facts, evidence_of
from edged.anycast.probe import Target
from edged.anycast.targets import Listening, targets_of, wanted_prefixes
from edged.errors import StateFolderError
from edged.limits import ANYCAST_LAG_S_MAX
from tests.anycast.fakes import ADDRESS, OTHER, PREFIX, answers

ADDRESS6 = OTHER.network_address
WIDE = ip_network("198.51.100.0/24")


def test_what_is_seen() -> None:
    good = evidence_of(answers(True, True), (ADDRESS,), Facts())
    assert (good.good, good.detail) == (True, "")
    some = evidence_of(answers(True, False), (ADDRESS,), Facts(applied=False, impaired="full"))
    assert (some.serving, some.applied, some.impaired) == ("some", False, "full")
    assert "worker 1" in some.detail


def test_nothing_asked_is_nothing_answered() -> None:
    assert evidence_of(answers(), (ADDRESS,), Facts()).serving == "none"


@pytest.mark.parametrize(("absent", "is_present"), [((), True), ((ADDRESS,), False), ((ADDRESS6,), True)])
def test_addresses_of_other_prefixes_do_not_matter(absent: tuple[object, ...], is_present: bool) -> None:
    found = evidence_of(answers(True), (ADDRESS,), Facts(absent=absent))  # type: ignore[arg-type]
    assert found.address_present == is_present


@pytest.mark.parametrize(("lag_s", "is_lagging"), [(ANYCAST_LAG_S_MAX, False), (ANYCAST_LAG_S_MAX + 0.01, True)])
def test_lag(lag_s: float, is_lagging: bool) -> None:
    assert evidence_of(answers(True, lag_s=lag_s), (ADDRESS,), Facts()).lagging == is_lagging


def test_wanted_prefixes() -> None:
    everything = wanted_prefixes(BgpTable(), AllowList((PREFIX, OTHER)))
    assert (everything.prefixes, everything.problems) == ({PREFIX, OTHER}, ())
    named = wanted_prefixes(BgpTable(prefixes=(PREFIX,)), AllowList((PREFIX, OTHER)))
    assert (named.prefixes, named.problems) == ({PREFIX}, ())
    outside = wanted_prefixes(BgpTable(prefixes=(PREFIX,)), AllowList((OTHER,)))
    assert outside.prefixes == set()
    assert "does not have it" in outside.problems[0]
    assert "names no prefix" in wanted_prefixes(BgpTable(), AllowList(())).problems[0]


def test_a_wide_prefix_needs_an_address() -> None:
    assert "names no address" in wanted_prefixes(BgpTable(), AllowList((WIDE,))).problems[0]
    named = BgpTable(addresses=(ip_address("198.51.100.7"),))
    assert wanted_prefixes(named, AllowList((WIDE,))).prefixes == {WIDE}
    assert targets_of(named, (WIDE,), [Listening("0.0.0.0", 80)]) == (Target(ip_address("198.51.100.7"), 80),)


def test_targets_are_where_somebody_listens() -> None:
    listening = [Listening("0.0.0.0", 80), Listening("::", 443, tls=True), Listening("203.0.113.99", 81)]
    assert set(targets_of(BgpTable(), (PREFIX, OTHER), listening)) == {
        Target(ADDRESS, 80),
        Target(ADDRESS, 443, tls=True),
        Target(ADDRESS6, 443, tls=True),
    }


def test_drained(tmp_path: Path) -> None:
    drained = Drained(tmp_path)
    assert not drained.is_set()
    drained.set("one")
    drained.set("another")
    assert Drained(tmp_path).is_set()
    assert (tmp_path / "drained").read_text() == "another\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "drained"]
    drained.clear()
    drained.clear()
    assert not drained.is_set()


def test_drained_survives_a_write_that_was_torn(tmp_path: Path) -> None:
    (tmp_path / "drained.new").write_text("half")
    drained = Drained(tmp_path)
    assert not drained.is_set()
    drained.set("whole")
    assert drained.is_set()


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(StateFolderError):
        Drained(tmp_path / "gone").set("x")
    with pytest.raises(StateFolderError):
        Drained(tmp_path / "gone").clear()
