"""A fleet of real edged nodes in an internet of real routers, with an app that names its region.

    with anycast_internet(tmp_path) as net:
        assert net.ask("c-edi").body == "ams"
        with net.load(["c-ams", "c-edi"], seconds=10) as load:
            event = time.monotonic()
            net.fleet.run("drain", "ams-1")
        analyse(load.answers("c-edi"), event, "ams")

Needs root, as `tests.lab.anycast.may_run` says.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests import fleets
from tests.guests import wat
from tests.lab import client
from tests.lab.anycast import WAIT_S, AnycastLab, wait
from tests.lab.client import Answer
from tests.lab.internet import Internet

INTERNET = Path(__file__).parent / "lab" / "anycast.toml"
PORT = fleets.HTTP_PORT
_HERE = Path(__file__).parents[1]


class Load:
    """Open-loop clients, each a process at its place. Leaving the block waits for all answers."""

    def __init__(
        self, net: AnycastNet, clients: Sequence[str], folder: Path, options: Sequence[str], v6: bool, kept: bool
    ) -> None:
        self._net = net
        self._clients = clients
        self._folder = folder
        self._options = options
        self._address = net.addresses[1 if v6 else 0]
        self._module = "tests.lab.kept_client" if kept else "tests.lab.client"
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Load:
        self._folder.mkdir()
        for place in self._clients:
            command = ["env", "-C", str(_HERE), sys.executable, "-m", self._module, self._address, str(PORT)]
            command += ["--host", self._net.host, *self._options]
            self._processes.append(self._net.lab.start(place, command, log=self._file(place)))
        for place in self._clients:
            wait(lambda place=place: bool(self._file(place).read_bytes()), WAIT_S, f"{place} asks nothing")  # type: ignore[misc]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            if kind is not None:
                process.terminate()
            process.wait()

    def stop(self) -> None:
        """Before its time is up. What is asked at this moment has no answer and is not counted."""
        for process in self._processes:
            process.terminate()

    def answers(self, place: str) -> list[Answer]:
        """Of one client, by when each was asked; after the block."""
        with self._file(place).open() as lines:
            return client.read(lines)

    def _file(self, place: str) -> Path:
        return self._folder / f"{place}.jsonl"


@dataclass
class AnycastNet:
    """Attributes:
    addresses: of the service, IPv4 first.
    """

    folder: Path
    lab: AnycastLab
    fleet: fleets.Fleet
    _loads: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))

    @property
    def internet(self) -> Internet:
        return self.lab.internet

    @property
    def host(self) -> str:
        return self.internet.host

    @property
    def addresses(self) -> tuple[str, ...]:
        ordered = sorted(self.internet.prefixes, key=lambda prefix: prefix.version)
        return tuple(str(prefix.network_address) for prefix in ordered)

    def ask(self, place: str, *, v6: bool = False, timeout_s: float = 10.0) -> Answer:
        """One request of a client to the anycast address."""
        command = ["env", "-C", str(_HERE), sys.executable, "-m", "tests.lab.client"]
        command += [self.addresses[1 if v6 else 0], str(PORT), "--host", self.host]
        output = self.lab.run(place, [*command, "--rate", "1", "--seconds", "0.5", "--timeout", str(timeout_s)])
        return client.parse(output)

    def wait_answer(self, place: str, region: str, *, v6: bool = False) -> None:
        """Until a client is answered by a region."""
        wait(lambda: self.ask(place, v6=v6).body == region, WAIT_S, f"{place} does not get to {region}")

    def wait_announced(self) -> None:
        """Until every node's prefixes are at its routers, and in their kernels' tables."""
        for node in self.internet.nodes:
            for end in self.lab.topology.ends(node):
                for prefix in map(str, self.internet.prefixes):
                    self.lab.wait_announced(end.neighbor, node, prefix, lambda seen: seen is not None)
        for router in self.internet.routers:
            for prefix in map(str, self.internet.prefixes):
                wait(lambda r=router, p=prefix: bool(self.lab.route(r, p)), WAIT_S, f"{router} has no {prefix}")  # type: ignore[misc]

    def load(
        self,
        clients: Sequence[str],
        *,
        seconds: float,
        rate: float = 50.0,
        timeout_s: float = 3.0,
        v6: bool = False,
        kept: bool = False,
    ) -> Load:
        """Constant load of some clients, each of so many requests a second.

        Args:
            kept: on connections that are kept, in place of a new one for each.
        """
        options = ["--rate", str(rate), "--seconds", str(seconds), "--timeout", str(timeout_s)]
        return Load(self, clients, self.folder / f"load-{next(self._loads)}", options, v6, kept)


@contextlib.contextmanager
def anycast_internet(
    folder: Path,
    internet: Internet | None = None,
    *,
    workers: int = 1,
    more: str = "",
    bgp: bool = True,
    announced: bool = True,
    prefix: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[AnycastNet]:
    """The lab, its routers, and a fleet with the app, announced; all ended with the block.

    Args:
        more: tables of every node.toml.
        bgp: False for nodes that announce nothing.
        announced: wait until the service is announced by every node.
        prefix: of the command of some nodes, to run them under another.
    """
    internet = Internet.load(INTERNET) if internet is None else internet
    with AnycastLab(internet, folder / "routers") as lab:
        secrets = _write_secrets(folder / "secrets", internet)
        config = {node: _node_toml(folder, internet, node, secrets, more, bgp) for node in internet.nodes}
        addresses = [prefix.network_address for prefix in internet.prefixes]
        listen = [f"[{each}]:{PORT}" if each.version == 6 else f"{each}:{PORT}" for each in addresses]
        with fleets.made(
            folder / "fleet",
            fleets.InLab(lab),
            internet.nodes,
            workers=workers,
            config=config,
            listen=listen,
            prefixes=[str(prefix) for prefix in internet.prefixes],
            publisher=internet.clients[-1],
            prefix=prefix,
        ) as fleet:
            net = AnycastNet(folder, lab, fleet)
            fleet.push(region_app(folder / "region", internet.host))
            if bgp and announced:
                net.wait_announced()
            yield net


def region_app(folder: Path, host: str) -> Path:
    """An app that answers with the region of the node, which the node's own runtime config tells."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "guest.wat").write_text(wat.text("region"))
    (folder / "spin.toml").write_text(
        'spin_manifest_version = 2\n[application]\nname = "region"\nversion = "1.0.0"\n'
        f'[application.tool.edged]\nhosts = ["{host}"]\n'
        "[variables]\nregion = { required = true }\n"
        '[[trigger.http]]\nroute = "/..."\ncomponent = "guest"\n'
        '[component.guest]\nsource = "guest.wat"\n[component.guest.variables]\nregion = "{{ region }}"\n'
    )
    return folder


def _node_toml(folder: Path, internet: Internet, node: str, secrets: Path, more: str, bgp: bool) -> str:
    runtime = folder / f"{node}-runtime.toml"
    runtime.write_text(f'[[variables_provider]]\ntype = "static"\nvalues = {{ region = "{internet.nodes[node]}" }}\n')
    text = f'[runtime_config]\nfile = "{runtime}"\n{more}'
    return text + internet.node_toml(node, secrets) if bgp else text


def _write_secrets(folder: Path, internet: Internet) -> Path:
    folder.mkdir(parents=True)
    for router in internet.routers.values():
        if router.password:
            file = folder / router.place
            file.touch(mode=0o600)
            file.write_text(router.password + "\n")
    return folder
