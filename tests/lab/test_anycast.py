"""The routers of the lab, real ones: what nodes announce reaches the others, and goes with the session."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bgp.announcement import GRACEFUL_SHUTDOWN, Community, LargeCommunity
from bgp.peer import BfdTimes
from tests.lab.anycast import AnycastLab, may_run
from tests.lab.internet import Internet
from tests.lab.speaker import announce

LAB = Path(__file__).parent
V4, V6 = PREFIXES = ("203.0.113.10/32", "2001:db8:a::10/128")

pytestmark = pytest.mark.skipif(bool(may_run()), reason=may_run() or "-")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnycastLab]:
    """Two regions, both announced; BIRD and FRR, with passwords and TTL security."""
    folder = tmp_path_factory.mktemp("lab")
    with AnycastLab(Internet.load(LAB / "two-regions.toml"), folder) as lab:
        announce(lab, "ams-1", folder, "med 10 community [ 65200:1 ] large-community [ 1:2:3 ]")
        announce(lab, "dal-1", folder, "community [ 65200:2 ]")
        for router in ("ams", "dal"):
            for prefix in PREFIXES:
                lab.wait_route(router, prefix, {f"{router}-1"})
        yield lab


@pytest.mark.parametrize("router", ["ams", "dal"])
def test_sessions_are_up(lab: AnycastLab, router: str) -> None:
    session = lab.session(router, f"{router}-1")
    assert session.established
    assert session.hold_s == 3


@pytest.mark.parametrize("prefix", PREFIXES)
def test_attributes_are_seen(lab: AnycastLab, prefix: str) -> None:
    seen = lab.from_node("ams", "ams-1", prefix)
    assert seen is not None
    assert (seen.as_path, seen.med, seen.best) == ((65200,), 10, True)
    assert seen.communities == {Community(65200, 1)}
    assert seen.large_communities == {LargeCommunity(1, 2, 3)}
    other = lab.from_node("dal", "dal-1", prefix)
    assert other is not None
    assert other.communities == {Community(65200, 2)}


def test_a_route_goes_with_the_session_and_comes_back(lab: AnycastLab) -> None:
    for router, other in (("ams", "dal"), ("dal", "ams")):
        lab.disable(router, f"{router}-1")
        for prefix in PREFIXES:
            lab.wait_route(router, prefix, {other})
        assert not lab.session(router, f"{router}-1").established
        lab.enable(router, f"{router}-1")
        for prefix in PREFIXES:
            lab.wait_route(router, prefix, {f"{router}-1"})


def test_a_cable_that_is_pulled_is_noticed_and_one_that_is_cut_after_the_hold_time(lab: AnycastLab) -> None:
    lab.set_carrier("ams-1", "ams", up=False)
    lab.wait_route("ams", V4, {"dal"})
    lab.set_carrier("ams-1", "ams", up=True)
    lab.wait_route("ams", V4, {"ams-1"})
    lab.cut("dal-1", "dal")
    assert lab.route("dal", V4) == {"dal-1"}
    lab.wait_route("dal", V4, {"ams"})
    lab.mend("dal-1", "dal")
    lab.wait_route("dal", V4, {"dal-1"})


def test_what_does_not_come_is_said(lab: AnycastLab) -> None:
    with pytest.raises(TimeoutError, match=r"ams has .* by \['ams-1'\], not \['dal'\]"):
        lab.wait_route("ams", V4, {"dal"}, timeout_s=0.0)
    with pytest.raises(TimeoutError, match="still up"):
        lab.wait_session("ams", "ams-1", timeout_s=0.0, established=False)


def test_graceful_shutdown_moves_traffic(lab: AnycastLab, tmp_path: Path) -> None:
    with AnycastLab(lab.internet, tmp_path) as other:
        for node in ("ams-1", "dal-1"):
            announce(other, node, tmp_path, "community [ 65535:0 ]" if node == "ams-1" else "")
        other.wait_route("ams", V4, {"dal"})
        seen = other.wait_announced("ams", "ams-1", V4, lambda seen: seen is not None)
        assert seen is not None
        assert (seen.best, seen.local_preference) == (False, 0)
        assert seen.communities == {GRACEFUL_SHUTDOWN}


def test_equal_paths_are_merged(tmp_path: Path) -> None:
    with AnycastLab(Internet.load(LAB / "ecmp.toml"), tmp_path) as lab:
        for node in lab.internet.nodes:
            announce(lab, node, tmp_path)
        for prefix in PREFIXES:
            lab.wait_route("ams", prefix, set(lab.internet.nodes))


def test_bfd_is_configured(tmp_path: Path) -> None:
    internet = Internet.load(LAB / "two-regions.toml").but(bfd=BfdTimes(100, 3))
    with AnycastLab(internet, tmp_path) as lab:
        for node in internet.nodes:
            announce(lab, node, tmp_path)
        # No node speaks BFD here: sessions come up without, and the routers ask for it.
        for router in internet.routers:
            lab.wait_session(router, f"{router}-1")
        assert "to-ams-1" in lab.birdc("ams", "show", "bfd", "sessions")
        assert "10.0.0.4" in lab.vtysh("dal", "show bfd peers brief")


def test_places_know_each_other_by_name(lab: AnycastLab) -> None:
    assert "203.0.113.10" in lab.run("c-ams", ["getent", "ahostsv4", lab.internet.host])
    assert lab.address("dal-1") in lab.run("c-ams", ["getent", "ahostsv4", "dal-1"])


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with AnycastLab(Internet.load(LAB / "two-regions.toml"), tmp_path) as lab:
        name, sockets = lab.namespace("ams"), lab.sockets
        assert (Path("/etc/netns") / name).exists()
        assert (sockets / "ams" / "bird.ctl").exists()
    assert not sockets.exists()
    assert not (Path("/etc/netns") / name).exists()
    assert name not in os.listdir("/run/netns")
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(sockets) not in processes
