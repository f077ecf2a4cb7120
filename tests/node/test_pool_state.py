"""What is known of workers, and what each is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from edged.errors import TableFull
from edged.limits import CONTROL_FRAME_BYTES_MAX, LOAD_CRASH_COUNT_MAX, KiB
from edged.node.pool_event import SiteFailed, SiteProbed, SiteReady, WorkerCrashed
from edged.node.pool_state import PoolState, PoolStatistics, SiteSummary, without_room
from edged.worker.latency import Latency
from edged.worker.report import Failure, Report, SiteState, Stage, Traffic
from edged.worker.table import CertificateFiles, Site, Table, table_wire
from edged.worker.wire import encode_frame

A, B = (Site(f"{app}@1.1", app, "/folder", (f"{app}.test",), serve=True) for app in "ab")
READY = SiteState("ready", serving=True)
FAILED = SiteState("failed", failure=Failure("component.invalid", "it is none", "Build it."))


def report(sites: Mapping[str, SiteState | Stage], *, listening: bool = True, version: int = 1) -> Report:
    states = {key: SiteState(state) if isinstance(state, str) else state for key, state in sites.items()}
    return Report(version, listening, 1, 2, None, states)


def started(count: int = 2, *sites: Site) -> PoolState:
    """A pool whose workers run and were told of `sites`."""
    state = PoolState(count)
    state.set(sites or (A,), ())
    for number in range(count):
        state.started(number)
    state.take_tables()
    return state


def held(tables: Mapping[int, Table]) -> dict[int, list[str]]:
    """Worker -> the sites that it may not load yet."""
    return {number: [site.key for site in table.sites if site.held] for number, table in tables.items()}


def test_nothing_is_told_before_the_first_set() -> None:
    state = PoolState(1)
    state.started(0)
    assert state.take_tables() == {}
    state.set((), ())
    assert state.take_tables()[0].sites == ()
    assert state.take_tables() == {}


def test_the_first_worker_loads_before_the_others() -> None:
    state = PoolState(3)
    state.set((A, B), ())
    for number in range(3):
        state.started(number)
    assert held(state.take_tables()) == {0: [], 1: [A.key, B.key], 2: [A.key, B.key]}
    assert state.reported(0, report({A.key: READY, B.key: "loading"})) == []
    assert held(state.take_tables()) == {1: [B.key], 2: [B.key]}
    assert state.take_tables() == {}


def test_the_next_one_leads_where_the_first_is_gone() -> None:
    state = started(2)
    state.ended(0, "signal SIGKILL")
    assert held(state.take_tables()) == {1: []}
    state.started(0)
    assert held(state.take_tables()) == {0: [], 1: [A.key]}


def test_closing_is_told_once_and_undone() -> None:
    state = started(2)
    for closing in (True, False):
        state.set_closing(closing)
        told = state.take_tables()
        assert [table.closing for table in told.values()] == [closing, closing]
        assert {table.certificates_version for table in told.values()} == {1}, "no file is read for that"
        state.set_closing(closing)
        assert state.take_tables() == {}


def test_a_successor_is_told_of_closing() -> None:
    state = started(1)
    state.set_closing(True)
    state.take_tables()
    state.ended(0, "signal SIGKILL")
    state.started(0)
    assert state.take_tables()[0].closing


def test_who_accepts_connections() -> None:
    state = started(3)
    state.reported(0, report({}))
    state.reported(1, report({}, listening=False))
    assert state.listening() == {0}
    state.ended(0, "signal SIGKILL")
    assert state.listening() == set()


def test_a_worker_that_starts_again_is_told_everything() -> None:
    state = started(2)
    state.reported(0, report({A.key: READY}))
    state.take_tables()
    state.ended(1, "signal SIGKILL")
    state.started(1)
    assert held(state.take_tables()) == {1: []}


def test_versions_grow_and_certificates_are_read_anew_with_each_set() -> None:
    state = started(1)
    certificate = CertificateFiles(("a.test",), "/crt", "/key")
    versions = []
    for _ in range(2):
        state.set((A,), (certificate,))
        table = state.take_tables()[0]
        assert table.certificates == (certificate,)
        versions.append((table.version, table.certificates_version))
    assert versions[1] > versions[0]
    assert versions[1][1] > versions[0][1]


def test_ready_is_told_once_all_are() -> None:
    state = started(2)
    assert state.reported(0, report({A.key: READY})) == []
    assert state.summaries()[A.key].stage == "waiting"
    assert state.reported(1, report({A.key: "compiling"})) == []
    assert state.summaries()[A.key].stage == "compiling"
    assert state.reported(1, report({A.key: READY})) == [SiteReady(A.key)]
    assert state.reported(1, report({A.key: READY})) == []
    summary = state.summaries()[A.key]
    assert (summary.stage, summary.ready, summary.serving) == ("ready", 2, 2)


def test_failed_is_told_at_once_and_by_whom() -> None:
    state = started(2, A, B)
    assert FAILED.failure is not None
    assert state.reported(0, report({A.key: FAILED, B.key: READY})) == [SiteFailed(A.key, 0, FAILED.failure)]
    assert state.reported(0, report({A.key: FAILED, B.key: READY})) == []
    assert held(state.take_tables()) == {1: [A.key]}, "the others do not try it"
    assert state.reported(1, report({B.key: READY})) == [SiteReady(B.key)]
    # It was loaded again, and now it can be.
    state.reported(0, report({A.key: READY, B.key: READY}))
    assert state.reported(1, report({A.key: READY, B.key: READY})) == [SiteReady(A.key)]


def test_a_worker_that_starts_again_does_not_make_sites_ready_again() -> None:
    state = started(1)
    assert state.reported(0, report({A.key: READY})) == [SiteReady(A.key)]
    assert state.ended(0, "signal SIGSEGV") == [WorkerCrashed(0, "signal SIGSEGV", (A.key,), "")]
    assert state.summaries()[A.key].stage == "waiting"
    state.started(0)
    assert state.reported(0, report({A.key: READY})) == []


def test_a_site_that_ends_workers_while_they_load_it_is_given_up() -> None:
    state = started(1, A, B)
    for crash in range(1, LOAD_CRASH_COUNT_MAX + 1):
        state.loading(0, A.key)
        events = state.ended(0, "signal SIGSEGV")
        assert events[0] == WorkerCrashed(0, "signal SIGSEGV", (), A.key)
        state.started(0)
        (table,) = state.take_tables().values()
        gone = crash == LOAD_CRASH_COUNT_MAX
        assert (A.key not in {site.key for site in table.sites}) is gone
        assert len(events) == 1 + gone
    summary = state.summaries()[A.key]
    assert summary.failure is not None
    assert (summary.stage, summary.failure.code) == ("failed", "worker.load-crashed")
    assert B.key in {site.key for site in table.sites}
    # Under another number it is another.
    state.set((B,), ())
    state.set((A, B), ())
    assert A.key in {site.key for site in state.take_tables()[0].sites}


def test_a_crash_after_loading_is_not_the_sites() -> None:
    state = started(1)
    for _ in range(LOAD_CRASH_COUNT_MAX + 1):
        state.loading(0, A.key)
        state.loading(0, "")
        state.ended(0, "signal SIGKILL")
        state.started(0)
    assert state.summaries()[A.key].stage == "waiting"


def latency(*seconds: float) -> Latency:
    found = Latency()
    for each in seconds:
        found.add(each)
    return found


def served(count: int, failed: int = 0) -> SiteState:
    return SiteState("ready", True, None, Traffic(count, failed, latency(*[0.001] * (count + failed))))


def test_traffic_adds_up_over_workers_and_their_successors() -> None:
    state = started(2)
    state.reported(0, report({A.key: served(5)}))
    state.reported(1, report({A.key: served(7, failed=1)}))
    state.reported(0, report({A.key: served(6)}))
    state.ended(0, "signal SIGKILL")
    state.started(0)
    state.reported(0, report({A.key: served(2)}))
    total = state.traffic()["a"]
    assert (total.served, total.failed, total.latency.count) == (6 + 7 + 2, 1, 6 + 8 + 2)
    assert state.summaries()[A.key].traffic == total


def test_traffic_of_a_site_that_was_loaded_anew() -> None:
    state = started(1)
    for count in (5, 2, 3):  # from the beginning after the first
        state.reported(0, report({A.key: served(count)}))
    assert state.traffic()["a"].served == 5 + 3


def test_traffic_of_an_app_outlives_its_releases_but_not_the_app() -> None:
    state = started(1, A, B)
    state.reported(0, report({A.key: served(5), B.key: served(1)}))
    second = Site("a@1.2", "a", "/folder", ("a.test",), serve=True)
    state.set((second, B), ())
    state.reported(0, report({second.key: served(2), B.key: served(1)}))
    assert state.traffic()["a"].served == 7
    assert state.summaries()["a@1.2"].traffic.served == 2
    state.set((B,), ())
    assert state.traffic().keys() == {"b"}


def test_reports_of_what_nobody_asked_for_change_nothing() -> None:
    state = started(1)
    stranger = Site("x@1.1", "x", "/folder", ())
    assert state.reported(0, report({stranger.key: FAILED})) == []
    assert state.reported(7, report({A.key: FAILED})) == []
    assert state.summaries().keys() == {A.key}
    assert state.traffic().keys() == set()


def test_statistics() -> None:
    state = started(3)
    state.reported(0, report({A.key: READY}))
    state.reported(1, report({A.key: READY}, listening=False))
    state.ended(2, "status 1")
    assert state.statistics() == PoolStatistics(3, 1, 2, 4, 1, None)


@pytest.mark.parametrize("stage", ["probing", "compiling", "loading", "waiting"])
def test_the_stage_of_whoever_is_furthest_behind_ready(stage: Stage) -> None:
    state = started(3)
    for number, each in enumerate(("ready", stage, "waiting")):
        state.reported(number, report({A.key: each}))
    assert state.summaries()[A.key].stage == stage


def test_sites_that_find_no_room_in_a_table_are_left_out_the_largest_first() -> None:
    """What one publisher writes into variables keeps no other app from being served, nor ends the supervisor."""
    large = [
        replace(A, key=f"large-{number}@1.1", app=f"large-{number}", variables={"v": "x" * 256 * KiB})
        for number in range(200)
    ]
    state = started(1, *large, B)
    tables = started_tables(*large, B)
    assert len(encode_frame("table", table_wire(tables[0]))) <= CONTROL_FRAME_BYTES_MAX
    told = {site.key for site in tables[0].sites}
    assert B.key in told
    assert 80 < len(told) < 100
    left = next(site for site in large if site.key not in told)
    summary = state.summaries()[left.key]
    assert summary.failure is not None
    assert (summary.stage, summary.failure.code) == ("failed", TableFull.code)
    assert SiteFailed(left.key, None, summary.failure) in state.reported(0, report({B.key: READY}))


@pytest.mark.parametrize(("room", "left"), [(0, set()), (-1, {"b@1.2"})])
def test_a_table_at_its_limit_and_over(room: int, left: set[str]) -> None:
    """A candidate goes before what is to be served."""
    sites = [A, B, replace(B, key="b@1.2", serve=False)]
    size = sum(next(size for size in range(100_000) if not without_room([site], size)) for site in sites)
    assert without_room(sites, size + room) == left


def started_tables(*sites: Site) -> Mapping[int, Table]:
    state = PoolState(1)
    state.set(sites, ())
    state.started(0)
    return state.take_tables()


def test_a_probe_is_told_once() -> None:
    state = started()
    assert state.reported(0, report({A.key: "loading"})) == []
    assert state.reported(0, report({A.key: "probing"})) == [SiteProbed(A.key)]
    assert state.reported(0, report({A.key: READY})) == []
    assert state.reported(1, report({A.key: "probing"})) == []
    assert state.reported(1, report({A.key: READY})) == [SiteReady(A.key)]
    assert state.reported(1, report({A.key: "probing"})) == []


class Counting(PoolState):
    """A pool that counts how often it looks at a site in all workers."""

    looks = 0

    def _summary(self, key: str, *traffic: Traffic) -> SiteSummary:
        self.looks += 1
        return super()._summary(key, *traffic)


def test_a_report_that_says_nothing_new_costs_nothing_for_each_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker reports each second, and tells of each call of a trigger: with a thousand sites and sixteen workers
    this took more than all of the supervisor's time."""
    made: list[str] = []
    counted: list[Traffic] = []

    def held_or_not(site: Site, *, held: bool) -> Site:
        made.append(site.key)
        return replace(site, held=held)

    def since(now: Traffic, _before: Traffic | None) -> Traffic:
        counted.append(now)
        return now

    monkeypatch.setattr("edged.node.pool_state.replace", held_or_not)
    monkeypatch.setattr("edged.node.pool_state._since", since)
    state = Counting(2)
    state.set((A, B), ())
    for number in range(2):
        state.started(number)
    told = []
    for number in (0, 1, 0, 1):
        state.reported(number, report({A.key: READY, B.key: READY}))
        told.append(held(state.take_tables()))
    assert told == [{0: [], 1: []}, {}, {}, {}]
    work = len(made), len(counted), state.looks
    assert 0 not in work
    for number in (0, 1, 0, 1):
        assert state.reported(number, report({A.key: READY, B.key: READY})) == []
        assert state.take_tables() == {}
    assert (len(made), len(counted), state.looks) == work
    state.reported(0, report({A.key: served(1), B.key: READY}))  # the twin: what is new is looked at
    assert len(counted) == work[1] + 1
    state.reported(0, report({A.key: READY, B.key: FAILED}))
    assert state.looks > work[2]


def test_what_workers_loaded_does_not_make_tables_of_before() -> None:
    """The same sites set anew, of which one ended its workers before: what tables were made of is another."""
    state = started(1, A)
    for _ in range(LOAD_CRASH_COUNT_MAX):
        state.loading(0, A.key)
        state.ended(0, "signal SIGSEGV")
        state.started(0)
    assert [table.sites for table in state.take_tables().values()] == [()]
    state.set((), ())
    state.set((A,), ())
    assert [[site.key for site in table.sites] for table in state.take_tables().values()] == [[A.key]]
