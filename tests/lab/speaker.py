"""Plain ExaBGP at a node's place, to try the lab itself: it announces what a file says, no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bgp.prefix import family
from tests.lab.anycast import AnycastLab

_SETTINGS = {
    "exabgp_daemon_user": "root",
    "exabgp_api_cli": "false",
    "exabgp_log_destination": "stderr",
}


def announce(lab: AnycastLab, node: str, folder: Path, attributes: str = "") -> subprocess.Popen[bytes]:
    """Start it; `lab.end` ends it.

    Args:
        attributes: of every route, in ExaBGP's words: `med 10 community [ 65535:0 ]`.
    """
    internet = lab.internet
    (end,) = lab.topology.ends(node)
    router = internet.routers[end.neighbor]
    next_hops = {"ipv4": end.address, "ipv6": end.address6}
    routes = "".join(
        f"    route {prefix} next-hop {next_hops[family(prefix)]} {attributes};\n" for prefix in internet.prefixes
    )
    options = f"  md5-password {router.password!r};\n  md5-base64 false;\n" if router.password else ""
    options += "  outgoing-ttl 255;\n  incoming-ttl 255;\n" if router.ttl_security else ""
    config = folder / f"{node}-exabgp.conf"
    config.write_text(
        f"neighbor {end.other} {{\n  router-id {internet.topology.addresses[node]};\n  local-address {end.address};\n"
        f"  local-as {internet.asn};\n  peer-as {router.asn};\n  hold-time {internet.hold_s};\n{options}"
        "  family { ipv4 unicast; ipv6 unicast; }\n"
        f"  static {{\n{routes}  }}\n}}\n".replace("'", '"')
    )
    command = ["-m", "exabgp", "server", str(config)]
    return lab.start(node, [sys.executable, *command], log=folder / f"{node}-exabgp.log", environment=_SETTINGS)
