"""A folder under development: what is built and loaded, and when there is something to do again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from edged.errors import (
    BuildFailed,
    ComponentInvalid,
    EdgedError,
    ManifestError,
    ManifestMissing,
    SourceMissing,
    UsageError,
)
from edged.up import scan as scan_module
from edged.up.event import Building, Compiling, Event, Loaded, Loading, Warned
from edged.up.options import UpOptions
from edged.up.project import Project
from edged.up.watcher import Watcher
from edged.worker.worker import Worker
from tests.conftest import GuestPath
from tests.up.apps import MANIFEST, built_app, replace, write_app


@dataclass
class Desk:
    """A project and what it showed."""

    folder: Path
    project: Project
    watcher: Watcher
    shown: list[Event] = field(default_factory=list)

    async def load(self) -> None:
        """Load, as far as it goes, and free what was loaded."""
        self.shown.clear()
        (await self.project.load()).close()

    async def changes(self) -> set[str]:
        with trio.fail_after(60):
            return {path.name for path in await self.project.wait_changed(self.watcher)}

    async def is_settled(self) -> bool:
        """Whether there is nothing to do: waiting for changes gets as far as asking the operating system."""

        class Asked(Exception):
            pass

        class Ask(Watcher):
            async def wait(self, _folders: object) -> None:
                raise Asked

        try:
            await self.project.wait_changed(Ask())
        except Asked:
            return True
        return False

    @property
    def built(self) -> list[str]:
        return [event.command for event in self.shown if isinstance(event, Building)]


DeskOf = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture
def desk_of(cache_folder: Path, worker: Worker) -> DeskOf:
    @asynccontextmanager
    async def open_desk(folder: Path, **options: object) -> AsyncIterator[Desk]:
        shown: list[Event] = []
        made = UpOptions(paths=(folder,), cache_folder=cache_folder, build_output=2, **options)  # type: ignore[arg-type]
        with Watcher() as watcher:
            yield Desk(folder, Project(made, folder, worker, shown.append), watcher, shown)

    return open_desk


async def test_a_load_shows_what_happens(tmp_path: Path, desk_of: DeskOf, guest_path: GuestPath) -> None:
    # No other test has this component, so it is not in the cache.
    data = guest_path("hello").read_bytes() + b"\0\x0c\x04testproject"
    folder = write_app(tmp_path / "app", guest_path("hello"))
    (folder / "app.wasm").write_bytes(data)
    async with desk_of(folder) as desk:
        await desk.load()
        loading, compiling, loaded = desk.shown
        assert loading == Loading("app", str(folder / "spin.toml"), ("hello",))
        assert compiling == Compiling("hello", len(data))
        assert isinstance(loaded, Loaded)
        assert loaded.compiled
        await desk.load()
        _, loaded_again = desk.shown
        assert isinstance(loaded_again, Loaded)
        assert not loaded_again.compiled
        assert loaded_again.digest == loaded.digest


async def test_the_path_may_be_the_manifest(tmp_path: Path, desk_of: DeskOf, guest_path: GuestPath) -> None:
    write_app(tmp_path, guest_path("hello"))
    (tmp_path / "spin.toml").rename(tmp_path / "other.toml")
    async with desk_of(tmp_path / "other.toml") as desk:
        await desk.load()
        (tmp_path / "other.toml").write_text(MANIFEST + "#")
        assert await desk.changes() == {"other.toml"}


async def test_only_chosen_components(tmp_path: Path, desk_of: DeskOf, guest_path: GuestPath) -> None:
    more = '[[trigger.http]]\nroute = "/more"\ncomponent = "more"\n[component.more]\nsource = "absent.wasm"\n'
    folder = write_app(tmp_path, guest_path("hello"), MANIFEST + more)
    async with desk_of(folder, components=("hello",)) as desk:
        await desk.load()
    async with desk_of(folder, components=("hallo",)) as desk:
        with pytest.raises(UsageError, match="did you mean `hello`"):
            await desk.load()
    async with desk_of(folder) as desk:
        with pytest.raises(SourceMissing, match="component `more`"):
            await desk.load()


async def test_an_app_without_triggers(tmp_path: Path, desk_of: DeskOf) -> None:
    (tmp_path / "spin.toml").write_text('spin_manifest_version = 2\n[application]\nname = "app"\n')
    async with desk_of(tmp_path) as desk:
        with pytest.raises(ManifestError, match="no trigger"):
            await desk.load()


async def test_warnings_are_shown_once(tmp_path: Path, desk_of: DeskOf, guest_path: GuestPath) -> None:
    text = MANIFEST.replace("[[trigger.http]]", '[application.trigger.http]\nbase = "/"\n[[trigger.http]]')
    folder = write_app(tmp_path, guest_path("hello"), text)
    async with desk_of(folder) as desk:
        await desk.load()
        warnings = [event for event in desk.shown if isinstance(event, Warned)]
        await desk.load()
        again = [event for event in desk.shown if isinstance(event, Warned)]
        assert (len(warnings), again) == (1, [])


# --- what wakes it ---


async def test_a_new_component_file(tmp_path: Path, desk_of: DeskOf, guest_path: GuestPath) -> None:
    folder = write_app(tmp_path, guest_path("hello"))
    async with desk_of(folder) as desk:
        await desk.load()
        assert await desk.is_settled()
        replace(folder / "app.wasm", guest_path("echo").read_bytes())
        assert await desk.changes() == {"app.wasm"}
        await desk.load()
        assert await desk.is_settled()


async def test_a_change_that_comes_while_it_waits(tmp_path: Path, desk_of: DeskOf, guest_path: GuestPath) -> None:
    folder = write_app(tmp_path, guest_path("hello"))
    async with desk_of(folder) as desk:
        await desk.load()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.changes)
            await trio.testing.wait_all_tasks_blocked()
            (folder / "spin.toml").write_text(MANIFEST + "# more\n")


async def test_a_half_written_component_and_then_the_whole(
    tmp_path: Path, desk_of: DeskOf, guest_path: GuestPath
) -> None:
    folder = write_app(tmp_path, guest_path("hello"))
    whole = guest_path("echo").read_bytes()
    async with desk_of(folder) as desk:
        await desk.load()
        (folder / "app.wasm").write_bytes(whole[: len(whole) // 2])
        await desk.changes()
        with pytest.raises(ComponentInvalid):
            await desk.load()
        assert await desk.is_settled()
        (folder / "app.wasm").write_bytes(whole)
        await desk.changes()
        await desk.load()


async def test_a_mounted_file(tmp_path: Path, desk_of: DeskOf, guest_path: GuestPath) -> None:
    folder = write_app(tmp_path, guest_path("hello"), MANIFEST + 'files = ["assets/**/*"]\n')
    (folder / "assets").mkdir()
    async with desk_of(folder) as desk:
        await desk.load()
        (folder / "assets" / "deep").mkdir()
        (folder / "assets" / "deep" / "page.html").touch()
        assert await desk.changes() == {"page.html"}


@pytest.mark.parametrize(
    ("broken", "error"), [("name = ", ManifestError), (None, ManifestMissing)], ids=["invalid", "removed"]
)
async def test_a_broken_manifest_is_told_once(
    tmp_path: Path, desk_of: DeskOf, guest_path: GuestPath, broken: str | None, error: type[EdgedError]
) -> None:
    folder = write_app(tmp_path, guest_path("hello"))
    async with desk_of(folder) as desk:
        await desk.load()
        if broken is None:
            (folder / "spin.toml").unlink()
        else:
            (folder / "spin.toml").write_text(broken)
        assert await desk.changes() == {"spin.toml"}
        with pytest.raises(error):
            await desk.load()
        assert await desk.is_settled()
        (folder / "spin.toml").write_text(MANIFEST)
        assert await desk.changes() == {"spin.toml"}
        await desk.load()


async def test_more_files_than_are_watched(
    tmp_path: Path, desk_of: DeskOf, guest_path: GuestPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_app(tmp_path, guest_path("hello"), MANIFEST + 'files = ["assets/**/*"]\n')
    (folder / "assets").mkdir()
    (folder / "assets" / "a").touch()
    monkeypatch.setattr(scan_module, "WATCH_ENTRY_COUNT_MAX", 1)
    async with desk_of(folder) as desk:
        await desk.load()
        assert await desk.is_settled()
        assert not any(isinstance(event, Warned) for event in desk.shown)
        (folder / "assets" / "b").touch()
        for _ in range(2):
            await desk.is_settled()
        warnings = [event.message for event in desk.shown if isinstance(event, Warned)]
        assert len(warnings) == 1
        assert "not every change is seen" in warnings[0]


# --- builds ---


@pytest.fixture
def built(tmp_path: Path, guest_path: GuestPath) -> Path:
    """An app that is built by copying the guest that the file `choice` names."""
    folder = built_app(tmp_path / "app", {name: guest_path(name) for name in ("hello", "echo")})
    (folder / "choice").write_text("hello")
    return folder


async def test_without_build_what_is_there_counts_as_built(built: Path, desk_of: DeskOf) -> None:
    async with desk_of(built) as desk:
        with pytest.raises(SourceMissing) as caught:
            await desk.load()
        assert desk.built == []
        assert "--build" in caught.value.remedy


async def test_with_build_it_is_built_first_and_then_only_when_it_changed(built: Path, desk_of: DeskOf) -> None:
    async with desk_of(built, build=True) as desk:
        await desk.load()
        assert len(desk.built) == 1
        # The build wrote app.wasm, which loading reads: no reason to load again.
        assert await desk.is_settled()
        await desk.load()
        assert desk.built == []
        (built / "choice").write_text("echo")
        assert await desk.changes() == {"choice"}
        await desk.load()
        assert len(desk.built) == 1
        assert await desk.is_settled()


async def test_a_failed_build_is_tried_again_next_time(built: Path, desk_of: DeskOf) -> None:
    async with desk_of(built, build=True) as desk:
        await desk.load()
        (built / "choice").write_text("absent")
        await desk.changes()
        with pytest.raises(BuildFailed):
            await desk.load()
        assert await desk.is_settled()
        # Back to what was built before the failure: what the failed build left behind nobody knows.
        (built / "choice").write_text("hello")
        await desk.changes()
        await desk.load()
        assert len(desk.built) == 1


async def test_an_edit_during_the_build_calls_for_another(built: Path, desk_of: DeskOf) -> None:
    text = (built / "spin.toml").read_text().replace("cp guests", "echo echo > choice; cp guests")
    (built / "spin.toml").write_text(text)
    async with desk_of(built, build=True) as desk:
        await desk.load()
        assert await desk.changes() == {"choice"}
        await desk.load()
        assert len(desk.built) == 1
        # The same again: a build that writes what it watches comes to rest when it writes the same.
        assert await desk.is_settled()


async def test_another_build_command_is_run(built: Path, desk_of: DeskOf) -> None:
    async with desk_of(built, build=True) as desk:
        await desk.load()
        text = (built / "spin.toml").read_text().replace("cp guests", "true; cp guests")
        (built / "spin.toml").write_text(text)
        assert await desk.changes() == {"spin.toml"}
        await desk.load()
        assert len(desk.built) == 1


async def test_sources_that_changed_beside_a_broken_manifest_are_built_later(built: Path, desk_of: DeskOf) -> None:
    text = (built / "spin.toml").read_text()
    async with desk_of(built, build=True) as desk:
        await desk.load()
        (built / "spin.toml").write_text("broken")
        (built / "choice").write_text("echo")
        assert await desk.changes() == {"choice", "spin.toml"}
        with pytest.raises(ManifestError):
            await desk.load()
        (built / "spin.toml").write_text(text)
        await desk.changes()
        await desk.load()
        assert len(desk.built) == 1
