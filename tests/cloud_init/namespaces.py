"""A machine between the world and a container, as network namespaces, and sockets in them of whatever user.

container ── inside ── machine ── out ── world
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_PLACES = ("machine", "world", "container")


class Namespaces:
    """Attributes:
    prefix: of their names, as `ip netns` knows them.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def run(self, place: str, *command: str | Path, given: str = "", check: bool = True) -> str:
        """What a command at a place prints.

        Args:
            given: its stdin.
        """
        done = subprocess.run(
            ["ip", "netns", "exec", self.prefix + place, *command],
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout if check else done.stderr

    def socket(
        self, place: str, family: socket.AddressFamily, kind: socket.SocketKind, *, user: int = 0
    ) -> socket.socket:
        """One of a place and a user, which are those of the thread that makes it: setns(2), setfsuid(2)."""
        made: list[socket.socket] = []

        def make() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/run/netns/{self.prefix}{place}") as namespace:
                if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            libc.setfsuid(user)
            made.append(socket.socket(family, kind))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]


@contextmanager
def namespaces(addresses: dict[str, Sequence[str]]) -> Iterator[Namespaces]:
    """
    Args:
        addresses: of the ends of `out`, by place, with their prefix lengths. The container has its own.
    """
    here = Namespaces(f"edged-{os.getpid()}-cloud-")
    made = []
    try:
        for place in _PLACES:
            subprocess.run(["ip", "netns", "add", here.prefix + place], check=True)
            made.append(place)
            here.run(place, "ip", "link", "set", "lo", "up")
        here.run("machine", "ip", "link", "add", "out", "type", "veth", "peer", "out", "netns", here.prefix + "world")
        here.run("machine", "ip", "link", "add", "in", "type", "veth", "peer", "in", "netns", here.prefix + "container")
        everywhere = dict(addresses)
        for place in ("machine", "world"):
            for address in everywhere[place]:
                _add(here, place, "out", address)
        for place, host in (("machine", 1), ("container", 2)):
            _add(here, place, "in", f"10.77.0.{host}/24")
            _add(here, place, "in", f"2001:db8:77::{host}/64")
        for place, link in (("machine", "out"), ("machine", "in"), ("world", "out"), ("container", "in")):
            here.run(place, "ip", "link", "set", link, "up")
        here.run("machine", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        here.run("container", "ip", "route", "add", "default", "via", "10.77.0.1")
        here.run("container", "ip", "-6", "route", "add", "default", "via", "2001:db8:77::1")
        yield here
    finally:
        for place in made:
            subprocess.run(["ip", "netns", "del", here.prefix + place], check=True)


def _add(here: Namespaces, place: str, link: str, address: str) -> None:
    # Usable at once: nobody else has these addresses.
    flags = ("nodad",) if ":" in address else ()
    here.run(place, "ip", "address", "add", address, "dev", link, *flags)
