"""When to look at the files again: as soon as the operating system says that something changed in their folders."""

from __future__ import annotations

import threading
from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from edged.limits import WATCH_GATHER_S, WATCH_QUIET_S

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify


class Watcher:
    """Watches folders, each without what is below it. Use as a context manager."""

    def __init__(self) -> None:
        self._folders: frozenset[Path] = frozenset()
        self._notify: RustNotify | None = None

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    async def wait(self, folders: Set[Path]) -> None:
        """Return when something may have changed in `folders`.

        At once when they are other folders than last time: whatever happened in them before was not seen. Several
        changes in quick succession are one: it returns after `WATCH_QUIET_S` without a further one.

        Raises:
            OSError: the system has no more watches to give.
        """
        if self._notify is None or folders != self._folders:
            await trio.to_thread.run_sync(self._restart, frozenset(folders))
            return
        stop = threading.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_set_at_end, stop)
            # Not abandoned when cancelled, but told to stop: it looks at `stop` every `WATCH_QUIET_S`.
            changes = await trio.to_thread.run_sync(
                self._notify.watch, int(WATCH_GATHER_S * 1000), int(WATCH_QUIET_S * 1000), 0, stop
            )
            nursery.cancel_scope.cancel()
        # A folder that was removed or replaced is watched no more, even if there is one of its name again.
        if not isinstance(changes, str) and any(Path(path) in self._folders for _, path in changes):
            self._folders = frozenset()

    def _restart(self, folders: frozenset[Path]) -> None:
        # The package's own `awatch` keeps one set of paths for ever, and drags in a second async library.
        from watchfiles._rust_notify import RustNotify  # noqa: PLC0415 - only with --watch, and not at start

        self._close()
        present = [str(folder) for folder in folders if folder.is_dir()]
        try:
            self._notify = RustNotify(present, False, False, 0, False, True)
        except RuntimeError as error:  # what the package makes of most errors of inotify
            raise OSError(str(error)) from error
        # Those gone meanwhile are found missing by the next look, which comes right after this.
        self._folders = folders

    def _close(self) -> None:
        if self._notify is not None:
            self._notify.close()
            self._notify = None


async def _set_at_end(stop: threading.Event) -> None:
    try:
        await trio.sleep_forever()
    finally:
        stop.set()
