"""What is mounted, on real folders."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edged.errors import ManifestError, SourceMissing
from edged.manifest import App, load, mount
from edged.manifest import files as files_module

HEAD = '[component.c]\nsource = "c.wasm"\n'
TREE = ["a.txt", "static/index.html", "static/.hidden", "static/js/app.js", "static/js/lib/x.js", "secret/key.pem"]


@pytest.fixture
def mounted(app_of: Callable[..., App], tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """mounted(fields): guest path -> path relative to the app's folder."""
    for name in TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)

    def mounted(fields: str) -> dict[str, str]:
        app = app_of(HEAD + fields)
        found = mount(app, app.components["c"])
        assert list(found) == sorted(found)
        return {guest: str(host.relative_to(tmp_path)) for guest, host in found.items()}

    return mounted


Mounted = Callable[[str], dict[str, str]]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", []),
        ("files = []", []),
        ('files = ["a.txt"]', ["a.txt"]),
        ('files = ["./a.txt"]', ["a.txt"]),
        ('files = ["static/*"]', ["static/.hidden", "static/index.html"]),
        ('files = ["static/**/*.js"]', ["static/js/app.js", "static/js/lib/x.js"]),
        ('files = ["**/app.js", "**/**/*.pem"]', ["secret/key.pem", "static/js/app.js"]),
        ('files = ["static"]', [name for name in TREE if name.startswith("static/")]),
        ('files = ["st?tic/*.html", "[a-b].txt"]', ["a.txt", "static/index.html"]),
        ('files = ["*/js/*"]', ["static/js/app.js"]),
        ('files = ["static/**"]', []),
        ('files = ["nothing/*"]', []),
        ('files = ["*.none"]', []),
        ('files = ["static/**/*"]\nexclude_files = ["static/js/*"]', ["static/.hidden", "static/index.html"]),
        (
            'files = ["static/**/*", "a.txt"]\nexclude_files = ["**/*.js", "a.txt"]',
            ["static/.hidden", "static/index.html"],
        ),
    ],
)
def test_patterns_keep_their_paths(mounted: Mounted, fields: str, expected: list[str]) -> None:
    assert mounted(fields) == {f"/{name}": name for name in expected}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            '{ source = "static/js", destination = "/" }',
            {"/app.js": "static/js/app.js", "/lib/x.js": "static/js/lib/x.js"},
        ),
        (
            '{ source = "./static/js/", destination = "code/" }',
            {"/code/app.js": "static/js/app.js", "/code/lib/x.js": "static/js/lib/x.js"},
        ),
        ('{ source = "a.txt", destination = "/b/c.txt" }', {"/b/c.txt": "a.txt"}),
    ],
)
def test_placements(mounted: Mounted, entry: str, expected: dict[str, str]) -> None:
    assert mounted(f"files = [{entry}]") == expected


def test_whole_folder_of_the_app(mounted: Mounted) -> None:
    found = mounted('files = [{ source = ".", destination = "/app" }]\nexclude_files = ["spin.toml"]')
    assert found == {f"/app/{name}": name for name in TREE}


def test_placement_is_excluded_by_its_source(mounted: Mounted) -> None:
    fields = 'files = [{ source = "secret", destination = "/s" }, { source = "a.txt", destination = "/a" }]\n'
    assert mounted(fields + 'exclude_files = ["secret/*", "a.txt"]') == {}


def test_later_entry_wins(mounted: Mounted) -> None:
    assert mounted('files = ["a.txt", { source = "secret/key.pem", destination = "/a.txt" }]') == {
        "/a.txt": "secret/key.pem"
    }


def test_a_name_that_looks_like_a_pattern(mounted: Mounted, tmp_path: Path) -> None:
    (tmp_path / "[a].txt").write_text("literal")
    assert mounted('files = ["[a].txt"]') == {"/[a].txt": "[a].txt"}
    (tmp_path / "[a].txt").unlink()
    assert mounted('files = ["[a].txt"]') == {"/a.txt": "a.txt"}


@pytest.mark.parametrize("entry", ['"none.txt"', '"no/folder"', '{ source = "none", destination = "/" }'])
def test_missing(mounted: Mounted, entry: str) -> None:
    with pytest.raises(SourceMissing, match=r"^/.*/spin\.toml:4: component `c` mounts `no"):
        mounted(f"files = [{entry}]")


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ('{ source = "a.txt", destination = "/" }', "a folder's name"),
        ('{ source = "a.txt", destination = "/b/" }', "a folder's name"),
        ('{ source = "a.txt", destination = "/x" }, { source = "static", destination = "/x" }', "both as a file"),
    ],
)
def test_destinations_that_cannot_be(mounted: Mounted, entries: str, reason: str) -> None:
    with pytest.raises(ManifestError, match=reason):
        mounted(f"files = [{entries}]")


def test_links_inside_are_followed(mounted: Mounted, tmp_path: Path) -> None:
    (tmp_path / "link.txt").symlink_to("a.txt")
    (tmp_path / "folder").symlink_to("static/js")
    (tmp_path / "broken.txt").symlink_to("nowhere")
    assert mounted('files = ["*.txt", "folder/*"]') == {
        "/a.txt": "a.txt",
        "/link.txt": "a.txt",
        "/folder/app.js": "static/js/app.js",
    }


def test_loop_of_links_ends(mounted: Mounted, tmp_path: Path) -> None:
    (tmp_path / "static/js/up").symlink_to("..")
    (tmp_path / "static/js/lib/here").symlink_to(".")
    assert mounted('files = ["static/**/*.js"]') == {
        "/static/js/app.js": "static/js/app.js",
        "/static/js/lib/x.js": "static/js/lib/x.js",
    }


@pytest.mark.parametrize(
    "entry", ['"out.txt"', '"*.txt"', '"out/*"', '"**/*"', '"out"', '{ source = "out", destination = "/" }']
)
def test_links_that_lead_out_are_refused(
    mounted: Mounted, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, entry: str
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "x.txt").write_text("not yours")
    (tmp_path / "out.txt").symlink_to(outside / "x.txt")
    (tmp_path / "out").symlink_to(outside)
    with pytest.raises(ManifestError, match="leads out of the app's folder"):
        mounted(f"files = [{entry}]")


def test_a_folder_whose_name_begins_as_the_apps_is_outside(mounted: Mounted, tmp_path: Path) -> None:
    sibling = tmp_path.parent / f"{tmp_path.name}-2"
    sibling.mkdir()
    (sibling / "x").write_text("x")
    (tmp_path / "x").symlink_to(sibling / "x")
    with pytest.raises(ManifestError, match="leads out"):
        mounted('files = ["x"]')


def test_an_excluded_link_does_no_harm(mounted: Mounted, tmp_path: Path) -> None:
    (tmp_path / "out.txt").symlink_to("/etc/passwd")
    assert mounted('files = ["*.txt"]\nexclude_files = ["out.txt"]') == {"/a.txt": "a.txt"}


def test_only_regular_files(mounted: Mounted, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    assert mounted('files = ["*.txt"]') == {"/a.txt": "a.txt"}
    with pytest.raises(SourceMissing):
        mounted('files = ["pipe.txt"]')


def test_name_that_is_not_unicode(mounted: Mounted, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.txt")).write_text("x")
    with pytest.raises(ManifestError, match="not UTF-8"):
        mounted('files = ["*.txt"]')


def test_app_in_a_linked_folder(app_of: Callable[..., App], mounted: Mounted, tmp_path: Path) -> None:
    mounted('files = ["a.txt"]')
    (tmp_path / "again").symlink_to(tmp_path)
    app = load(tmp_path / "again")
    assert list(mount(app, app.components["c"]).values()) == [tmp_path / "a.txt"]


def test_file_count_at_the_limit_and_over(mounted: Mounted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "MOUNT_FILE_COUNT_MAX", 4)
    assert len(mounted('files = ["static/**/*"]')) == 4
    with pytest.raises(ManifestError, match="more than 4 files"):
        mounted('files = ["static/**/*", "a.txt"]')


def test_entry_count_at_the_limit_and_over(mounted: Mounted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "MOUNT_ENTRY_COUNT_MAX", 4)
    assert len(mounted('files = ["static/*"]')) == 2  # and two folders
    with pytest.raises(ManifestError, match="more than 4 files and folders"):
        mounted('files = ["static/*", "*.txt"]')


def test_unreadable_folder(mounted: Mounted, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> object:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(files_module.os, "scandir", refuse)
    with pytest.raises(SourceMissing, match="Permission denied"):
        mounted('files = ["*"]')
