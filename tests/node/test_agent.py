"""The agent: every app for itself, what is on disk first, and what workers are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import trio
import trio.testing

from edged.errors import HostTaken, ReleaseUnavailable, VariablesUnavailable
from edged.fleet.board import Seen
from edged.fleet.deployment import Deployment
from edged.fleet.report import AppReport, NodeReport
from edged.limits import POOL_LOOK_INTERVAL_S, ROLLOUT_RETRY_S_MAX, ROLLOUT_WATCH_S
from edged.node.agent import Agent, hosts_below
from edged.node.app_rollout import Moved
from edged.node.pool_event import SiteFailed, SiteProbed, SiteReady, WorkerCrashed
from edged.node.pool_state import SiteSummary
from edged.node.rollout_store import RolloutStore
from edged.worker.report import Failure, Traffic
from edged.worker.table import Site
from registry.checkout import Checkouts
from registry.chunk_store import ChunkStore
from registry.digest import Digest, digest_of
from registry.dsse import sign
from registry.keys import SigningKey
from registry.release import RELEASE_TYPE, Entry, Release
from registry.release_store import ReleaseStore

KEY = SigningKey.generate()


class Node:
    """An agent with a real disk, and peers and workers that do as they are told."""

    def __init__(self, folder: Path) -> None:
        self.chunks = ChunkStore(folder / "registry", 10 * 1024 * 1024, reserve_bytes=0)
        self.releases = ReleaseStore(folder / "registry", self.chunks)
        self.deployed: dict[str, Deployment] = {}
        self.fetched: list[Digest] = []
        self.unavailable: set[Digest] = set()
        self.sites: Sequence[Site] = ()
        self.handed_out = 0
        self.closed: tuple[str, ...] = ("203.0.113.0/24",)
        self.held: dict[str, str] = {}
        self.heard: list[tuple[str, Seen]] = []
        self.pool = FakePool()
        self.checkouts = Checkouts(folder / "checkouts", self.chunks)
        self.agent = Agent(
            deployments=lambda: self.deployed,
            removals_held=lambda: self.held,
            heard=lambda: self.heard,
            region=lambda: "eu",
            domain=lambda: "demo.localhost",
            networks_closed=lambda: self.closed,
            fetch=self.fetch,
            releases=self.releases,
            checkouts=self.checkouts,
            store=RolloutStore(folder / "rollouts"),
            pool=self.pool,
            set_sites=self.set_sites,
            apps_folder=folder / "apps",
        )

    def put(self, app: str, text: bytes) -> Digest:
        blob = self.chunks.put_file(BytesIO(text))
        release = Release(app, "1", (Entry("spin.toml", blob),), {})
        return self.releases.put(sign(RELEASE_TYPE, release.encode(), KEY).encode())

    def deploy(self, app: str, sequence: int, *, region: str = "eu", hosts: tuple[str, ...] = ()) -> Deployment:
        release = self.put(app, b"%s %d" % (app.encode(), sequence))
        self.deployed[app] = each = Deployment("demo", app, 1, sequence, {region: release}, hosts=hosts)
        self.agent.refresh()
        return each

    async def fetch(self, app: str, release: Digest, moved: Callable[[Moved], None]) -> None:
        self.fetched.append(release)
        if release in self.unavailable:
            raise ReleaseUnavailable("no peer has it")
        moved(Moved(1, 1, 0))

    def set_sites(self, sites: Sequence[Site]) -> None:
        self.sites = sites
        self.handed_out += 1

    def sites_of(self, app: str) -> list[tuple[str, bool]]:
        return [(site.key, site.serve) for site in self.sites if site.app == app]


class FakePool:
    """Says of sites what it was told to."""

    def __init__(self) -> None:
        self.summaries: dict[str, SiteSummary] = {}

    def sites(self) -> Mapping[str, SiteSummary]:
        return self.summaries

    def ready(self, key: str, traffic: Traffic | None = None) -> None:
        self.summaries[key] = SiteSummary("ready", 1, 1, None, None, traffic or Traffic())


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Node]:
    node = Node(folder)
    async with trio.open_nursery() as nursery:
        await nursery.start(node.agent.run)
        yield node
        nursery.cancel_scope.cancel()


async def settle() -> None:
    """Until nothing moves but what waits for time to pass; threads included."""
    limiter = trio.to_thread.current_default_thread_limiter()
    while True:
        await trio.testing.wait_all_tasks_blocked()
        if not limiter.borrowed_tokens:
            return
        await trio.to_thread.run_sync(list)


async def pass_time(clock: trio.testing.MockClock, seconds: float) -> None:
    while seconds > 0:
        clock.jump(min(seconds, POOL_LOOK_INTERVAL_S))
        seconds -= POOL_LOOK_INTERVAL_S
        await settle()


async def bring(node: Node, app: str, sequence: int) -> None:
    node.deploy(app, sequence)
    await settle()
    node.agent.emit(SiteReady(f"{app}@1.{sequence}"))
    await settle()


async def test_a_deployment_becomes_a_site(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with running(tmp_path) as node:
        node.deploy("shop", 1, hosts=("shop.example",))
        await settle()
        (site,) = node.sites
        assert (site.key, site.app, site.hosts, site.serve) == ("shop@1.1", "shop", ("shop.example",), False)
        assert (Path(site.folder) / "spin.toml").read_bytes() == b"shop 1"
        assert site.state_folder == str(tmp_path / "apps" / "shop")
        assert site.networks_closed == ("203.0.113.0/24",)
        node.agent.emit(SiteProbed("shop@1.1"))
        assert node.agent.reports()["shop"].stage == "probe"
        node.agent.emit(SiteReady("shop@1.1"))
        await settle()
        assert node.sites_of("shop") == [("shop@1.1", True)]
        assert node.agent.reports()["shop"].stage == "compile"  # the workers are told, and do not serve it yet
        node.pool.ready("shop@1.1")
        assert node.agent.reports()["shop"].stage == "live"
        assert node.agent.releases() == {node.deployed["shop"].regions["eu"]}


async def test_what_is_closed_to_guests_now_workers_are_told_now(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with running(tmp_path) as node:
        await bring(node, "shop", 1)
        node.closed = ("198.51.100.7/32",)
        node.agent.networks_changed()
        await settle()
        assert [site.networks_closed for site in node.sites] == [("198.51.100.7/32",)]
        told = node.handed_out
        node.agent.networks_changed()
        await settle()
        assert node.handed_out == told


async def test_what_is_for_another_region_is_not_even_fetched(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with running(tmp_path) as node:
        node.deploy("shop", 1, region="us")
        await settle()
        assert (node.fetched, list(node.sites), node.agent.reports()) == ([], [], {})


async def test_an_app_without_hosts_answers_below_the_domain(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with running(tmp_path) as node:
        node.deploy("Shop", 1)
        await settle()
        assert node.sites[0].hosts == ("shop.demo.localhost",)
    assert hosts_below("", "shop") == ()


async def test_a_start_serves_what_is_on_disk(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with running(tmp_path) as node:
        await bring(node, "shop", 1)
        await bring(node, "blog", 1)
        await pass_time(mock_clock, ROLLOUT_WATCH_S + 1)
    async with running(tmp_path) as node:  # it has no records, and no peers
        await settle()
        assert [(site.key, site.serve) for site in node.sites] == [("blog@1.1", True), ("shop@1.1", True)]
        assert (node.fetched, node.handed_out) == ([], 1)


async def test_one_app_that_fails_touches_no_other(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with running(tmp_path) as node:
        await bring(node, "shop", 1)
        node.unavailable.add(node.put("blog", b"blog 1"))
        node.deploy("blog", 1)
        node.deploy("broken", 1)
        await settle()
        failure = Failure("component.invalid", "no component", "build it again")
        node.agent.emit(SiteFailed("broken@1.1", 0, failure))
        await bring(node, "shop", 2)
        node.pool.ready("shop@1.2")
        reports = node.agent.reports()
        assert {app: report.stage for app, report in reports.items()} == {
            "blog": "fetch",
            "broken": "failed",
            "shop": "live",
        }
        assert (reports["blog"].error_code, reports["broken"].error_code) == (
            ReleaseUnavailable.code,
            "component.invalid",
        )
        assert node.sites_of("shop") == [("shop@1.2", True), ("shop@1.1", False)]


async def test_of_two_apps_the_one_that_has_the_host_keeps_it(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with running(tmp_path) as node:
        await bring(node, "shop", 1)
        node.deploy("a-thief", 1, hosts=("shop.demo.localhost",))
        await settle()
        assert [site.app for site in node.sites] == ["shop", "a-thief"]  # who is served claims first
        node.agent.emit(SiteFailed("a-thief@1.1", 0, Failure.of(HostTaken("it belongs to shop"))))
        await settle()
        assert node.agent.reports()["a-thief"].error_code == HostTaken.code
        assert [site.app for site in node.sites] == ["shop"]


async def test_somebody_elses_fault_is_not_the_releases(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with running(tmp_path) as node:
        node.deploy("shop", 1)
        await settle()
        node.agent.emit(SiteFailed("shop@1.1", 0, Failure.of(VariablesUnavailable("the vault is away"))))
        await settle()
        assert node.sites_of("shop") == []
        await pass_time(mock_clock, 2)
        assert node.sites_of("shop") == [("shop@1.1", False)]


@pytest.mark.parametrize("loading", ["", "shop@1.2"])
async def test_workers_that_crash_bring_the_old_release_back(
    loading: str, tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with running(tmp_path) as node:
        await bring(node, "shop", 1)
        await bring(node, "shop", 2)
        for worker in (0, 1):
            node.agent.emit(WorkerCrashed(worker, "signal SIGSEGV", () if loading else ("shop@1.2",), loading))
        await settle()
        assert node.sites_of("shop") == [("shop@1.1", True)]
        assert node.agent.reports()["shop"].stage == "reverted"


async def test_an_app_that_ends_its_workers_while_they_load_it_brings_no_other_back(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with running(tmp_path) as node:
        await bring(node, "shop", 1)
        await bring(node, "shop", 2)
        node.deploy("hostile", 1)
        await settle()
        for worker in (0, 1):
            node.agent.emit(WorkerCrashed(worker, "signal SIGSEGV", ("shop@1.2", "shop@1.1"), "hostile@1.1"))
        await settle()
        assert node.sites_of("shop")[0] == ("shop@1.2", True)
        assert node.agent.reports()["hostile"].stage == "failed"


async def test_a_mistake_of_ours_in_one_app_is_not_for_good(
    tmp_path: Path, mock_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as node:
        with monkeypatch.context() as broken:
            broken.setattr(node.agent, "place", lambda: None)
            node.deploy("shop", 1)
            await settle()
            assert node.sites_of("shop") == []
        await pass_time(mock_clock, ROLLOUT_RETRY_S_MAX + 1)
        assert node.sites_of("shop") == [("shop@1.1", False)]


async def test_a_record_that_is_accepted_while_the_node_ends(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        pass
    node.deploy("shop", 1)
    assert node.agent.reports() == {}


async def test_requests_that_fail_bring_the_old_release_back(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with running(tmp_path) as node:
        await bring(node, "shop", 1)
        node.pool.ready("shop@1.1", Traffic(served=100, failed=100))
        await pass_time(mock_clock, 2 * POOL_LOOK_INTERVAL_S)
        await bring(node, "shop", 2)
        node.pool.ready("shop@1.2", Traffic(served=4, failed=4))
        await pass_time(mock_clock, 2 * POOL_LOOK_INTERVAL_S)
        assert node.agent.reports()["shop"].failures == 4
        assert node.sites_of("shop")[0] == ("shop@1.2", True)
        node.pool.ready("shop@1.2", Traffic(served=4, failed=5))
        await pass_time(mock_clock, 2 * POOL_LOOK_INTERVAL_S)
        assert node.sites_of("shop") == [("shop@1.1", True)]


async def test_an_event_that_was_missed_is_seen_at_the_next_look(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with running(tmp_path) as node:
        node.deploy("shop", 1)
        await settle()
        node.pool.ready("shop@1.1")
        await pass_time(mock_clock, 2 * POOL_LOOK_INTERVAL_S)
        assert node.sites_of("shop") == [("shop@1.1", True)]


async def test_an_app_that_was_removed_is_let_go(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with running(tmp_path) as node:
        await bring(node, "shop", 1)
        node.deployed["shop"] = Deployment("demo", "shop", 1, 2, {})
        node.agent.refresh()
        await settle()
        assert (list(node.sites), node.agent.reports(), node.agent.releases()) == ([], {}, set())


# --- what the fleet says of others ---


def heard(stage: str, running: int) -> tuple[str, Seen]:
    """A node of the region `first`, by what it says of sequence 2 of shop."""
    release = digest_of(b"two")
    app = AppReport(desired=2, running=running, release=release, stage=stage, error_message="no", since=0.0)  # type: ignore[arg-type]
    report = NodeReport("n0", "first", 1, 1, time=0.0, apps={"shop": app})
    return "first", Seen("n0", report, "up", 0.0, 1.0, False)


def in_waves(node: Node) -> Deployment:
    release = node.put("shop", b"two")
    regions = {"first": digest_of(b"two"), "eu": release}
    return Deployment("demo", "shop", 1, 2, regions, waves=(("first",), ("eu",)), soak_s=5)


async def test_a_release_waits_for_the_wave_before(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with running(tmp_path) as node:
        await bring(node, "shop", 1)
        node.heard = [heard("compile", 1)]
        node.deployed["shop"] = in_waves(node)
        node.agent.refresh()
        await settle()
        assert len(node.fetched) == 2  # it is brought here meanwhile
        await pass_time(mock_clock, 2 * POOL_LOOK_INTERVAL_S)
        assert node.agent.reports()["shop"].stage == "compile"  # no worker has said yet that it serves what is live
        node.pool.ready("shop@1.1")
        report = node.agent.reports()["shop"]
        assert (report.stage, report.desired, report.running) == ("waiting", 2, 1)
        assert report.error_message == "first does not serve it yet: n0 (compile)"
        node.heard = [heard("live", 2)]
        await pass_time(mock_clock, 4.0)
        node.agent.refresh()  # as any record does that is accepted: the time does not begin anew
        await settle()
        assert node.agent.reports()["shop"].error_message == "first has not served it for 5 s yet"
        assert node.sites_of("shop") == [("shop@1.1", True)]
        await pass_time(mock_clock, 3.0)
        assert node.sites_of("shop") == [("shop@1.1", True), ("shop@1.2", False)]


async def test_a_release_that_waits_is_kept(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    """It may wait for days, and what nothing has a use for is collected every hour."""
    async with running(tmp_path) as node:
        await bring(node, "shop", 1)
        node.heard = [heard("compile", 1)]
        node.deployed["shop"] = waiting = in_waves(node)
        node.agent.refresh()
        await settle()
        assert waiting.regions["eu"] in node.agent.releases()
        node.checkouts.keep(node.agent.releases())
        node.heard = [heard("live", 2)]
        await pass_time(mock_clock, 10.0)
        [folder] = [site.folder for site in node.sites if site.key == "shop@1.2"]
        assert (Path(folder) / "spin.toml").read_bytes() == b"two"
        node.agent.emit(SiteFailed("shop@1.2", 0, Failure("x", "cannot be loaded", "")))
        await settle()
        assert node.agent.reports()["shop"].stage == "failed"
        assert waiting.regions["eu"] not in node.agent.releases()


async def test_a_release_that_fails_elsewhere_is_not_loaded_here(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with running(tmp_path) as node:
        await bring(node, "shop", 1)
        node.heard = [heard("failed", 1)]
        node.deployed["shop"] = in_waves(node)
        node.agent.refresh()
        await settle()
        await pass_time(mock_clock, 100.0)
        node.pool.ready("shop@1.1")
        report = node.agent.reports()["shop"]
        assert (report.stage, report.error_code) == ("held", "rollout.held")
        assert report.error_message == "first/n0 failed: no"
        assert node.sites_of("shop") == [("shop@1.1", True)]
        await bring(node, "shop", 3)
        assert node.sites_of("shop")[0] == ("shop@1.3", True)


class Watched(list[tuple[str, Seen]]):
    """What was heard of others, which tells when it is looked through."""

    def __init__(self, nodes: list[tuple[str, Seen]], seen: list[str]) -> None:
        super().__init__(nodes)
        self._seen = seen

    def __iter__(self) -> Iterator[tuple[str, Seen]]:
        self._seen.append("judged")
        return super().__iter__()


async def test_however_many_releases_wait_others_have_their_turn_in_between(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    trace: list[str] = []

    async def take_turns() -> None:
        while True:
            trace.append("turn")
            await trio.lowlevel.checkpoint()

    count = 20
    async with running(tmp_path) as node, trio.open_nursery() as nursery:
        for number in range(count):
            each = in_waves(node)
            node.deployed[f"app{number}"] = replace(each, app=f"app{number}")
        node.heard = Watched([heard("failed", 1)], trace)
        node.agent.refresh()
        await settle()
        trace.clear()
        mock_clock.jump(POOL_LOOK_INTERVAL_S)
        nursery.start_soon(take_turns)
        with trio.fail_after(5):
            while trace.count("judged") < count:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert "judged,judged,judged" not in ",".join(trace)


async def test_a_removal_that_is_held_changes_nothing_but_an_alarm(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with running(tmp_path) as node:
        await bring(node, "shop", 1)
        node.deployed["shop"] = Deployment("demo", "shop", 1, 2, {})
        node.deployed["never-here"] = Deployment("demo", "never-here", 1, 2, {})
        node.held = {"shop": "too many", "never-here": "too many"}
        node.agent.refresh()
        await settle()
        assert node.sites_of("shop") == [("shop@1.1", True)]
        assert node.agent.alarms() == ("app shop: too many [app.removal-held]",)
        report = node.agent.reports()["shop"]
        assert (report.running, report.error_code, report.error_message) == (1, "app.removal-held", "too many")
        node.held = {}
        node.agent.refresh()
        await settle()
        assert (list(node.sites), node.agent.alarms(), node.agent.reports()) == ([], (), {})


async def test_a_removal_that_is_held_is_held_after_a_restart(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with running(tmp_path) as node:
        await bring(node, "shop", 1)
        await pass_time(mock_clock, ROLLOUT_WATCH_S + 1)
    async with running(tmp_path) as node:
        node.deployed["shop"] = Deployment("demo", "shop", 1, 2, {})
        node.held = {"shop": "too many"}
        node.agent.refresh()
        await settle()
        assert node.sites_of("shop") == [("shop@1.1", True)]
        assert len(node.agent.alarms()) == 1
        await bring(node, "shop", 3)
        assert (node.sites_of("shop")[0], node.agent.alarms()) == (("shop@1.3", True), ())
