"""A fleet on this machine, to try things with: three regions, a node in each, all of it on loopback.

    FOLDER/fleet/              what `edged fleet init` makes
    FOLDER/eu-1/node.toml      and so for us-1 and ap-1; made once, then yours to edit
    FOLDER/eu-1/state/         identity, records, apps
    FOLDER/eu-1/node.log       what the node said, of all its runs

Whatever of it is missing is made; what is there stays, so the fleet has after a restart what it had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from edged.errors import FleetFileError, FleetFileExists
from edged.fleet.certificate import make_identity, save_identity
from edged.fleet.files import write_file
from edged.fleet.folder import FleetFolder
from edged.fleet.roster import Node, Roster

FLEET = "demo"
DOMAIN = "edged.localhost"
"""RFC 6761, section 6.3: names below localhost are loopback, for browsers and curl without any name server."""
REGIONS = ("eu", "us", "ap")
HTTP_PORT, FLEET_PORT = 8081, 7401
"""Of the first node; the others have those that follow."""


@dataclass(frozen=True, slots=True)
class DemoNode:
    """One node of the demo.

    Attributes:
        folder: of its node.toml.
        url: where its apps answer.
    """

    name: str
    region: str
    folder: Path
    url: str

    @property
    def config(self) -> Path:
        return self.folder / "node.toml"

    @property
    def log(self) -> Path:
        return self.folder / "node.log"


def make(folder: Path, *, now: float, http_port: int = HTTP_PORT, fleet_port: int = FLEET_PORT) -> tuple[DemoNode, ...]:
    """Make what is missing of a demo fleet. Blocks.

    Args:
        now: unix time, s.
        http_port, fleet_port: of the first node, where the fleet is new.

    Raises:
        FleetFileExists: the folder has a fleet that is no demo, or one with other ports.
        FleetFileError, EdgedError: a file cannot be read or written, or is damaged.
    """
    fleet = fleet_folder(folder)
    if not fleet.toml.exists():
        FleetFolder.make(fleet.path, FLEET, DOMAIN, REGIONS, now=now)
    held = {node.name: node for node in fleet.draft().roster.nodes}
    for number, region in enumerate(REGIONS):
        wanted = _Wanted(folder, region, http_port + number, fleet_port + number)
        if wanted.name not in held:
            wanted.make(fleet, now)
        elif (held[wanted.name].address, held[wanted.name].url) != (wanted.address, wanted.url):
            raise FleetFileExists(
                f"the fleet in {folder} was made with {held[wanted.name].url} and {held[wanted.name].address}",
                remedy="Give the ports that it was made with, name another folder, or remove this one.",
            )
    draft = fleet.draft()
    if draft.changes:
        fleet.sign(draft, fleet.root_keys([], None))
    return tuple(_demo_nodes(folder, draft.roster))


def fleet_folder(folder: Path) -> FleetFolder:
    """Where the demo in a folder keeps its fleet."""
    return FleetFolder(folder / "fleet")


def _demo_nodes(folder: Path, roster: Roster) -> Iterator[DemoNode]:
    for node in roster.nodes:
        found = DemoNode(node.name, node.region, folder.absolute() / node.name, node.url)
        if not found.config.exists():
            write_file(found.config, _node_toml(node).encode(), mode=0o644)
        yield found


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A node that there should be."""

    parent: Path
    region: str
    http_port: int
    fleet_port: int

    @property
    def name(self) -> str:
        return f"{self.region}-1"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.fleet_port}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def make(self, fleet: FleetFolder, now: float) -> None:
        folder = self.parent / self.name / "state" / "identity"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise FleetFileError(f"{folder} cannot be made: {error.strerror}") from error
        certificate = folder / "node.crt"
        if not certificate.exists():
            save_identity(make_identity(self.name, now=now), folder / "node.key", certificate)
        fleet.add_node(self.name, self.region, self.address, certificate, self.url)


def _node_toml(node: Node) -> str:
    return f"""\
# A node of the demo fleet. docs/node.md has every key.

[node]
name = "{node.name}"
region = "{node.region}"
state_dir = "state"
workers = 1

[fleet]
listen = "{node.address}"
roster = "../fleet/roster.bin"

[http]
listen = ["{urlsplit(node.url).netloc}"]
"""


def last_lines(log: Path, count: int = 3) -> Sequence[str]:
    """What a node said last. Blocks."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            return file.read(4096).decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return ()
