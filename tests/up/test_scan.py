"""Two looks at an app's files, and what changed between them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edged import manifest
from edged.limits import WATCH_HASH_BYTES_MAX
from edged.up import scan as scan_module
from edged.up.scan import Scan, Scanner, WatchPlan
from tests.up.apps import MANIFEST

BUILT = (
    MANIFEST
    + """files = ["assets/**/*", { source = "data", destination = "/data" }]
[component.hello.build]
command = "make"
workdir = "code"
watch = ["**/*.rs"]
"""
)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    for name in ("app.wasm", "assets/css/a.css", "data/x/y.json", "code/src/lib.rs", "code/README"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "spin.toml").write_text(BUILT)
    return tmp_path


def plan_of(app: Path) -> WatchPlan:
    return WatchPlan.of(manifest.load(app))


def names(app: Path, paths: object) -> set[str]:
    assert isinstance(paths, (dict, list, frozenset))
    return {os.path.relpath(path, app) for path in paths}


def test_what_loading_reads_and_what_a_build_reads(app: Path) -> None:
    scan = Scanner().scan(plan_of(app))
    assert names(app, scan.inputs) == {"spin.toml", "app.wasm", "assets/css/a.css", "data/x/y.json"}
    assert list(scan.sources) == ["hello"]
    assert names(app, scan.sources["hello"]) == {"code/src/lib.rs"}
    assert names(app, scan.folders) == {".", "assets", "assets/css", "data", "data/x", "code", "code/src"}
    assert scan.complete


def test_a_build_without_watch_reads_its_folder_but_not_what_it_writes(app: Path) -> None:
    text = BUILT.replace('workdir = "code"\nwatch = ["**/*.rs"]\n', "")
    (app / "spin.toml").write_text(text)
    sources = names(app, Scanner().scan(plan_of(app)).sources["hello"])
    assert "code/README" in sources
    assert "spin.toml" in sources
    assert "app.wasm" not in sources


def test_nothing_changed(app: Path) -> None:
    scanner, plan = Scanner(), plan_of(app)
    assert scanner.scan(plan).changes(scanner.scan(plan)) == []


@pytest.mark.parametrize("name", ["spin.toml", "app.wasm", "assets/css/a.css", "code/src/lib.rs"])
def test_a_changed_file(app: Path, name: str) -> None:
    scanner, plan = Scanner(), plan_of(app)
    before = scanner.scan(plan)
    (app / name).write_text("other")
    assert before.changes(scanner.scan(plan)) == [app / name]


def test_a_file_that_nobody_reads(app: Path) -> None:
    scanner, plan = Scanner(), plan_of(app)
    before = scanner.scan(plan)
    (app / "code/README").write_text("other")
    assert before.changes(scanner.scan(plan)) == []


def test_a_touched_file_is_the_same(app: Path) -> None:
    scanner, plan = Scanner(), plan_of(app)
    before = scanner.scan(plan)
    os.utime(app / "app.wasm", (1, 1))
    assert before.changes(scanner.scan(plan)) == []


def test_added_and_removed_files(app: Path) -> None:
    scanner, plan = Scanner(), plan_of(app)
    before = scanner.scan(plan)
    (app / "code/src/new").mkdir()
    (app / "code/src/new/mod.rs").touch()
    (app / "assets/css/a.css").unlink()
    after = scanner.scan(plan)
    assert before.changes(after) == [app / "assets/css/a.css", app / "code/src/new/mod.rs"]
    assert app / "code/src/new" in after.folders


def test_a_source_that_is_not_there_yet_is_awaited_in_the_nearest_folder(app: Path) -> None:
    text = BUILT.replace('"app.wasm"', '"out/release/app.wasm"')
    (app / "spin.toml").write_text(text)
    scanner, plan = Scanner(), plan_of(app)
    before = scanner.scan(plan)
    assert names(app, before.inputs) == {"spin.toml", "assets/css/a.css", "data/x/y.json"}
    (app / "out").mkdir()
    assert app / "out" in scanner.scan(plan).folders
    (app / "out/release").mkdir()
    (app / "out/release/app.wasm").touch()
    assert before.changes(scanner.scan(plan)) == [app / "out/release/app.wasm"]


@pytest.mark.parametrize(("size", "changed"), [(WATCH_HASH_BYTES_MAX, False), (WATCH_HASH_BYTES_MAX + 1, True)])
def test_content_counts_up_to_a_size_and_the_time_beyond(app: Path, size: int, changed: bool) -> None:
    scanner, plan = Scanner(), plan_of(app)
    (app / "app.wasm").write_bytes(bytes(size))
    before = scanner.scan(plan)
    os.utime(app / "app.wasm", (1, 1))
    assert bool(before.changes(scanner.scan(plan))) == changed


def test_the_entry_limit(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(app)
    # assets/css, a.css; data/x, y.json; code/src, README, lib.rs
    monkeypatch.setattr(scan_module, "WATCH_ENTRY_COUNT_MAX", 7)
    assert Scanner().scan(plan).complete
    monkeypatch.setattr(scan_module, "WATCH_ENTRY_COUNT_MAX", 6)
    assert not Scanner().scan(plan).complete


def test_links_that_go_round(app: Path) -> None:
    (app / "code/src/up").symlink_to(app / "code")
    (app / "code/src/self").symlink_to(app / "code/src/self")
    scan = Scanner().scan(plan_of(app))
    assert app / "code/src/lib.rs" in scan.sources["hello"]
    assert scan.complete


def test_a_linked_folder_is_looked_into(app: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("shared")
    (elsewhere / "shared.rs").touch()
    (app / "code/shared").symlink_to(elsewhere)
    assert app / "code/shared/shared.rs" in Scanner().scan(plan_of(app)).sources["hello"]


def test_changes_of_components_that_came_or_went() -> None:
    path = Path("/a")
    assert Scan().changes(Scan(sources={"new": {path: "1"}})) == [path]
    assert Scan(sources={"old": {path: "1"}}).changes(Scan()) == [path]


def test_a_pipe_is_not_read(app: Path) -> None:
    os.mkfifo(app / "assets/pipe")
    assert app / "assets/pipe" not in Scanner().scan(plan_of(app)).inputs


def test_a_stamp_of_what_cannot_be_read(tmp_path: Path) -> None:
    assert Scanner().stamp(tmp_path / "absent") is None
    assert Scanner().stamp(Path("with\0nul")) is None
