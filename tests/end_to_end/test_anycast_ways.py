"""Ways of announcing that a node.toml may choose, each with a real node between real routers: who puts addresses on
`lo`, where sessions come from, over which family they are spoken, what BFD sees, and what is left when a router dies.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bgp.prefix import parse_prefix
from tests.anycast_net import PORT, AnycastNet, anycast_internet
from tests.fleets import Event
from tests.lab.anycast import WAIT_S, may_run, wait
from tests.lab.internet import Internet

V4, V6 = PREFIXES = ("203.0.113.10/32", "2001:db8:a::10/128")
NODE, BIRD, FRR = "n1", "ams", "fra"
INTERNET = """
[anycast]
host = "www.anycast.example"
prefixes = ["203.0.113.10/32", "2001:db8:a::10/128"]
asn = 65200
hold_s = 9
bfd = { interval_ms = 100, multiplier = 3 }
[place.ams]
asn = 65101
router = "bird"
[place.fra]
asn = 65102
router = "frr"
[place.n1]
region = "ams"
[place.c]
client = true
[[link]]
between = ["ams", "fra"]
rtt_ms = 4
[[link]]
between = ["n1", "ams"]
rtt_ms = 0.2
[[link]]
between = ["n1", "fra"]
rtt_ms = 0.2
[[link]]
between = ["c", "fra"]
rtt_ms = 2
"""
DRAIN = "[bgp.drain]\nshift_s = 0.3\nlinger_s = 0.3\n"
PROVIDER_HTTP = "http://127.0.0.1:8099"

pytestmark = pytest.mark.skipif(bool(may_run()), reason=may_run() or "-")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnycastNet]:
    with anycast_internet(tmp_path_factory.mktemp("net"), Internet.parse(INTERNET), more=DRAIN) as net:
        yield net


@pytest.fixture
def configured(net: AnycastNet) -> Iterator[Callable[[str], None]]:
    """Starts the node again with another node.toml; the usual one is back afterwards."""
    usual = net.fleet[NODE].config.read_text()

    def become(text: str) -> None:
        node = net.fleet[NODE]
        if node.process is not None:
            node.kill()
        node.config.write_text(text)
        node.start()

    yield become
    become(usual)
    net.wait_announced()


def test_two_routers_of_which_one_dies(net: AnycastNet) -> None:
    """What one router has is not for the other to decide; a drain tells those that are there, and a new one all."""
    assert anycast(wait_peers(net, {BIRD: "established", FRR: "established"}))["speaker"]["state"] == "running"
    mark = net.fleet[NODE].mark()
    net.lab.disable(BIRD, NODE)
    try:
        net.lab.wait_announced(BIRD, NODE, V4, lambda seen: seen is None)
        wait_peers(net, {FRR: "established"})
        assert net.lab.from_node(FRR, NODE, V4) is not None
        assert net.ask("c").body == "ams"
        assert not [each for each in net.fleet[NODE].events[mark:] if each.get("event") == "anycast.prefix"]
    finally:
        net.lab.enable(BIRD, NODE)
    wait_peers(net, {BIRD: "established", FRR: "established"})

    done = net.fleet.run("drain", NODE, "--json")
    assert (done.last["step"], done.last["withdrawal_proven"]) == ("drained", True)
    for router in (BIRD, FRR):
        assert [net.lab.from_node(router, NODE, prefix) for prefix in PREFIXES] == [None, None]
    net.fleet.run("undrain", NODE)
    net.wait_announced()


def test_bfd_notices_silence_at_both_ends_and_the_session_is_soon_back(net: AnycastNet) -> None:
    wait_peers(net, {BIRD: "established", FRR: "established"}, bfd="up")
    mark = net.fleet[NODE].mark()
    net.lab.cut(NODE, FRR)
    net.lab.wait_session(FRR, NODE, established=False)
    net.fleet[NODE].wait_for(
        lambda event: event.get("event") == "bgp.bfd-changed" and event.get("state") == "down", since=mark
    )
    assert net.lab.from_node(BIRD, NODE, V4) is not None
    net.lab.mend(NODE, FRR)
    net.lab.wait_session(FRR, NODE)
    wait_peers(net, {BIRD: "established", FRR: "established"}, bfd="up")
    net.wait_announced()


def test_a_node_puts_its_addresses_on_lo_and_back(net: AnycastNet, configured: Callable[[str], None]) -> None:
    usual = net.fleet[NODE].config.read_text()
    for prefix in PREFIXES:
        net.lab.remove_address(NODE, prefix)
    try:
        configured(usual.replace("[bgp]\n", "[bgp]\nown_addresses = true\n"))
        net.wait_announced()
        assert {str(parse_prefix(each).network_address) for each in PREFIXES} <= on_lo(net)
        for prefix in PREFIXES:
            net.lab.remove_address(NODE, prefix)
        wait(lambda: {each.partition("/")[0] for each in PREFIXES} <= on_lo(net), WAIT_S, "the addresses are not back")
        net.wait_announced()
    finally:
        for prefix in PREFIXES:
            if prefix.partition("/")[0] not in on_lo(net):
                net.lab.add_address(NODE, prefix)


def test_a_node_that_owns_no_address_withdraws_what_is_gone(net: AnycastNet) -> None:
    net.lab.remove_address(NODE, V4)
    try:
        net.lab.wait_announced(FRR, NODE, V4, lambda seen: seen is None)
        status = wait_node(net, lambda anycast: prefix_of(anycast, V4)["state"] == "down")
        assert "203.0.113.10" in prefix_of(anycast(status), V4)["reason"]
        assert net.lab.from_node(FRR, NODE, V6) is not None
        assert "203.0.113.10" not in on_lo(net)
    finally:
        net.lab.add_address(NODE, V4)
    net.wait_announced()


@pytest.mark.parametrize("provider", ["equinix", "vultr"])
def test_sessions_of_a_provider(
    net: AnycastNet, configured: Callable[[str], None], tmp_path: Path, provider: str
) -> None:
    """Its metadata by HTTP; the router is several hops away by its own address, through the gateway that it names."""
    topology = net.internet.topology
    end = next(end for end in topology.ends(NODE) if end.neighbor == BIRD)
    router = {4: str(topology.addresses[BIRD]), 6: str(topology.addresses6[BIRD])}
    # From the machine's own address, as a provider routes it; for IPv6 the lab's own routes lead there.
    local = {4: str(end.address), 6: str(end.address6)}
    metadata = equinix(router, local, str(end.other)) if provider == "equinix" else vultr(router, local, str(end.other))
    (tmp_path / "metadata").write_text(json.dumps(metadata))
    folder = ["env", "-C", str(tmp_path), sys.executable, "-m", "http.server", "8099", "--bind", "127.0.0.1"]
    server = net.lab.start(NODE, folder)
    with_router(net, multihop_sessions(router, local, "of the rack" if provider == "equinix" else ""))
    usual = net.fleet[NODE].config.read_text()
    head, _, _ = usual.partition("[bgp]\n")
    try:
        configured(
            f'{head}[bgp]\nrouter_id = "{end.address}"\n[bgp.metadata]\nprovider = "{provider}"\n'
            f'source = "{PROVIDER_HTTP}/metadata"\nown_routes = true\n'
        )
        wait_peers(net, {f"{provider}-v4{'-1' * (provider == 'equinix')}": "established"})
        wait_peers(net, {f"{provider}-v6{'-1' * (provider == 'equinix')}": "established"})
        for prefix in PREFIXES:
            announced_by(net, f"provider{parse_prefix(prefix).version}", prefix)
        routes = net.lab.run(NODE, ["ip", "-4", "route", "show", router[4]])
        assert f"via {end.other}" in routes
    finally:
        with_router(net, "")
        net.lab.end(server)
        net.lab.run(NODE, ["ip", "route", "del", f"{router[4]}/32", "via", str(end.other)], check=False)


def test_a_session_over_ipv6(net: AnycastNet, configured: Callable[[str], None]) -> None:
    """Both families are announced by it."""
    end = next(end for end in net.internet.topology.ends(NODE) if end.neighbor == BIRD)
    session = (
        f"protocol bgp over6 {{ local {end.other6} as 65101; neighbor {end.address6} as 65200; hold time 9;\n"
        "connect delay time 1; error wait time 1, 10; graceful restart off;\n"
        "ipv4 { import filter service_ipv4; export none; }; ipv6 { import filter service_ipv6; export none; }; }\n"
    )
    with_router(net, session)
    head, _, _ = net.fleet[NODE].config.read_text().partition("[bgp]\n")
    try:
        configured(
            f'{head}[bgp]\nasn = 65200\nrouter_id = "{end.address}"\n[[bgp.peer]]\nname = "over6"\nasn = 65101\n'
            f'address = "{end.other6}"\nlocal_address = "{end.address6}"\nnext_hop = "{end.address}"\n'
        )
        wait_peers(net, {"over6": "established"})
        for prefix, next_hop in ((V4, end.address), (V6, end.address6)):
            seen = announced_by(net, "over6", prefix)
            assert seen.next_hop == str(next_hop)
    finally:
        with_router(net, "")


def test_a_node_of_https_alone(net: AnycastNet, configured: Callable[[str], None], tmp_path: Path) -> None:
    """Its workers are asked by TLS, whatever their certificate says."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=elsewhere.example", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    key.chmod(0o600)
    entry = f'[[certificate]]\nhosts = ["{net.host}"]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    usual = net.fleet[NODE].config.read_text()
    mark = net.fleet[NODE].mark()
    configured(usual.replace("[http]\n", "[https]\n") + entry)
    net.fleet[NODE].wait_for(
        lambda event: event.get("event") == "anycast.prefix" and event["announced"] == "plain", since=mark
    )
    net.wait_announced()
    answer = net.lab.run(
        "c",
        [
            "curl",
            "-sk",
            "--max-time",
            "10",
            "--resolve",
            f"{net.host}:{PORT}:203.0.113.10",
            f"https://{net.host}:{PORT}/",
        ],
    )
    assert answer == "ams"


def test_ctrl_c_ends_the_command_and_not_the_drain(net: AnycastNet, configured: Callable[[str], None]) -> None:
    """As somebody sees it who types it: each step a line. A drain is as long as the node.toml says."""
    usual = net.fleet[NODE].config.read_text()
    configured(usual.replace("shift_s = 0.3", "shift_s = 60"))
    net.wait_announced()
    command = net.fleet.popen("drain", NODE)
    assert command.stdout is not None
    lines = iter(command.stdout.readline, "")
    assert any(line == f"{NODE}  any other way is preferred\n" for line in lines)
    command.send_signal(signal.SIGINT)
    stdout, stderr = command.communicate(timeout=WAIT_S)
    assert command.returncode == 130
    assert "Traceback" not in stdout + stderr
    wait_node(net, lambda anycast: anycast["drain"]["step"] == "shifting")
    for prefix in PREFIXES:
        seen = net.lab.wait_announced(FRR, NODE, prefix, lambda seen: seen is not None and len(seen.as_path) > 1)
        assert seen is not None
    net.fleet.run("undrain", NODE)
    net.lab.wait_announced(FRR, NODE, V4, lambda seen: seen is not None and seen.as_path == (65200,))


def equinix(router: Mapping[int, str], local: Mapping[int, str], gateway: str) -> dict[str, Any]:
    neighbors = [
        {"address_family": version, "customer_as": 65200, "customer_ip": local[version], "md5_enabled": True}
        | {"md5_password": "of the rack", "multihop": True, "peer_as": 65101, "peer_ips": [router[version]]}
        for version in (4, 6)
    ]
    address = {"address_family": 4, "public": False, "enabled": True, "address": local[4], "gateway": gateway}
    return {"bgp_neighbors": neighbors, "network": {"addresses": [address]}}


def vultr(router: Mapping[int, str], local: Mapping[int, str], gateway: str) -> dict[str, Any]:
    sessions = {
        f"ipv{version}": {"my-address": local[version], "my-asn": "65200", "peer-address": router[version]}
        | {"peer-asn": "65101"}
        for version in (4, 6)
    }
    return {"bgp": sessions, "interfaces": [{"ipv4": {"address": local[4], "gateway": gateway}}]}


def multihop_sessions(router: Mapping[int, str], local: Mapping[int, str], password: str = "") -> str:
    """A provider's router: its own address, and next hops that it finds by its links."""
    text = "protocol direct provider_links { ipv4; ipv6; }\n"
    secret = f'password "{password}";' if password else ""
    for version in (4, 6):
        text += (
            f"protocol bgp provider{version} {{ local {router[version]} as 65101; multihop 5;\n"
            f"neighbor {local[version]} as 65200; hold time 9; connect delay time 1; error wait time 1, 10;\n"
            f"graceful restart off; {secret}\n"
            f"ipv{version} {{ import filter service_ipv{version}; export none; }}; }}\n"
        )
    return text


def with_router(net: AnycastNet, more: str) -> None:
    """BIRD with more protocols than the lab gives it; "" for those alone."""
    file = net.lab.sockets / BIRD / "config"
    mark = "# --- of a test ---\n"
    file.write_text(file.read_text().partition(mark)[0] + (mark + more if more else ""))
    said = net.lab.birdc(BIRD, "configure")
    assert "Reconfigur" in said, said


def announced_by(net: AnycastNet, session: str, prefix: str) -> Any:
    """What BIRD has of a session, once it has it."""
    wait(
        lambda: any(seen.by == session for seen in net.lab.announced(BIRD, prefix)), WAIT_S, f"no {prefix} by {session}"
    )
    return next(seen for seen in net.lab.announced(BIRD, prefix) if seen.by == session)


def on_lo(net: AnycastNet) -> set[str]:
    shown = json.loads(net.lab.run(NODE, ["ip", "-json", "address", "show", "dev", "lo"]))
    return {each["local"] for entry in shown for each in entry["addr_info"]}


def anycast(status: Event) -> dict[str, Any]:
    found: dict[str, Any] = next(node["anycast"] for node in status["nodes"] if node["name"] == NODE)
    return found


def prefix_of(anycast: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in anycast["prefixes"] if each["prefix"] == prefix)
    return found


def wait_node(net: AnycastNet, wanted: Callable[[dict[str, Any]], bool]) -> Event:
    """`edged status`, once what it says of the node is wanted."""
    return net.fleet.wait_status(
        lambda status: any(
            node["name"] == NODE and node["anycast"] is not None and wanted(node["anycast"]) for node in status["nodes"]
        )
    )


def wait_peers(net: AnycastNet, states: Mapping[str, str], *, bfd: str = "") -> Event:
    """Until sessions, by their names, are in these states, and BFD beside each."""

    def wanted(anycast: dict[str, Any]) -> bool:
        peers = {peer["name"]: peer for peer in anycast["peers"]}
        return all(
            name in peers and peers[name]["state"] == state and (not bfd or peers[name]["bfd"] == bfd)
            for name, state in states.items()
        )

    return wait_node(net, wanted)
