"""A machine: qemu, with a serial console that is written down, a monitor, and an agent inside.

with Machine(image, folder, start, nic) as machine:
    machine.power_on(seed)
    machine.agent.wait(300)
    machine.agent.run("systemctl", "is-system-running")
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tests.lab.anycast import wait
from tests.vm.channel import Agent, Monitor
from tests.vm.image import Image

Accel = Literal["kvm", "tcg"]
MEMORY_MIB = 1536
_PROCESSORS: Mapping[Accel, tuple[str, ...]] = {
    "kvm": ("-cpu", "host", "-smp", "2"),
    # Its clock is its work: an instruction takes two nanoseconds, however long it takes here. To itself it is a slow
    # machine that is always as slow, so that none of its timers is about what else runs on this one. The model has four
    # levels of page tables, not five.
    "tcg": ("-cpu", "Nehalem", "-smp", "1", "-icount", "shift=1,sleep=on", "-rtc", "clock=vm"),
}
_KERNEL_WORDS: Mapping[Accel, str] = {
    "kvm": "",
    # A detour for each indirect call costs whoever emulates it a tenth of all time.
    "tcg": " mitigations=off",
}
_START_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 20.0


def usable_accel(cpuinfo: str, has_device: bool) -> Accel:
    """`kvm` where the processor says that it can. A /dev/kvm alone does not mean that: there are hosts whose own module
    stands in for what the processor lacks, and gives up on the kernel of Debian.

    Args:
        cpuinfo: text of /proc/cpuinfo.
        has_device: /dev/kvm is there, and ours to use.
    """
    flags = {word for line in cpuinfo.splitlines() if line.startswith("flags") for word in line.split()}
    return "kvm" if has_device and flags & {"vmx", "svm"} else "tcg"


def this_accel() -> Accel:
    return usable_accel(Path("/proc/cpuinfo").read_text(), os.access("/dev/kvm", os.R_OK | os.W_OK))


@dataclass(frozen=True, slots=True)
class Nic:
    """Attributes:
    tap: device on this side, in the namespace that qemu runs in.
    mac: of the machine's interface.
    """

    tap: str
    mac: str


class Machine:
    """See the module.

    Args:
        folder: for its disk, sockets and console; its path is short, as those of sockets must be.
        start: starts a process where the tap is, its output in a file.
    """

    def __init__(
        self,
        image: Image,
        folder: Path,
        start: Callable[[Sequence[str | Path], Path], subprocess.Popen[bytes]],
        nic: Nic,
        accel: Accel,
    ) -> None:
        self.console = folder / "console.log"
        self.agent = Agent(folder / "agent")
        self._image = image
        self._folder = folder
        self._start = start
        self._nic = nic
        self._accel = accel
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor: Monitor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def monitor(self) -> Monitor:
        assert self._monitor is not None, "the machine has no power"
        return self._monitor

    def power_on(self, seed: Path, *, link: bool = True) -> float:
        """Start it with a new disk; when that was, `time.time()`.

        Args:
            link: False: its cable is not plugged in.
        """
        assert self._process is None
        disk = self._folder / "disk.qcow2"
        create = [
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            "raw",
            "-b",
            str(self._image.disk.resolve()),
            str(disk),
        ]
        subprocess.run(create, check=True, timeout=_START_TIMEOUT_S)
        # The link's state has to be there before the machine looks.
        at = time.time()
        self._process = self._start([*self._command(disk, seed), "-S"], self._folder / "qemu.log")
        socket = self._folder / "monitor"
        process = self._process
        wait(lambda: socket.exists() or process.poll() is not None, _START_TIMEOUT_S, "qemu did not start")
        if process.poll() is not None:
            raise RuntimeError(f"qemu ended: {(self._folder / 'qemu.log').read_text().strip()}")
        self._monitor = Monitor(socket)
        self.set_link(link)
        self.monitor.command("cont")
        return at

    def set_link(self, up: bool) -> None:
        """Pull the cable, or put it back."""
        self.monitor.command("set_link", name="nic", up=up)

    def reset(self) -> None:
        """Its reset button."""
        self.monitor.command("system_reset")

    def press_power(self) -> None:
        """Its power button (ACPI): it shuts down by itself."""
        self.monitor.command("system_powerdown")

    def wait_end(self, timeout_s: float) -> None:
        """Until it is off."""
        assert self._process is not None
        self._process.wait(timeout_s)
        self.end()

    def end(self) -> None:
        """Pull the plug. Its disk stays in the folder."""
        self.agent.close()
        monitor, self._monitor = self._monitor, None
        process, self._process = self._process, None
        if monitor is not None:
            with contextlib.suppress(OSError, RuntimeError):
                monitor.command("quit")
            monitor.close()
        if process is not None:
            process.terminate()
            try:
                process.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in ("monitor", "agent"):
            (self._folder / name).unlink(missing_ok=True)

    def keep(self, folder: Path) -> None:
        """Copy what it said to another folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("console.log", "qemu.log"):
            if (self._folder / name).exists():
                shutil.copyfile(self._folder / name, folder / name)

    def _command(self, disk: Path, seed: Path) -> list[str | Path]:
        nic = self._nic
        return [
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"),
            *("-machine", f"q35,accel={self._accel}", "-m", str(MEMORY_MIB), *_PROCESSORS[self._accel]),
            *("-kernel", self._image.kernel, "-initrd", self._image.initrd),
            *("-append", f"root=LABEL=root ro console=ttyS0{_KERNEL_WORDS[self._accel]}"),
            *("-drive", f"file={disk},format=qcow2,if=virtio,cache=unsafe"),
            *("-drive", f"file={seed},format=raw,if=virtio,readonly=on"),
            *("-netdev", f"tap,id=net,ifname={nic.tap},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,id=nic,netdev=net,mac={nic.mac}"),
            *("-device", "virtio-rng-pci", "-device", "virtio-serial"),
            *("-chardev", f"socket,id=agent,path={self._folder / 'agent'},server=on,wait=off"),
            *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
            *("-serial", f"file:{self.console}"),
            *("-qmp", f"unix:{self._folder / 'monitor'},server=on,wait=off"),
        ]
