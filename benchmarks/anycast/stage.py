"""The lab with its fleet, the node that things happen to, and ways to get at its parts."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bgp.peer import BfdTimes
from tests.anycast_net import INTERNET, PORT, AnycastNet, anycast_internet
from tests.fleets import Event, FleetNode, app_folder, descendants
from tests.guests import wat
from tests.lab.internet import Internet

NODE, ROUTER = "ams-1", "ams"
CLIENTS = ("c-ams", "c-edi")
LABS = {"hold 9": (9, None), "hold 3": (3, None), "BFD": (9, BfdTimes(interval_ms=100, multiplier=3))}
"""Name of a lab -> hold time in seconds, and BFD."""
STATE_DISK = "192m"
"""Of the node's state folder: small, so that it is full quickly."""
HUNG_APPS = {"sleeps.example": "sleep", "computes.example": "loop"}
"""Host -> guest, of which no request is ever answered."""
_WORKERS = 2
_HERE = Path(__file__).parents[2]
_PTRACE_DETACH, _PTRACE_SEIZE, _PTRACE_INTERRUPT = 17, 0x4206, 0x4207
_WAIT_ALL_THREADS = 0x40000000


@dataclass
class Stage:
    """See the module."""

    net: AnycastNet
    _toml: str = ""
    _stopping: threading.Thread | None = None

    @property
    def node(self) -> FleetNode:
        return self.net.fleet[NODE]

    @property
    def supervisor(self) -> int:
        assert self.node.process is not None
        return self.node.process.pid

    @property
    def speaker(self) -> int:
        """The process that speaks BGP, as the node said last."""
        return int([each for each in self.node.events if each.get("event") == "bgp.child-started"][-1]["pid"])

    @property
    def workers(self) -> list[int]:
        return list(self.node.workers().values())

    def send(self, number: signal.Signals, *pids: int) -> float:
        """A signal to some processes; when, `time.monotonic()`."""
        at = time.monotonic()
        for pid in pids:
            os.kill(pid, number)
        return at

    def drain(self) -> float:
        """`edged drain`; when the node began with it. The command itself takes half a second to start."""
        return self._drain(lambda event: event.get("event") == "anycast.drain")

    def withdraw(self) -> float:
        """Likewise, and when the node came to withdraw."""
        return self._drain(lambda event: event.get("event") == "anycast.drain" and event["step"] == "withdrawing")

    def _drain(self, wanted: Callable[[Event], bool]) -> float:
        mark = self.node.mark()
        process = self.net.fleet.popen("drain", NODE)
        self.node.wait_for(wanted, since=mark)
        at = time.monotonic()
        process.communicate()
        return at

    def undrain(self) -> None:
        self.net.fleet.run("undrain", NODE)

    def terminate(self) -> float:
        """SIGTERM to the node; its end is waited for by `start`."""
        at = time.monotonic()
        self._stopping = threading.Thread(target=self.node.stop)
        self._stopping.start()
        return at

    def start(self) -> None:
        """Start the node, whose supervisor has ended or is about to."""
        if self._stopping is not None:
            self._stopping.join()
            self._stopping = None
        else:
            self.node.kill()
        self.node.start()

    def kill_all(self) -> None:
        """As by a power cut, but that the kernel closes what was open."""
        pids = {self.supervisor, *descendants(self.supervisor)}
        self.send(signal.SIGKILL, *pids)

    def configure(self, more: str) -> None:
        """Start the node anew, with more in its node.toml; "" for as it was."""
        self._toml = self._toml or self.node.config.read_text()
        self.node.config.write_text(self._toml + more)
        self.start()

    def wait_settled(self) -> None:
        """Until the node is where packets of all clients go."""
        for prefix in map(str, self.net.internet.prefixes):
            self.net.lab.wait_route(ROUTER, prefix, {NODE}, timeout_s=90.0)
        for client in CLIENTS:
            self.net.wait_answer(client, self.net.internet.nodes[NODE])

    def stop_main_thread(self) -> float:
        """As a debugger does: the supervisor's loop stands still, its other threads go on."""
        at = time.monotonic()
        _ptrace(_PTRACE_SEIZE, self.supervisor)
        _ptrace(_PTRACE_INTERRUPT, self.supervisor)
        # Whoever looks after our children would take this for the process's end.
        os.waitpid(self.supervisor, _WAIT_ALL_THREADS)
        return at

    def continue_main_thread(self) -> None:
        _ptrace(_PTRACE_DETACH, self.supervisor)

    def fill_disk(self) -> float:
        file = self.node.state / "fill"
        at = time.monotonic()
        try:
            with file.open("wb", buffering=0) as output:
                while True:
                    output.write(bytes(1 << 20))
        except OSError:
            return at

    def free_disk(self) -> None:
        (self.node.state / "fill").unlink()

    def cut_off_nodes(self) -> float:
        """No node reaches another, nor a registry or a name server: of those the lab has none to begin with."""
        at = time.monotonic()
        self._between_nodes("add")
        return at

    def join_nodes(self) -> None:
        self._between_nodes("delete")

    def _between_nodes(self, verb: str) -> None:
        topology = self.net.lab.topology
        for node in self.net.internet.nodes:
            for other in set(self.net.internet.nodes) - {node}:
                for address in (topology.addresses[other], topology.addresses6[other]):
                    rule = [f"-{address.version}", "rule", verb, "to", str(address), "blackhole"]
                    self.net.lab.run(node, ["ip", *rule])

    @contextmanager
    def asked_in_vain(self, host: str, seconds: float) -> Iterator[None]:
        """Two requests a second that nobody answers, from Edinburgh, while the block lasts."""
        command = ["env", "-C", str(_HERE), sys.executable, "-m", "tests.lab.client", self.net.addresses[0], str(PORT)]
        command += ["--host", host, "--rate", "2", "--seconds", str(seconds)]
        process = self.net.lab.start(CLIENTS[1], command, log=self.net.folder / "in-vain.jsonl")
        try:
            yield
        finally:
            self.net.lab.end(process)


@contextmanager
def staged(folder: Path, lab: str) -> Iterator[Stage]:
    """The lab of a name, with all apps; gone after the block."""
    hold_s, bfd = LABS[lab]
    internet = Internet.load(INTERNET).but(hold_s=hold_s, bfd=bfd)
    state = folder / "fleet" / NODE / "state"
    state.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={STATE_DISK},mode=700", "tmpfs", state], check=True)
    try:
        with anycast_internet(folder, internet, workers=_WORKERS) as net:
            for host, guest in HUNG_APPS.items():
                table = f'hosts = ["{host}"]'
                net.fleet.push(app_folder(folder / guest, guest, wat.text(guest), edged_table=table))
            yield Stage(net)
    finally:
        subprocess.run(["umount", state], check=True)


def _ptrace(request: int, pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_long(0), ctypes.c_long(0)):
        raise OSError(ctypes.get_errno(), f"ptrace {request} of {pid}")
