"""Whether a version would do: real programs, of a few lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edged.errors import UpgradeUnusable
from edged.upgrade.trial import Trial

Make = Callable[[str], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def program(text: str) -> Path:
        path = tmp_path / "edged"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    return program


async def test_which_it_is(make: Make) -> None:
    assert await Trial().version_of(make("echo 'edged, version 0.1.0 (commit 0123456789ab)'")) == (
        "0.1.0 (commit 0123456789ab)"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("echo hello", "hello"),
        ("echo 'edged, version 1'; exit 3", "edged, version 1"),
        ("exit 3", "it ended with 3"),
        ("kill -9 $$", "it ended with -9"),
        ("echo 'edged, version 1'; echo more", "more"),
        ("echo 'edged, version '", "which it is"),
        (f"echo 'edged, version {'1' * 300}'", "which it is"),
    ],
)
async def test_what_is_no_edged(make: Make, text: str, message: str) -> None:
    with pytest.raises(UpgradeUnusable, match=message):
        await Trial().version_of(make(text))


async def test_what_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "edged").write_bytes(b"\x7fELF")
    (tmp_path / "edged").chmod(0o755)
    with pytest.raises(UpgradeUnusable, match="format"):
        await Trial().version_of(tmp_path / "edged")


async def test_its_config(make: Make, tmp_path: Path) -> None:
    said = tmp_path / "said"
    await Trial().check_config(make(f'echo "$*" > {said}'), tmp_path / "node.toml")
    assert said.read_text() == f"check --config {tmp_path / 'node.toml'}\n"
    with pytest.raises(UpgradeUnusable, match=r"would not start with .*: node.toml:3: no; it is wrong"):
        await Trial().check_config(make("echo node.toml:3: no >&2; echo it is wrong; exit 78"), tmp_path / "node.toml")


async def test_it_is_not_told_which_file_we_are(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGED_FILE", "/somewhere/else")
    assert await Trial().version_of(make('echo "edged, version 1$EDGED_FILE"')) == "1"
