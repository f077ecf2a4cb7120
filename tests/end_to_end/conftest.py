from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import GuestPath
from tests.end_to_end.server import Server, edged_up
from tests.fleets import Fleet, fleet_on_loopback

# Compiling the SDKs' guests takes half a minute, so their artefacts are kept beside the guests.
CACHE = Path(__file__).parents[2] / ".cache" / "edged"

Serve = Callable[[str], Server]


@pytest.fixture(scope="session")
def serve(guest_path: GuestPath, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """`serve("hello-js")`: an app of one guest, started when it is first asked for and kept for all tests."""
    servers: dict[str, Server] = {}
    with contextlib.ExitStack() as stack:

        def start(guest: str) -> Server:
            if guest not in servers:
                folder = tmp_path_factory.mktemp(guest)
                shutil.copy(guest_path(guest), folder / "guest.wasm")
                (folder / "assets").mkdir()
                (folder / "assets" / "note.txt").write_text("a note\n")
                (folder / "spin.toml").write_text(manifest(guest))
                options = ("--cache-dir", str(CACHE), "--limit", "cpu_s_max=120")
                servers[guest] = stack.enter_context(edged_up(folder, *options))
            return servers[guest]

        yield start


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three regions with a node in each. Tests push apps of their own, and leave all nodes up."""
    regions = {"eu-1": "eu", "us-1": "us", "ap-1": "ap"}
    with fleet_on_loopback(tmp_path_factory.mktemp("fleet"), regions, workers=2) as fleet:
        yield fleet


def manifest(name: str) -> str:
    return f"""
spin_manifest_version = 2
[application]
name = "{name}"
version = "1.0.0"
[[trigger.http]]
route = "/..."
component = "guest"
[[trigger.http]]
route = "/hello/:name"
component = "guest"
[component.guest]
source = "guest.wasm"
environment = {{ GREETING = "good day" }}
files = [{{ source = "assets", destination = "/assets" }}]
"""
