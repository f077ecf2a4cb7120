"""A network of namespaces on this machine, from a `Topology`: real interfaces, real routes, delays that are held.

    with Lab(topology) as lab:
        node = lab.start("ams", ["edged", "node", ...], log=folder / "ams.log")
        lab.run("nyc", ["ping", "-c1", lab.address("ams")])

Needs root. Everything is made under a name of its own and is gone at the end: namespaces, devices, and the processes
in them, each ended by its id.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.topology import End, Topology

_SETTINGS = (
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    # Without it the first answers of mtr are the only ones.
    "net.ipv4.icmp_ratelimit=0",
    "net.ipv6.icmp.ratelimit=0",
    "net.ipv6.conf.all.forwarding=1",
    # Flows are spread over equal routes by their ports, not by client.
    "net.ipv4.fib_multipath_hash_policy=1",
    "net.ipv6.fib_multipath_hash_policy=1",
)
_END_TIMEOUT_S = 20.0
_LABS = iter(range(1_000_000))


def may_run(*programs: str) -> str:
    """Why there can be no lab here; empty if there can.

    Args:
        programs: that it takes besides, by name or path.
    """
    if os.geteuid() != 0:
        return "the lab makes network namespaces, which takes root"
    if not os.path.exists("/dev/net/tun"):
        return "the lab holds packets by TUN devices, and this machine has no /dev/net/tun"
    missing = [program for program in programs if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)} (`make lab` installs what a lab takes)" if missing else ""


class Lab:
    """See the module.

    Args:
        rates: index of a link -> bytes a second; others are as fast as this machine.
    """

    def __init__(self, topology: Topology, rates: Mapping[int, float] | None = None) -> None:
        self.topology = topology
        self._rates = {} if rates is None else rates
        # Two labs may stand at once, of one process and of several.
        self._prefix = f"edged-{os.getpid()}-{next(_LABS)}-"
        self._spaces: list[str] = []
        self._box: subprocess.Popen[bytes] | None = None
        self._delayed: list[int] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(self._remove)
            self._build()
            self._cleanup = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def namespace(self, place: str) -> str:
        """The name by which `ip netns` knows a place."""
        return self._prefix + place

    def address(self, place: str) -> str:
        return str(self.topology.addresses[place])

    def run(self, place: str, command: Sequence[str | Path], *, check: bool = True, timeout_s: float = 60.0) -> str:
        """Run a command at a place; its stdout. Its stderr is part of the error if it fails.

        Raises:
            RuntimeError
        """
        return _run(self._inside(place, command), check=check, timeout_s=timeout_s)

    def start(
        self,
        place: str,
        command: Sequence[str | Path],
        *,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process at a place. It is ended with the lab, if it did not end before.

        Args:
            log: where its output goes; None for a pipe as its stdout.
        """
        with contextlib.ExitStack() as stack:
            output = subprocess.PIPE if log is None else stack.enter_context(log.open("ab"))
            process = subprocess.Popen(
                self._inside(place, command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=None if log is None else subprocess.STDOUT,
                env=None if environment is None else {**os.environ, **environment},
                start_new_session=True,
            )
        favour(process)
        self._processes.append(process)
        return process

    def end(self, process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and wait for the end; SIGKILL after a while."""
        if process.poll() is None:
            process.send_signal(number)
        try:
            process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        return process.returncode

    def set_delay(self, a: str, b: str, rtt_ms: float | None) -> None:
        """Change the delay of the link between two places; None cuts it: packets are lost, and nobody is told. Only of
        links that had one."""
        self._tell_box(a, b, "cut" if rtt_ms is None else str(rtt_ms / 2))

    def set_carrier(self, a: str, b: str, up: bool) -> None:
        """Pull the cable between two places, or put it back: both ends are told, as by real cards. Only of links that
        have a delay."""
        self._tell_box(a, b, "up" if up else "down")

    def add_address(self, place: str, prefix: str) -> None:
        """One more address on a place's `lo`."""
        nodad = ["nodad"] if ":" in prefix else []
        self.run(place, ["ip", "address", "add", prefix, "dev", "lo", *nodad])

    def remove_address(self, place: str, prefix: str) -> None:
        self.run(place, ["ip", "address", "delete", prefix, "dev", "lo"])

    def _tell_box(self, a: str, b: str, value: str) -> None:
        index = next(
            index for index, link in enumerate(self.topology.links) if {end.place for end in link.ends} == {a, b}
        )
        assert self._box is not None, "no link has a delay"
        assert self._box.stdin is not None
        self._box.stdin.write(f"{self._delayed.index(index)} {value}\n".encode())
        self._box.stdin.flush()

    def _inside(self, place: str, command: Sequence[str | Path]) -> list[str]:
        return ["ip", "netns", "exec", self.namespace(place), *map(str, command)]

    def _build(self) -> None:
        for place in self.topology.addresses:
            _run(["ip", "netns", "add", self.namespace(place)])
            self._spaces.append(place)
            self.run(place, ["ip", "link", "set", "lo", "up"])
            self.add_address(place, f"{self.address(place)}/32")
            self.add_address(place, f"{self.topology.addresses6[place]}/128")
            self.run(place, ["sysctl", "-qw", *_SETTINGS])
        self._start_box()
        for index, link in enumerate(self.topology.links):
            a, b = link.ends
            if index not in self._delayed:
                pair = ["type", "veth", "peer", "name", b.interface, "netns", self.namespace(b.place)]
                _run(["ip", "link", "add", a.interface, "netns", self.namespace(a.place), *pair])
            for end in link.ends:
                self._configure(end)
        for place in self.topology.addresses:
            for target, end in self.topology.routes(place):
                route = ["via", str(end.other), "dev", end.interface, "src", self.address(place)]
                self.run(place, ["ip", "route", "add", f"{self.address(target)}/32", *route])
                address6 = self.topology.addresses6
                route = ["via", str(end.other6), "dev", end.interface, "src", str(address6[place])]
                self.run(place, ["ip", "route", "add", f"{address6[target]}/128", *route])

    def _configure(self, end: End) -> None:
        self.run(end.place, ["ip", "address", "add", f"{end.address}/31", "dev", end.interface])
        self.run(end.place, ["ip", "address", "add", f"{end.address6}/127", "dev", end.interface, "nodad"])
        self.run(end.place, ["ip", "link", "set", end.interface, "up"])

    def _start_box(self) -> None:
        links = []
        for index, link in enumerate(self.topology.links):
            if link.rtt_ms:
                self._delayed.append(index)
                ends = ":".join(f"{self.namespace(end.place)}:{end.interface}" for end in link.ends)
                rate = f":{self._rates[index]}" if index in self._rates else ""
                links.append(f"{ends}:{link.rtt_ms / 2}{rate}")
        if not links:
            return
        self._box = box = subprocess.Popen(
            [sys.executable, "-m", "tests.lab.delay_box", *links],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
        favour(box)
        assert box.stdout is not None
        if box.stdout.readline() != b"ready\n":
            raise RuntimeError("the delay box did not start")

    def _remove(self) -> None:
        for process in reversed(self._processes):
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            self.end(process)
        if self._box is not None:
            assert self._box.stdin is not None
            self._box.stdin.close()
            self._box.wait()
            assert self._box.stdout is not None
            self._box.stdout.close()
        for place in self._spaces:
            # What a process of ours started and left behind; nobody else is in a namespace that we made.
            for pid in _run(["ip", "netns", "pids", self.namespace(place)], check=False).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _run(["ip", "netns", "delete", self.namespace(place)], check=False)


def favour(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Let a process that leads a session have the processors before the tests around it, where the kernel knows
    autogroups (sched(7)): a place stands for a machine of its own, which does not wait for what compiles here."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{process.pid}/autogroup").write_text("-10")


def _run(command: Sequence[str], *, check: bool = True, timeout_s: float = 60.0) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
