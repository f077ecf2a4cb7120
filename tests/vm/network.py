"""Where the machine stands: namespaces on this machine, with no way out of them.

    client ── router (BIRD) ── home: a node of the fleet, and a server of files
                 └─ vm0, a tap ── the machine

What the machine needs is in its image, in its seed and at `home`; there is nothing else that it could reach, neither a
mirror nor a name server nor a clock.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from bgp.prefix import parse_prefix
from tests.lab.anycast import WAIT_S, wait
from tests.lab.lab import Lab
from tests.lab.topology import Topology
from tests.vm.machine import Nic

HOME, ROUTER, CLIENT = "home-1", "router", "client"
NIC = Nic("vm0", "52:54:00:12:34:56")
NETWORKS = ("192.0.2.0/24", "2001:db8:1::/64")
ROUTER_ADDRESSES = ("192.0.2.1", "2001:db8:1::1")
MACHINE_ADDRESSES = ("192.0.2.10", "2001:db8:1::10")
PREFIXES: tuple[IPv4Network | IPv6Network, ...] = tuple(map(parse_prefix, ("203.0.113.10/32", "2001:db8:a::10/128")))
ASN, ROUTER_ASN = 65200, 64500

_TOPOLOGY = f"""
[place.{ROUTER}]
[place.{HOME}]
[place.{CLIENT}]
[[link]]
between = ["{ROUTER}", "{HOME}"]
[[link]]
between = ["{ROUTER}", "{CLIENT}"]
"""
_BIRD = f"""
log stderr all;
router id {ROUTER_ADDRESSES[0]};
timeformat protocol iso long us;
debug protocols {{ states }};
protocol device {{ scan time 1; }}
protocol kernel {{ ipv4 {{ export all; }}; }}
protocol kernel {{ ipv6 {{ export all; }}; }}
protocol bgp machine {{
  local {ROUTER_ADDRESSES[0]} as {ROUTER_ASN};
  neighbor {MACHINE_ADDRESSES[0]} as {ASN};
  hold time 240;
  connect delay time 1;
  error wait time 1, 10;
  graceful restart off;
  ipv4 {{ import filter {{ if net ~ [ {PREFIXES[0]} ] then accept; reject; }}; export none; }};
  ipv6 {{ import filter {{ if net ~ [ {PREFIXES[1]} ] then accept; reject; }}; export none; }};
}}
"""
_SINCE = re.compile(r"^machine\s+BGP\s+\S+\s+up\s+(\S+ \S+)\s+Established", re.MULTILINE)


def established_at(text: str) -> float | None:
    """When the session came up, `time.time()`; None while it is not.

    Args:
        text: of `birdc show protocols machine`, in this machine's own time zone.
    """
    match = _SINCE.search(text)
    return None if match is None else datetime.fromisoformat(match[1]).timestamp()


class Network(Lab):
    """See the module.

    Args:
        folder: for what the router says.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(Topology.parse(_TOPOLOGY))
        self._folder = folder
        self._control = Path()

    def established_at(self) -> float | None:
        """See `established_at` of the module."""
        return established_at(self.birdc("show", "protocols", "machine"))

    def birdc(self, *words: str) -> str:
        return self.run(ROUTER, ["birdc", "-s", self._control / "bird.ctl", *words], check=False)

    def _build(self) -> None:
        super()._build()
        self.run(ROUTER, ["ip", "tuntap", "add", "dev", NIC.tap, "mode", "tap"])
        for address, network in zip(ROUTER_ADDRESSES, NETWORKS, strict=True):
            nodad = ["nodad"] if ":" in address else []
            length = network.partition("/")[2]
            self.run(ROUTER, ["ip", "address", "add", f"{address}/{length}", "dev", NIC.tap, *nodad])
        self.run(ROUTER, ["ip", "link", "set", NIC.tap, "up"])
        for place in (HOME, CLIENT):
            (end,) = self.topology.ends(place)
            for hop, source in (
                (end.other, self.topology.addresses[place]),
                (end.other6, self.topology.addresses6[place]),
            ):
                route = ["default", "via", str(hop), "dev", end.interface, "src", str(source)]
                self.run(place, ["ip", f"-{hop.version}", "route", "add", *route])
        self._start_bird()

    def _start_bird(self) -> None:
        self._control = Path(tempfile.mkdtemp(prefix="edged-vm-"))  # the path of a socket is short
        config = self._control / "bird.conf"
        config.write_text(_BIRD)
        command: list[str | Path] = ["bird", "-f", "-c", config, "-s", self._control / "bird.ctl"]
        self.start(ROUTER, [*command, "-P", self._control / "bird.pid"], log=self._folder / "bird.log")
        wait((self._control / "bird.ctl").exists, WAIT_S, "BIRD did not start")

    def _remove(self) -> None:
        super()._remove()
        if self._control != Path():
            shutil.rmtree(self._control, ignore_errors=True)
