"""The commands about a fleet, run against one in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edged import cli
from edged.fleet.certificate import save_identity
from edged.publish import fleet as fleet_module
from edged.publish.context import Context, ContextStore, default_config_folder
from tests.publish.fakes import FakeFleet


class Commands:
    """A user who is logged in to a fleet.

    Attributes:
        folder: of the user: config, cache, keys.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.fleet = FakeFleet(folder)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        monkeypatch.setattr(fleet_module, "connector", lambda signer: self.fleet.connect_as(signer.identity))
        self.key = folder / "ada.key"
        save_identity(self.fleet.ada, self.key, folder / "ada.crt")
        self.store = ContextStore(default_config_folder())
        roots = (self.fleet.root.public.raw.hex(),)
        context = Context("demo", self.fleet.addresses, self.key, folder / "ada.crt", roots, self.fleet.roster_envelope)
        self.store.save(context, current=True)

    def run(self, *arguments: str, input: str | None = None) -> Result:
        """A command. Raises what it ends with."""
        return CliRunner().invoke(cli._edged, arguments, input=input, catch_exceptions=False, standalone_mode=False)

    def json(self, *arguments: str) -> list[Any]:
        """The lines that it prints with --json."""
        return [json.loads(line) for line in self.run(*arguments, "--json").stdout.splitlines()]

    def app(self, text: str = "one", **manifest: str) -> Path:
        """A folder with an app that can be pushed."""
        folder = self.folder / "app"
        folder.mkdir(exist_ok=True)
        (folder / "app.wasm").write_bytes(b"\0asm\x0d\0\1\0" + text.encode())
        (folder / "spin.toml").write_text(
            'spin_manifest_version = 2\n[application]\nname = "shop"\nversion = "1.0"\n'
            + manifest.get("edged", "")
            + '[variables]\ntoken = { default = "" }\n'
            '[[trigger.http]]\nroute = "/..."\ncomponent = "shop"\n[component.shop]\nsource = "app.wasm"\n'
        )
        return folder
