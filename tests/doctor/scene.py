"""A machine in a folder, as `edged doctor` finds it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edged.doctor.finding import Finding
from edged.doctor.machine_file import MachineFile
from edged.doctor.subject import NODE_UNIT, Subject
from edged.fleet.certificate import make_identity, save_identity
from edged.fleet.roster import Node, Region, Roster
from edged.fleet.voucher import Seed, Voucher, token_of
from edged.node.config import NodeConfig
from edged.node.config_file import load
from provisioning import paths
from registry.keys import SigningKey

NOW = 1_800_000_000.0
DIGEST = "ab" * 32
KEY = SigningKey.generate()
MACHINE = MachineFile("demo", "n1", "eu", "static", DIGEST)
LOADED = {"Id": NODE_UNIT, "LoadState": "loaded", "UnitFileState": "enabled", "NRestarts": "0"}


class Scene:
    """Files below a folder, which is the root of the machine's file system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config_file = self.path(paths.CONFIG)
        self.config_file.parent.mkdir(parents=True)
        self.state = self.path(paths.STATE)
        self.state.mkdir(parents=True, mode=0o700)
        self.node_toml()

    def path(self, path: Any) -> Path:
        return self.root / str(path).removeprefix("/")

    def write(self, path: Any, content: str | bytes, mode: int = 0o644) -> Path:
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)
        return file

    def node_toml(self, more: str = "", *, fleet: str = 'voucher = "voucher"') -> NodeConfig:
        self.config_file.write_text(
            f'[node]\nname = "n1"\nregion = "eu"\nstate_dir = "{self.state}"\n[fleet]\n{fleet}\n'
            f'[http]\nlisten = ["127.0.0.1:8080"]\n{more}'
        )
        return load(self.config_file)

    @property
    def config(self) -> NodeConfig:
        return load(self.config_file)

    def identity(self, *, now: float = NOW, days: int = 365) -> bytes:
        identity = make_identity("n1", now=now, days=days)
        (self.state / "identity").mkdir(exist_ok=True)
        save_identity(identity, self.config.node.key, self.config.node.certificate)
        return identity.certificate

    def voucher(self, *, expires: float = NOW + 600, node: str = "n1") -> Path:
        seed = Seed("192.0.2.1:7400", make_identity("n0", now=NOW).certificate)
        voucher = Voucher("demo", "0" * 32, node, "eu", "192.0.2.2:7400", int(expires), (KEY.public.raw,), (seed,))
        return self.write(paths.VOUCHER, token_of(voucher.seal(KEY)))

    def roster(self, certificate: bytes) -> Path:
        node = Node("n1", "eu", "192.0.2.2:7400", certificate)
        roster = Roster("demo", 1, 1, "", "demo.localhost", (Region("eu"),), (node,), (), (KEY.public.raw,), 1)
        return self.write(paths.ROSTER, roster.seal([KEY]))

    def machine_json(self, of: Iterable[Path] = (), **changes: Any) -> Path:
        """As provisioning writes it; files as they are now, in mode, owner and content."""
        written = {
            f"/{file.relative_to(self.root)}": {
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                "mode": f"{file.stat().st_mode & 0o7777:04o}",
                "owner": f"{file.owner()}:{file.group()}",
            }
            for file in of
        }
        shape = {
            "v": 1,
            "fleet": "demo",
            "machine": "n1",
            "region": "eu",
            "provider": "static",
            "binary": {"sha256": DIGEST, "urls": [], "path": None},
            "files": written,
        }
        return self.write(paths.MACHINE, json.dumps(shape | changes))

    def subject(self, **known: Any) -> Subject:
        """Of a provisioned machine."""
        whole: dict[str, Any] = {"machine": MACHINE, "config": self.config} | known
        return Subject(self.root, NOW, self.config_file, **whole)


def said(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """State and message of each."""
    return [(finding.state, finding.message) for finding in findings]


def one(findings: Iterable[Finding]) -> Finding:
    """The only one."""
    (finding,) = findings
    return finding
