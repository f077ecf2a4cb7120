"""From a path to an app or an error."""

import re
from pathlib import Path

import pytest

from edged.errors import ManifestError, ManifestMissing
from edged.limits import MANIFEST_BYTES_MAX
from edged.manifest import load, parse

LEAST = b'spin_manifest_version = 2\n[application]\nname = "app"\n'
FILE = Path("some/spin.toml")


def test_folder_or_file(tmp_path: Path) -> None:
    (tmp_path / "spin.toml").write_bytes(LEAST)
    (tmp_path / "other.toml").write_bytes(LEAST.replace(b'"app"', b'"other"'))
    assert load(tmp_path).name == "app"
    assert load(tmp_path / "spin.toml") == load(tmp_path)
    assert load(tmp_path / "other.toml").name == "other"


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spin.toml").write_bytes(LEAST)
    monkeypatch.chdir(tmp_path)
    app = load(Path())
    assert app.manifest_path == tmp_path / "spin.toml"
    assert app.folder == tmp_path


def test_error_names_the_path_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spin.toml").write_bytes(LEAST + b"x = 1")
    monkeypatch.chdir(tmp_path.parent)
    with pytest.raises(ManifestError, match=rf"^{re.escape(tmp_path.name)}/spin\.toml:4: unknown field"):
        load(Path(tmp_path.name))


@pytest.mark.parametrize("path", ["", "none.toml", "none/spin.toml", "nul\0"])
def test_missing(tmp_path: Path, path: str) -> None:
    with pytest.raises(ManifestMissing, match=r"cannot be read"):
        load(tmp_path / path)


def test_parse_touches_no_file() -> None:
    app = parse(LEAST, FILE)
    assert app.manifest_path == FILE.absolute()


def test_byte_order_mark_and_crlf() -> None:
    assert parse(b"\xef\xbb\xbf" + LEAST.replace(b"\n", b"\r\n"), FILE).name == "app"


def test_size_at_the_limit() -> None:
    assert parse(LEAST + b"#" * (MANIFEST_BYTES_MAX - len(LEAST)), FILE).name == "app"


def test_size_over_the_limit(tmp_path: Path) -> None:
    (tmp_path / "spin.toml").write_bytes(LEAST + b"#" * (MANIFEST_BYTES_MAX - len(LEAST) + 1))
    with pytest.raises(ManifestError, match=r"spin\.toml:1: the manifest is larger than"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff", "some/spin.toml:1: not UTF-8"),
        (b"a = 1\n\n# \xc3\n", "some/spin.toml:3: not UTF-8"),
        (b"a = ", "some/spin.toml:1: not valid TOML: "),
        (b"spin_manifest_version = 2\n[application\n", "some/spin.toml:2: not valid TOML: "),
        (b"", 'some/spin.toml:1: the manifest needs `spin_manifest_version`: 2, or "1" in quotes'),
        (b"\nspin_manifest_version = 1", "some/spin.toml:2: `spin_manifest_version` must be 2, or"),
        (b'spin_manifest_version = "2"', "some/spin.toml:1: `spin_manifest_version` must be 2, or"),
        (b"spin_manifest_version = 3", "some/spin.toml:1: `spin_manifest_version` must be 2, or"),
        (b"spin_manifest_version = true", "some/spin.toml:1: `spin_manifest_version` must be 2, or"),
        (b"spin_manifest_version = [2]", "some/spin.toml:1: `spin_manifest_version` must be 2, or"),
        (b"spin_manifest_version = 2.0", "some/spin.toml:1: `spin_manifest_version` must be an integer, not a float"),
        (b"spin_version = 2", "some/spin.toml:1: `spin_version` must be 2, or"),
        (b'spin_manifest_version = "1"\nspin_version = "1"', "some/spin.toml:2: `spin_version` must be 2, or"),
    ],
)
def test_not_a_manifest(data: bytes, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(data, FILE)
    assert caught.value.message.startswith(message)
    assert caught.value.code == "manifest.invalid"
    assert caught.value.__cause__ is None
