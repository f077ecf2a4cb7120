"""The files of cloud-init/ and their places."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from provisioning import templates
from provisioning.errors import TemplateInvalid
from provisioning.files import TEMPLATES
from provisioning.limits import TEMPLATE_BYTES_MAX
from provisioning.places import places_of
from provisioning.templates import bare, fill, places, read
from tests.provisioning.inventories import machine

FOLDER = Path(__file__).parents[2] / "cloud-init"
SCRIPTS = [name for name, (_, mode) in TEMPLATES.items() if mode == "0755"]


def test_every_file_goes_to_a_machine() -> None:
    assert {path.name for path in FOLDER.iterdir()} - {"README.md"} == set(TEMPLATES)


def test_every_place_is_filled_and_every_value_has_a_place() -> None:
    wanted = frozenset().union(*(places(read(name)) for name in TEMPLATES))
    assert wanted == places_of(machine("ams-1"), {}).keys()


@pytest.mark.parametrize("name", TEMPLATES)
def test_yaml_can_show_it_as_it_is(name: str) -> None:
    lines = bare(read(name)).splitlines()
    assert lines
    assert [line for line in lines if not line.isprintable() or line != line.rstrip()] == []


def test_fill() -> None:
    assert fill("x", "a @ONE@ b@TWO_2@@ONE@ @three@ me@example.com", {"ONE": "@TWO_2@", "TWO_2": "\\1"}) == (
        "a @TWO_2@ b\\1@TWO_2@ @three@ me@example.com"
    )
    with pytest.raises(TemplateInvalid, match="the template x has the place @TWO@, which nothing fills"):
        fill("x", "@ONE@ @TWO@", {"ONE": ""})


def test_bare() -> None:
    assert bare("#!/bin/sh\n# a\n\n  # b\nc # d\n\t\ne\n") == "#!/bin/sh\nc # d\ne\n"
    assert bare("# a\n#!/bin/sh\nb") == "b"


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_bare_script_is_one(name: str) -> None:
    subprocess.run(["sh", "-n"], input=bare(read(name)).encode(), check=True)


@pytest.mark.parametrize("arguments", [[], ["doctor", "--json"]])
def test_a_bare_script_says_the_same(arguments: list[str], tmp_path: Path) -> None:
    said = []
    for text in (read("not-here"), bare(read("not-here"))):
        (tmp_path / "script").write_text(text)
        command = ["sh", str(tmp_path / "script"), *arguments]
        ended = subprocess.run(command, env={"EDGED_ROOT": str(tmp_path)}, capture_output=True, check=False)
        said.append((ended.returncode, ended.stdout, ended.stderr))
    assert said[0] == said[1]
    assert said[0][0] == 69


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "_FOLDERS", (tmp_path / "none", tmp_path))
    (tmp_path / "full").write_bytes(b"x" * TEMPLATE_BYTES_MAX)
    (tmp_path / "over").write_bytes(b"x" * (TEMPLATE_BYTES_MAX + 1))
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "folder").mkdir()
    assert len(read.__wrapped__("full")) == TEMPLATE_BYTES_MAX
    for name, message in [
        ("over", "more than"),
        ("binary", "not UTF-8"),
        ("folder", "cannot be read"),
        ("nothing", "there is no template nothing"),
    ]:
        with pytest.raises(TemplateInvalid, match=message):
            read.__wrapped__(name)
