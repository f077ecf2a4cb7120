"""The sites of one worker, in this process: what is loaded when, and what becomes of what cannot be."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
import trio
import trio.testing

from edged.app import LoadedApp, LoadOptions
from edged.bundle.unpack import unpack
from edged.errors import LoadTimeout, SourceMissing
from edged.limits import SITE_RETRY_S
from edged.manifest.model import App
from edged.wasm.engine import PoolConfig
from edged.worker.sites import Sites
from edged.worker.table import Site, Table
from edged.worker.worker import Worker, open_worker
from tests.host.fakes import FakeExchange, head
from tests.node.checkouts import checkout, site

SMALL = PoolConfig(instances=10, core_instances=100, memories=100, tables=100)


class Loading:
    """Sites of a worker, which open folders only as far as a test lets them."""

    def __init__(self, worker: Worker, sources: Path) -> None:
        self.worker = worker
        self.sites = Sites(worker, self._open, self._options, self._tell, self._note)
        self.opened: list[str] = []
        """Names of the folders, in the order in which their sites were loaded."""
        self.noted: list[str] = []
        self.held: set[str] = set()
        self.failing: Exception | None = None
        self._sources = sources
        self._change = trio.Event()
        self._go = threading.Event()

    def _open(self, folder: Path) -> App:
        self.opened.append(folder.name)
        if folder.name in self.held:
            self._go.wait(30.0)
        if self.failing is not None:
            raise self.failing
        return unpack(folder)

    def _options(self, _site: Site) -> LoadOptions:
        return LoadOptions(sources=self._sources)

    async def _note(self, key: str) -> None:
        self.noted.append(key)

    def _tell(self) -> None:
        change, self._change = self._change, trio.Event()
        change.set()

    def go(self) -> None:
        """Let those that are held go on."""
        self._go.set()

    def set(self, *sites: Site) -> None:
        self.sites.set(Table(self.sites.version + 1, sites))

    def stages(self) -> dict[str, str]:
        return {key: state.stage for key, state in self.sites.states().items()}

    def serving(self) -> set[str]:
        return {key for key, state in self.sites.states().items() if state.serving}

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._change.wait()

    async def settled(self) -> None:
        await self.until(lambda: set(self.stages().values()) <= {"ready", "failed"})

    async def status(self, app: str, target: str = "/") -> int:
        exchange = FakeExchange(head(authority=f"{app}.test", target=target))
        await self.worker.handle(exchange)
        assert exchange.status is not None
        return exchange.status


OpenLoading = Callable[[], AbstractAsyncContextManager[Loading]]


@pytest.fixture
def loading(tmp_path: Path) -> OpenLoading:
    @asynccontextmanager
    async def open_loading() -> AsyncIterator[Loading]:
        async with open_worker(tmp_path / "cache", SMALL) as worker, trio.open_nursery() as nursery:
            found = Loading(worker, tmp_path / "sources")
            nursery.start_soon(found.sites.run)
            yield found
            found.go()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await worker.drain()
            found.sites.close()

    return open_loading


@pytest.fixture
def folders(tmp_path: Path) -> Callable[[str], Path]:
    """The folder of a release of the guest `status`, by its name."""
    return lambda name: checkout(tmp_path / name, "status")


Folders = Callable[[str], Path]


async def test_sites_are_loaded_one_after_the_other_those_to_serve_first(
    loading: OpenLoading, folders: Folders
) -> None:
    candidate, served = site(folders("one"), "one", serve=False), site(folders("two"), "two")
    async with loading() as load:
        load.set(candidate, served)
        assert not load.sites.settled
        await load.settled()
        assert load.opened == ["two", "one"]
        assert load.noted == ["two@1.1", "", "one@1.1", ""]
        assert load.serving() == {"two@1.1"}
        assert load.sites.settled
        assert await load.status("two", "/204") == 204


async def test_what_another_worker_loads_first_is_not_loaded(loading: OpenLoading, folders: Folders) -> None:
    one, two = site(folders("one"), "one"), site(folders("two"), "two")
    async with loading() as load:
        load.set(replace(one, held=True), two)
        await load.until(lambda: load.stages() == {"one@1.1": "waiting", "two@1.1": "ready"})
        await trio.testing.wait_all_tasks_blocked()
        assert load.opened == ["two"]
        assert not load.sites.settled
        assert load.sites.expects("one.test:80")
        assert not load.sites.expects("three.test")
        load.set(one, two)
        await load.settled()
        assert load.opened == ["two", "one"], "what is loaded stays"


async def test_a_swap_keeps_the_old_until_the_new_is_ready_and_back(loading: OpenLoading, folders: Folders) -> None:
    old, new = site(folders("old"), "app", 1), site(folders("new"), "app", 2)
    async with loading() as load:
        load.held = {"new"}
        load.set(old)
        await load.settled()
        load.set(replace(old, serve=False), new)
        await load.until(lambda: load.stages()[new.key] == "loading")
        assert load.serving() == {old.key}
        load.go()
        await load.until(lambda: load.serving() == {new.key})
        await load.settled()
        assert load.opened == ["old", "new", "old"], "so that there is something to go back to"
        load.set(old, replace(new, serve=False))
        assert load.serving() == {old.key}, "at once"
        assert await load.status("app") == 200


async def test_a_site_that_goes_while_it_is_loaded(loading: OpenLoading, folders: Folders) -> None:
    one, two = site(folders("one"), "one"), site(folders("two"), "two")
    async with loading() as load:
        load.held = {"one"}
        load.set(one)
        await load.until(lambda: load.stages() == {one.key: "loading"})
        load.set(two)
        load.go()
        await load.settled()
        assert load.stages() == {two.key: "ready"}


async def test_another_site_under_the_same_key_is_loaded_anew(loading: OpenLoading, folders: Folders) -> None:
    one = site(folders("one"), "one")
    async with loading() as load:
        load.set(one)
        await load.settled()
        load.set(replace(one, hosts=("another.test",)))
        assert await load.status("another") == 200
        load.set(replace(one, variables={}, limits={"cpu_s_max": 1.0}))
        assert load.serving() == set()
        await load.settled()
        assert load.opened == ["one", "one"]
        assert load.serving() == {one.key}


async def test_what_is_to_be_served_and_cannot_be_loaded_is_tried_again(
    loading: OpenLoading, folders: Folders, mock_clock: trio.testing.MockClock
) -> None:
    one, two = site(folders("one"), "one"), site(folders("two"), "two", serve=False)
    async with loading() as load:
        load.failing = SourceMissing("it is away")
        with structlog.testing.capture_logs() as logs:
            load.set(one, two)
            await load.settled()
        failure = load.sites.states()[one.key].failure
        assert failure is not None
        assert (failure.code, failure.message) == ("source.missing", "it is away")
        assert [line["code"] for line in logs if line["event"] == "site.failed"] == ["source.missing"] * 2
        load.failing = None
        mock_clock.jump(SITE_RETRY_S - 1.0)
        await trio.testing.wait_all_tasks_blocked()
        assert load.stages()[one.key] == "failed"
        mock_clock.jump(1.0)
        await load.until(lambda: load.stages()[one.key] == "ready")
        assert load.stages()[two.key] == "failed", "a candidate has failed for good"
        load.set(one, replace(two, serve=True))
        await load.until(lambda: load.serving() == {one.key, two.key})


async def test_a_mistake_of_ours_is_one_sites_failure(loading: OpenLoading, folders: Folders) -> None:
    one, two = site(folders("one"), "one", serve=False), site(folders("two"), "two")
    async with loading() as load:
        load.failing = KeyError("secret")
        with structlog.testing.capture_logs() as logs:
            load.set(one)
            await load.settled()
        failure = load.sites.states()[one.key].failure
        assert failure is not None
        assert failure.code == "host.failed"
        assert "secret" not in failure.message
        assert [line["log_level"] for line in logs if line["event"] == "site.failed"] == ["error"]
        load.failing = None
        load.set(one, two)
        await load.until(lambda: load.serving() == {two.key})


async def test_the_app_has_the_name_that_it_was_deployed_under(loading: OpenLoading, folders: Folders) -> None:
    async with loading() as load:
        load.set(site(folders("one"), "deployed"))
        await load.settled()
        (app,) = load.worker._running
        assert app.model.name == "deployed"


async def test_a_failed_probe_frees_the_candidate(loading: OpenLoading, folders: Folders) -> None:
    one = site(folders("one"), "one", serve=False, probe="/500")
    async with loading() as load:
        load.set(one)
        await load.settled()
        assert load.stages() == {one.key: "failed"}
        load.set(replace(one, key="one@1.2", probe="/404"))
        await load.settled()
        assert load.stages() == {"one@1.2": "ready"}
        assert load.worker.engine.instances == 0


async def test_a_host_that_is_written_twice_ends_no_worker(loading: OpenLoading, tmp_path: Path) -> None:
    """Any publisher may write that, and a worker that ends takes everybody's apps with it."""
    hello = checkout(tmp_path / "hello", "hello")
    async with loading() as found:
        found.set(site(hello, "twice", hosts=("twice.test", "twice.test", "Twice.test.")), site(hello, "other"))
        await found.settled()
        assert found.serving() == {"twice@1.1", "other@1.1"}
        assert (await found.status("twice"), await found.status("other")) == (200, 200)


async def test_an_app_that_is_not_loaded_in_time_gives_way_to_the_next(
    loading: OpenLoading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hello = checkout(tmp_path / "hello", "hello")
    async with loading() as found:
        load = found.worker.load
        hangs = trio.Event()

        async def hang(model: App, options: LoadOptions) -> LoadedApp:
            if model.name != "slow":
                return await load(model, options)
            hangs.set()
            await trio.sleep_forever()
            raise AssertionError

        monkeypatch.setattr(found.worker, "load", hang)
        monkeypatch.setattr("edged.worker.sites.SITE_LOAD_S_MAX", 0.2)
        found.set(site(hello, "slow", serve=False))
        await hangs.wait()
        monkeypatch.setattr("edged.worker.sites.SITE_LOAD_S_MAX", 300.0)
        found.set(site(hello, "slow", serve=False), site(hello, "shop"))
        await found.until(lambda: found.serving() == {"shop@1.1"})
        failure = found.sites.states()["slow@1.1"].failure
        assert failure is not None
        assert failure.code == LoadTimeout.code
