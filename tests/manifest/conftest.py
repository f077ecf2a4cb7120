"""Ways to load a manifest that is written in the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edged.errors import ManifestError
from edged.manifest import App, load

V2 = 'spin_manifest_version = 2\n[application]\nname = "app"\n'
V1 = 'spin_manifest_version = "1"\nname = "app"\ntrigger = { type = "http" }\n'


@pytest.fixture
def app_of(tmp_path: Path) -> Callable[..., App]:
    """app_of(text, head=V2): the app of this manifest in an empty folder. Lines are counted from the text's first."""

    def make(text: str, *, head: str = V2, profile: str | None = None) -> App:
        (tmp_path / "spin.toml").write_text(head + text, encoding="utf-8")
        return load(tmp_path, profile=profile)

    return make


@pytest.fixture
def problems_of(app_of: Callable[..., App], tmp_path: Path) -> Callable[..., list[str]]:
    """problems_of(text, head=V2): its problems as `LINE: ...`, lines counted from the text's first."""

    def problems(text: str, *, head: str = V2) -> list[str]:
        with pytest.raises(ManifestError) as caught:
            app_of(text, head=head)
        prefix = f"{tmp_path / 'spin.toml'}:"
        found = []
        for message in caught.value.message.splitlines():
            assert message.startswith(prefix)
            line, rest = message.removeprefix(prefix).split(":", 1)
            found.append(f"{int(line) - head.count(chr(10))}:{rest}")
        return found

    return problems


@pytest.fixture
def v1() -> str:
    """The head of a v1 manifest."""
    return V1
