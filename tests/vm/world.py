"""What is there before the machine has power: a fleet of real commands, one node of it up, an app pushed to a region in
which nothing stands yet, and a server that has the one file.

    with standing(folder, binary) as world:
        machine.power_on(world.seed())
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests import fleets
from tests.edged_command import edged_command
from tests.guests import wat
from tests.lab.anycast import wait
from tests.vm.network import (
    ASN,
    CLIENT,
    HOME,
    MACHINE_ADDRESSES,
    NETWORKS,
    NIC,
    PREFIXES,
    ROUTER_ADDRESSES,
    ROUTER_ASN,
    Network,
)
from tests.vm.seed import voucher_in, write_seed

MACHINE, REGION = "ams-1", "eu"
APP = "hello"
HOST = f"{APP}.{fleets.DOMAIN}"
BODY = "hello"
HTTP_PORT = 80
Source = Literal["peer", "server"]
"""Of the one file: the fleet's other node, or a server of files, whose file can be another one."""

_PORTS: Mapping[Source, int] = {"peer": 7402, "server": 7480}


@dataclass
class World:
    """Attributes:
    sha256: of the one file that the machine is to run.
    files: folder of the server of files; `served` is the one file in it.
    """

    folder: Path
    net: Network
    fleet: fleets.Fleet
    binary: Path
    sha256: str
    files: Path
    _server: subprocess.Popen[bytes]
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))

    @property
    def served(self) -> Path:
        return self.files / "edged" / self.sha256

    def serve(self, content: Path | bytes) -> None:
        """What the server of files gives for the one file from now on."""
        new = self.served.with_name("new")
        if isinstance(content, bytes):
            new.write_bytes(content)
        else:
            shutil.copyfile(content, new)
        new.rename(self.served)

    def seed(self, *options: str) -> tuple[Path, str]:
        """A disk with what `edged provision render` says, and a voucher of its own; that voucher.

        Args:
            options: of the command.
        """
        folder = self.folder / f"seed-{next(self._numbers)}"
        self.fleet.run("provision", "render", "-C", self.fleet.operator, "--all", folder, *options)
        disk = folder.with_suffix(".iso")
        write_seed(folder / MACHINE, disk)
        return disk, voucher_in((folder / MACHINE / "user-data").read_text())

    def steal(self, voucher: str) -> None:
        """Somebody else, who stands at the client, joins as the machine, and goes."""
        folder = self.folder / "thief"
        folder.mkdir()
        (folder / "voucher").write_text(voucher + "\n")
        place = self.net.address(CLIENT)
        (folder / "node.toml").write_text(
            f'[node]\nname = "{MACHINE}"\nregion = "{REGION}"\nstate_dir = "state"\nworkers = 1\n'
            f'[fleet]\nlisten = "{place}:{fleets.FLEET_PORT}"\nvoucher = "voucher"\n'
            f'[http]\nlisten = ["{place}:{fleets.HTTP_PORT}"]\n'
        )
        log = folder / "log"
        config = str(folder / "node.toml")
        self.net.run(CLIENT, edged_command("node", "--config", config, "init"))
        thief = self.net.start(CLIENT, edged_command("node", "--config", config), log=log)
        try:
            wait(lambda: "node.joined" in log.read_text(), fleets.WAIT_S, f"the thief did not join, see {log}")
        finally:
            self.net.end(thief)

    def voucher(self, *options: str) -> str:
        """A new one for the machine."""
        where = ["--region", REGION, "--address", f"{MACHINE_ADDRESSES[0]}:{fleets.FLEET_PORT}"]
        made = self.fleet.run("fleet", "voucher", MACHINE, *where, "-C", self.fleet.operator, "--json", *options)
        return str(made.last["token"])

    def leave_alone(self) -> None:
        """Nobody helps the machine any more: neither the fleet's other node nor the server of files."""
        self.fleet[HOME].stop()
        self.net.end(self._server)


@contextlib.contextmanager
def standing(folder: Path, binary: Path, source: Source, hold_s: int) -> Iterator[World]:
    """All of it; ended with the block.

    Args:
        source: who gives the machine the one file.
        hold_s: of the machine's session with the router.
    """
    folder.mkdir(parents=True)
    with binary.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    with Network(folder) as net:
        home = net.address(HOME)
        install = '[install]\nlisten = "{}:{}"\n'.format(home, _PORTS["peer"])
        with fleets.made(
            folder / "fleet",
            fleets.InLab(net),
            {HOME: "home"},
            config=install,
            prefixes=[str(prefix) for prefix in PREFIXES],
            publisher="client",
        ) as fleet:
            url = f"http://{home}:{_PORTS[source]}/edged/{{sha256}}"
            _describe(fleet, sha256, url, hold_s)
            fleet.run("fleet", "sign", "-C", fleet.operator, "--yes")
            fleet.run("fleet", "publish", "-C", fleet.operator)
            _push(fleet, folder / "app")
            files = folder / "files"
            (files / "edged").mkdir(parents=True)
            serve: list[str | Path] = [
                "python3",
                "-m",
                "http.server",
                "--bind",
                home,
                "-d",
                files,
                str(_PORTS["server"]),
            ]
            world = World(folder, net, fleet, binary, sha256, files, net.start(HOME, serve, log=folder / "files.log"))
            world.serve(binary)
            yield world


def _push(fleet: fleets.Fleet, folder: Path) -> None:
    """To all regions, of which one has no node yet: the app is published, and waits there for one."""
    done = fleet.push(fleets.app_folder(folder, APP, wat.text("hello")), check=False)
    finished = next((each for each in done.events if each.get("event") == "finished"), {})
    if finished.get("regions") != {"home": "live", REGION: "silent"}:
        raise RuntimeError(f"the app was not pushed: {done.stderr}")


def _describe(fleet: fleets.Fleet, sha256: str, url: str, hold_s: int) -> None:
    """The machine, in fleet.toml, as an operator writes it."""
    path = fleet.operator / "fleet.toml"
    text = path.read_text().replace('regions = ["home"]', f'regions = ["home", "{REGION}"]')
    lengths = [network.partition("/")[2] for network in NETWORKS]
    addresses = [f"{address}/{length}" for address, length in zip(MACHINE_ADDRESSES, lengths, strict=True)]
    path.write_text(
        f"""{text}
[provision]
provider = "static"

[provision.binary]
sha256 = "{sha256}"
urls = ["{url}"]

[[machine]]
name = "{MACHINE}"
region = "{REGION}"
address = "{MACHINE_ADDRESSES[0]}:{fleets.FLEET_PORT}"

[machine.network]
mac = "{NIC.mac}"
addresses = {json.dumps(addresses)}
gateways = {json.dumps(ROUTER_ADDRESSES)}

[machine.node.http]
listen = ["[::]:{HTTP_PORT}"]

[machine.node.bgp]
asn = {ASN}
hold_s = {hold_s}

[[machine.node.bgp.peer]]
name = "router"
address = "{ROUTER_ADDRESSES[0]}"
asn = {ROUTER_ASN}
local_address = "{MACHINE_ADDRESSES[0]}"
next_hop = "{MACHINE_ADDRESSES[1]}"
"""
    )
