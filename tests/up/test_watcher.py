"""Waking up when the operating system says that a folder changed. Real files, real inotify, no clock."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from edged.up.watcher import Watcher


async def test_wakes_for_each_way_to_change_a_folder(tmp_path: Path) -> None:
    folders = frozenset({tmp_path})
    with Watcher() as watcher, trio.fail_after(120):
        await watcher.wait(folders)
        (tmp_path / "new").touch()
        await watcher.wait(folders)
        (tmp_path / "new").write_text("written")
        await watcher.wait(folders)
        (tmp_path / "new").rename(tmp_path / "renamed")
        await watcher.wait(folders)
        (tmp_path / "renamed").unlink()
        await watcher.wait(folders)
        (tmp_path / "folder").mkdir()
        await watcher.wait(folders)


async def test_other_folders_are_worth_a_look_at_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with Watcher() as watcher, trio.fail_after(120):
        await watcher.wait(frozenset({tmp_path / "a"}))
        await watcher.wait(frozenset({tmp_path / "a", tmp_path / "b"}))
        (tmp_path / "b" / "new").touch()
        await watcher.wait(frozenset({tmp_path / "a", tmp_path / "b"}))


async def test_a_folder_that_went_before_it_was_watched(tmp_path: Path) -> None:
    folders = frozenset({tmp_path, tmp_path / "absent"})
    with Watcher() as watcher, trio.fail_after(120):
        await watcher.wait(folders)
        (tmp_path / "new").touch()
        await watcher.wait(folders)


@pytest.mark.parametrize("moved", [False, True])
async def test_a_folder_that_was_replaced_is_watched_again(tmp_path: Path, moved: bool) -> None:
    folder = tmp_path / "src"
    folder.mkdir()
    folders = frozenset({folder})
    with Watcher() as watcher, trio.fail_after(120):
        await watcher.wait(folders)
        folder.rename(tmp_path / "old") if moved else folder.rmdir()
        folder.mkdir()
        await watcher.wait(folders)
        await watcher.wait(folders)
        (folder / "new").touch()
        await watcher.wait(folders)


async def test_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    folders = frozenset({tmp_path})
    with Watcher() as watcher, trio.fail_after(120):
        await watcher.wait(folders)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watcher.wait, folders)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()


async def test_no_more_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("OS file watch limit reached.")

    monkeypatch.setattr("watchfiles._rust_notify.RustNotify", refuse)
    with Watcher() as watcher, pytest.raises(OSError, match="watch limit"):
        await watcher.wait(frozenset({tmp_path}))
