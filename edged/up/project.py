"""An app under development: its manifest, builds and components, brought up to date with its files.

    manifest -> builds whose sources changed -> load (compile, link, try) -> an app that can be swapped in

What was built last and looked at last is remembered, so that `load` does what is needed and `wait_changed` returns
when there is something to do. Both are for one task.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import trio

from edged import app, manifest
from edged.errors import ManifestError
from edged.host.initial_state import InitialState
from edged.manifest.load import MANIFEST_NAME
from edged.manifest.model import App, Build
from edged.up.build import run_build
from edged.up.event import Compiling, Loaded, Loading, Show, Warned
from edged.up.options import UpOptions
from edged.up.scan import Scan, Scanner, Stamps, WatchPlan
from edged.up.watcher import Watcher
from edged.worker.worker import Worker

STATE_FOLDER = ".spin"  # where `spin up` keeps it too


class Project:
    """One app of those that `options` name.

    Args:
        path: its manifest, or the folder with it.
        worker: loads the app.
        show: told what happens.
    """

    def __init__(self, options: UpOptions, path: Path, worker: Worker, show: Show) -> None:
        self._options = options
        self._path = path
        self._worker = worker
        self._show = show
        self._scanner = Scanner()
        self._plan: WatchPlan | None = None
        self._tried = Scan()
        self._built: dict[str, tuple[Build, Stamps]] = {}
        self._is_first = True
        self._initial = options.initial
        self._is_complete = True
        self._warnings: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The app's folder."""
        return self._manifest_path().parent

    async def read(self) -> App:
        """The app as its manifest has it now; nothing is built or loaded.

        Raises:
            ManifestMissing, ManifestError, UsageError: see `edged.manifest.load` and `subset`.
        """
        return await trio.to_thread.run_sync(self._parse)

    async def load(self) -> app.LoadedApp:
        """Build what has changed, load everything.

        Raises:
            ManifestMissing, ManifestError, UsageError: see `edged.manifest.load` and `subset`.
            BuildFailed: a component whose sources changed since its last build. It is tried again next time.
            EdgedError: see `edged.app.load_app`.
        """
        path = await trio.to_thread.run_sync(self._manifest_path)
        # Before it is read, so that what is written meanwhile is a change.
        stamp = await trio.to_thread.run_sync(self._scanner.stamp, path)
        try:
            model = await self.read()
        except BaseException:
            self._tried = _with_input(self._tried, path, stamp)
            raise
        if model.warnings != self._warnings:
            self._warnings = model.warnings
            for warning in model.warnings:
                self._show(Warned(warning))
        self._show(Loading(model.name, str(model.manifest_path), tuple(model.components)))
        self._plan = WatchPlan.of(model)
        before = await self._scan()
        self._tried = _with_input(before, path, stamp)
        if await self._build(model, before.sources):
            # What the builds wrote is read by the load that follows; what they read may have changed meanwhile.
            after = await self._scan()
            self._tried = _with_input(replace(after, sources=before.sources), path, stamp)
        loaded = await self._worker.load(model, self._load_options(model))
        self._initial = InitialState()
        return loaded

    async def wait_changed(self, watcher: Watcher) -> Sequence[Path]:
        """Wait until `load` has something to do. Returns the files that changed since it last began.

        Raises:
            OSError: the system cannot watch that many folders.
        """
        while True:
            scan = await self._scan()
            if self._is_complete and not scan.complete:
                self._show(Warned("the app's folders hold more files than are watched; not every change is seen"))
            self._is_complete = scan.complete
            changes = self._tried.changes(scan)
            if changes:
                self._tried = scan
                return changes
            await watcher.wait(scan.folders)

    def _load_options(self, model: App) -> app.LoadOptions:
        options, show = self._options, self._show

        def own(folder: Path | None) -> Path | None:
            """The app's part of a folder that was named for all of them."""
            return folder if folder is None or len(options.paths) == 1 else folder / model.name

        return app.LoadOptions(
            sources=options.cache_folder / "sources",
            environment=options.environment,
            variables=options.variables,
            providers=options.variables_providers,
            runtime_config=options.runtime_config,
            networks_allowed=options.allow_networks,
            initial=self._initial,
            state_folder=own(options.state_folder) or self.folder / STATE_FOLDER,
            log_folder=own(options.log_folder),
            limits=options.limits,
            on_compile=lambda component, size: show(Compiling(component, size)),
            on_loaded=lambda loaded: show(
                Loaded(loaded.id, loaded.digest, loaded.compiled, loaded.seconds, loaded.refusals)
            ),
        )

    def _manifest_path(self) -> Path:
        path = self._path
        return Path(os.path.abspath(path / MANIFEST_NAME if path.is_dir() else path))

    def _parse(self) -> App:
        model = manifest.load(self._path, profile=self._options.profile)
        if self._options.components:
            model = manifest.subset(model, self._options.components)
        if not model.triggers:
            raise ManifestError(
                f"{model.manifest_path}: the app has no trigger, so there is nothing to serve",
                remedy="Add one, such as [[trigger.http]] with a route and a component.",
            )
        return model

    async def _scan(self) -> Scan:
        if self._plan is None:
            return self._tried
        return await trio.to_thread.run_sync(self._scanner.scan, self._plan)

    async def _build(self, model: App, sources: Mapping[str, Stamps]) -> bool:
        """Run the builds that are due. Without --build, what lies there at the start counts as built."""
        builds = [(id_, component.build) for id_, component in model.components.items() if component.build]
        if self._is_first and not self._options.build:
            self._built = {id_: (build, sources[id_]) for id_, build in builds}
        self._is_first = False
        due = [(id_, build) for id_, build in builds if self._built.get(id_) != (build, sources[id_])]
        for id_, build in due:
            self._built.pop(id_, None)  # a build that fails leaves nobody knows what
            await run_build(id_, build, self._show, output=self._options.build_output)
            self._built[id_] = (build, sources[id_])
        return bool(due)


def _with_input(scan: Scan, path: Path, stamp: str | None) -> Scan:
    inputs = {**scan.inputs, path: stamp} if stamp is not None else {p: s for p, s in scan.inputs.items() if p != path}
    return replace(scan, inputs=inputs)
