"""`edged bundle`, as one types it."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged import manifest
from edged.cli import main
from registry.keys import SigningKey
from tests.bundle.apps import SHOP, write
from tests.registry.oci.images import shop
from tests.services import Service, oci_registry


class Command:
    """`edged bundle ...` in this process: its exit status, stdout and stderr."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cache: Path) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.setenv("EDGED_CACHE_DIR", str(cache))

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["edged", "bundle", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    def json(self, *arguments: object) -> dict[str, object]:
        status, out, _ = self(*arguments, "--json")
        assert status == 0
        (line,) = out.splitlines()
        found: dict[str, object] = json.loads(line)
        return found


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    return Command(monkeypatch, capsys, tmp_path / "cache")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    text = SHOP.replace("[[trigger", '[application.tool.edged]\nregions = ["eu"]\n[[trigger', 1)
    return write(tmp_path / "apps", text)


def test_there_and_back(bundle: Command, app: Path, tmp_path: Path) -> None:
    file = tmp_path / "shop.bundle"
    status, out, err = bundle("export", app, "-o", file)
    assert (status, err) == (0, "")
    assert "shop 1.2.0" in out
    assert "unsigned" in out
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    status, out, _ = bundle("inspect", file)
    assert status == 0
    assert "front" in out
    exported = bundle.json("export", app, "-o", file)
    inspected = bundle.json("inspect", file)
    imported = bundle.json("import", file, "--cache-dir", tmp_path / "other")
    assert exported["release"] == inspected["release"] == imported["release"]
    assert exported["file"] == str(file)
    assert inspected["placement"] == {"hosts": [], "regions": ["eu"], "limits": {}, "probe": ""}
    assert [each["id"] for each in inspected["components"]] == ["cart", "front"]  # type: ignore[attr-defined]
    (name,) = os.listdir(tmp_path / "other" / "chunks" / "releases")
    assert f"sha256:{name}" == imported["release"]


def test_signed(bundle: Command, app: Path, tmp_path: Path) -> None:
    key = SigningKey.generate()
    key.save(tmp_path / "deploy.key")
    status, out, _ = bundle("export", app, "-o", tmp_path / "b", "--key", tmp_path / "deploy.key")
    assert status == 0
    assert key.public.id[:16] in out
    assert "unsigned" not in out
    assert bundle.json("inspect", tmp_path / "b")["signed_by"] == [key.public.id]


def test_a_profile(bundle: Command, app: Path, tmp_path: Path) -> None:
    usual = bundle.json("export", app, "-o", tmp_path / "a")
    debug = bundle.json("export", app, "-o", tmp_path / "b", "--profile", "debug")
    assert usual["release"] != debug["release"]
    assert bundle.json("inspect", tmp_path / "b")["profile"] == "debug"


def test_a_key_that_others_may_read(bundle: Command, app: Path, tmp_path: Path) -> None:
    SigningKey.generate().save(tmp_path / "deploy.key")
    (tmp_path / "deploy.key").chmod(0o644)
    status, _, err = bundle("export", app, "-o", tmp_path / "b", "--key", tmp_path / "deploy.key")
    assert status != 0
    assert "0644" in err
    assert not (tmp_path / "b").exists()


def test_an_export_that_fails_leaves_what_was_there(bundle: Command, app: Path, tmp_path: Path) -> None:
    file = tmp_path / "out" / "shop.bundle"
    file.parent.mkdir()
    file.write_text("before")
    (app / "front.wat").unlink()
    status, _, err = bundle("export", app, "-o", file)
    assert status == 66
    assert "front" in err
    assert [path.name for path in file.parent.iterdir()] == ["shop.bundle"]
    assert file.read_text() == "before"


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to a pipe"])
def test_what_is_no_file_is_not_replaced(bundle: Command, app: Path, tmp_path: Path, kind: str) -> None:
    there = tmp_path / "there"
    if kind == "folder":
        there.mkdir()
    else:
        os.mkfifo(tmp_path / "pipe")
        there.symlink_to("pipe") if kind.startswith("link") else (tmp_path / "pipe").rename(there)
    before = there.lstat()
    status, _, err = bundle("export", app, "-o", there)
    assert status == 74
    assert "not a file" in err
    assert (there.lstat().st_ino, there.lstat().st_mode) == (before.st_ino, before.st_mode)


@pytest.mark.parametrize("command", ["inspect", "import"])
@pytest.mark.parametrize("how", ["cut off", "changed", "longer", "no bundle", "missing"])
def test_a_file_that_is_refused(bundle: Command, app: Path, tmp_path: Path, command: str, how: str) -> None:
    file = tmp_path / "b"
    bundle("export", app, "-o", file)
    data = file.read_bytes()
    middle = len(data) // 2
    bad = {
        "cut off": data[:-1],
        "changed": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "longer": data + b"x",
        "no bundle": b"PK",
    }
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(bad[how])
    status, out, err = bundle(command, file, "--json")
    assert status in (65, 66)
    assert json.loads(out)["event"] == "error"
    assert "->" in err, "and what to do"
    assert not list((tmp_path / "cache").glob("chunks/releases/[0-9a-f]*"))


def test_from_a_layout(bundle: Command, tmp_path: Path) -> None:
    layout = shop().layout(tmp_path / "oci", other=shop(metadata={"name": "other"}))
    status, _, err = bundle("from-oci", layout, "--to", tmp_path / "app")
    assert status == 65
    assert "latest, other" in err
    found = bundle.json("from-oci", layout, "--to", tmp_path / "app", "--tag", "latest")
    assert (found["app"], found["components"], found["files"], found["unsupported"]) == ("shop", 2, 3, [])
    assert manifest.load(tmp_path / "app").name == "shop"
    status, _, err = bundle("from-oci", layout, "--to", tmp_path / "app", "--tag", "latest")
    assert status == 73
    assert "there already" in err


@pytest.fixture
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with oci_registry(tmp_path_factory.mktemp("registry"), protected=True) as service:
        yield service


def test_from_a_registry_with_a_password(bundle: Command, registry: Service, tmp_path: Path) -> None:
    shop().push(f"http://127.0.0.1:{registry.port}", "shop", "1", ("someone", "secret"))
    reference = f"127.0.0.1:{registry.port}/shop:1"
    (tmp_path / "password").write_text("secret\n")
    options = ("--plain-http", "--to", tmp_path / "app")
    status, _, err = bundle("from-oci", reference, *options)
    assert status == 77
    assert "--password-file" in err
    login = ("--username", "someone", "--password-file", tmp_path / "password")
    status, out, err = bundle("from-oci", reference, *options, *login)
    assert (status, err) == (0, "")
    assert shop().digest in out
    assert "secret" not in out


@pytest.mark.parametrize(
    "options",
    [
        ("--username", "someone"),
        ("--password-file", "x"),
        ("--username", "a", "--password-file", "/no/such"),
        ("--tag", "x"),
    ],
)
def test_options_that_cannot_mean_anything(bundle: Command, tmp_path: Path, options: tuple[str, ...]) -> None:
    assert bundle("from-oci", "localhost/a", "--to", tmp_path / "app", *options)[0] == 64


def test_a_reference_that_is_none(bundle: Command, tmp_path: Path) -> None:
    status, _, err = bundle("from-oci", "team/shop", "--to", tmp_path / "app")
    assert status == 64
    assert "host" in err
