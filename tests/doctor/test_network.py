"""`metadata`, `routes`, `addresses`, `firewall` and `sysctl`: what announcing needs of provider, network and kernel."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from bgp.errors import MetadataInvalid, MetadataUnavailable
from bgp.kernel_settings import SettingProblem
from bgp.metadata.provider_sessions import ProviderSessions
from bgp.prefix import parse_prefix
from bgp.static_route import RouteProblem, StaticRoute
from edged.anycast.config import BgpTable, MetadataTable
from edged.doctor import firewall, sysctl
from edged.doctor.command import Said
from edged.doctor.firewall import FirewallFacts, parse_chains
from edged.doctor.network import (
    judge_addresses,
    judge_metadata,
    judge_routes,
    look_at_addresses,
    look_at_metadata,
    look_at_routes,
    wanted_addresses,
)
from edged.doctor.subject import FIREWALL_UNIT, gather
from edged.doctor.sysctl import parse_sysctl
from provisioning import paths
from tests.bgp.namespaces import Machine, machine
from tests.doctor.scene import Scene, one, said
from tests.doctor.views import node, view
from tests.lab.lab import may_run

_NO_LAB = may_run("nft")
needs_root = pytest.mark.skipif(bool(_NO_LAB), reason=_NO_LAB or "-")

EQUINIX = MetadataTable("equinix")
ROUTE = StaticRoute(ip_address("169.254.255.1"), ip_address("10.0.0.2"))
V4, V6 = ip_address("203.0.113.10"), ip_address("2001:db8::10")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


# --- metadata ---


def test_metadata() -> None:
    found = one(judge_metadata(EQUINIX, ProviderSessions(65000, ()), is_let_through=True))
    assert (found.state, "describes 0 sessions of AS65000" in found.message) == ("ok", True)


@pytest.mark.parametrize("error", [MetadataUnavailable("it did not answer in 5 s"), MetadataInvalid("no session")])
def test_metadata_that_is_late_missing_or_malformed(error: MetadataUnavailable | MetadataInvalid) -> None:
    found = one(judge_metadata(EQUINIX, error, is_let_through=True))
    assert (found.state, found.message) == ("problem", f"the metadata of equinix: {error.message}")
    assert found.remedy.startswith(error.remedy)
    assert found.remedy.endswith("nothing else needs to be done.")


def test_metadata_that_the_firewall_closes_to_us() -> None:
    closed = one(judge_metadata(EQUINIX, MetadataUnavailable("refused"), is_let_through=False))
    assert closed.state == "unknown"
    malformed = one(judge_metadata(EQUINIX, MetadataInvalid("no session"), is_let_through=False))
    assert malformed.state == "problem"


async def test_metadata_is_read_from_where_node_toml_says(scene: Scene) -> None:
    """And heals once it is right."""
    bgp = '[bgp]\n[bgp.metadata]\nprovider = "equinix"\nsource = "metadata.json"\n'
    scene.node_toml(bgp)
    missing = one(await look_at_metadata(await gather(scene.config_file, root=scene.root)))
    assert (missing.state, "No such file" in missing.message) == ("problem", True)
    scene.write("etc/edged/metadata.json", "{}")
    malformed = one(await look_at_metadata(await gather(scene.config_file, root=scene.root)))
    assert malformed.state == "problem"
    neighbor = {
        "address_family": 4,
        "customer_as": 65000,
        "customer_ip": "10.0.0.3",
        "md5_enabled": False,
        "md5_password": None,
        "multihop": True,
        "peer_as": 65530,
        "peer_ips": ["169.254.255.1", "169.254.255.2"],
    }
    network = {
        "addresses": [
            {"address_family": 4, "public": False, "address": "10.0.0.3", "gateway": "10.0.0.2", "enabled": True}
        ]
    }
    scene.write("etc/edged/metadata.json", json.dumps({"bgp_neighbors": [neighbor], "network": network}))
    subject = await gather(scene.config_file, root=scene.root)
    assert isinstance(subject.metadata, ProviderSessions), subject.metadata
    assert one(await look_at_metadata(subject)).state == "ok"
    assert {finding.check for finding in await look_at_routes(subject)} == {"routes"}


async def test_a_node_without_metadata(scene: Scene) -> None:
    for subject in (scene.subject(), scene.subject(config=None)):
        assert list(await look_at_metadata(subject)) == []
        assert list(await look_at_routes(subject)) == []
        assert list(await look_at_addresses(subject)) == []


# --- routes and addresses ---


@pytest.mark.parametrize(
    ("by_node", "is_running", "state", "remedy"),
    [
        (False, False, "problem", "Run"),
        (False, True, "problem", "Run"),
        (True, True, "problem", "CAP_NET_ADMIN"),
        (True, False, "note", ""),
    ],
)
def test_routes_and_addresses_that_are_missing(by_node: bool, is_running: bool, state: str, remedy: str) -> None:
    problem = RouteProblem(ROUTE, "there is no route to 169.254.255.1", "Run `ip route replace`.")
    route = one(judge_routes([problem], 2, by_node=by_node, is_running=is_running))
    address = one(judge_addresses([V6], 2, by_node=by_node, is_running=is_running))
    assert route.state == address.state == state
    assert remedy in route.remedy
    assert remedy in address.remedy


def test_routes_and_addresses_that_are_there() -> None:
    assert one(judge_routes([], 2, by_node=True, is_running=True)).state == "ok"
    assert one(judge_addresses([], 2, by_node=False, is_running=True)).state == "ok"


def test_which_addresses_are_wanted() -> None:
    """Those of node.toml, and prefixes of one address; of the roster where node.toml names none."""
    net = parse_prefix("198.51.100.0/24")
    assert wanted_addresses(BgpTable(addresses=(V4,)), ("203.0.113.10/32", "2001:db8::10/128")) == (V4, V6)
    assert wanted_addresses(
        BgpTable(prefixes=(net,), addresses=(ip_address("198.51.100.7"),)), ["203.0.113.10/32"]
    ) == (ip_address("198.51.100.7"),)
    assert wanted_addresses(BgpTable(), ()) == ()


PEER = '[bgp]\nasn = 65000\n[[bgp.peer]]\naddress = "192.0.2.9"\nasn = 65001\nlocal_address = "192.0.2.2"\n'


async def test_addresses_of_the_roster_are_known_while_the_node_answers(scene: Scene) -> None:
    scene.node_toml(PEER)
    assert one(await look_at_addresses(scene.subject())).state == "unknown"
    finding = one(await look_at_addresses(scene.subject(status=view(node()))))
    assert "203.0.113.10" in finding.message


async def test_addresses_on_this_machine(scene: Scene) -> None:
    scene.node_toml(PEER.replace("[[", 'addresses = ["127.0.0.1"]\nprefixes = ["127.0.0.0/24"]\n[['))
    assert one(await look_at_addresses(scene.subject())).state == "ok"


# --- firewall ---

TABLE = """table inet edged {
	chain output {
		type filter hook output priority filter; policy accept;
		ip daddr 169.254.169.254 meta skuid != 0 reject
	}
	chain input {
		type filter hook input priority filter; policy accept;
		iifname "lo" accept
		tcp dport 7403 drop
	}
}
"""
CHAINS = ("output", "input")


def listed(**rules: int) -> str:
    shown: list[dict[str, object]] = [{"metainfo": {"version": "1"}}, {"table": {"family": "inet", "name": "edged"}}]
    shown += [{"chain": {"name": name}} for name in rules]
    shown += [{"rule": {"chain": name, "expr": []}} for name, count in rules.items() for _ in range(count)]
    return json.dumps({"nftables": shown})


@pytest.mark.parametrize(
    ("said_by_nft", "state", "words"),
    [
        (Said(listed(output=1, input=2)), "ok", "3 rules"),
        (Said(listed(output=1, input=0)), "problem", "lost rules of input"),
        (Said(listed(output=1)), "problem", "lost rules of input"),
        (Said(why="there is no nft on this machine", is_missing=True), "problem", "no nft"),
        (Said(why="nft: Error: No such file or directory"), "problem", "not loaded"),
        (Said(why="nft: Operation not permitted (you must be root)"), "unknown", "only root"),
        (Said(why="`nft` did not end in 5 s"), "unknown", "did not end"),
        (Said("nonsense"), "unknown", "did not answer with"),
        (Said(""), "unknown", "did not answer with"),
    ],
)
def test_firewall(said_by_nft: Said, state: str, words: str) -> None:
    finding = one(firewall.judge(FirewallFacts(said_by_nft, CHAINS, "enabled")))
    assert finding.state == state
    assert words in finding.message
    assert (f"systemctl restart {FIREWALL_UNIT}" in finding.remedy) == (state == "problem")


def test_a_firewall_that_is_not_loaded_at_boot() -> None:
    found = list(firewall.judge(FirewallFacts(Said(listed(output=1, input=1)), CHAINS, "disabled")))
    assert [finding.state for finding in found] == ["ok", "warning"]


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"nftables":[1]}', '{"nftables":[{"rule":{"chain":"x"}}]}', "[" * 99_999]
)
def test_what_is_no_table(text: str) -> None:
    assert parse_chains(text) is None


async def test_a_machine_that_was_set_up_by_hand_has_a_firewall_of_its_own(scene: Scene) -> None:
    assert list(await firewall.look(scene.subject(machine=None))) == []


@pytest.fixture
def here() -> Iterator[Machine]:
    with machine() as made:
        yield made


@needs_root
def test_a_real_firewall(here: Machine, tmp_path: Path) -> None:
    """What nft really says of a table that is not there, is loaded, and was emptied."""
    (tmp_path / "firewall.nft").write_text(TABLE)

    def state() -> list[str]:
        done = subprocess.run(
            ["ip", "netns", "exec", here.name, "nft", "-j", "list", "table", "inet", "edged"],
            capture_output=True,
            text=True,
            check=False,
        )
        why = f"nft: {done.stderr.splitlines()[0]}" if done.returncode else ""
        return [state for state, _ in said(firewall.judge(FirewallFacts(Said(done.stdout, why), CHAINS)))]

    assert state() == ["problem"]
    here.run("nft", "-f", str(tmp_path / "firewall.nft"))
    assert state() == ["ok"]
    here.run("nft", "flush", "chain", "inet", "edged", "input")
    assert state() == ["problem"]
    here.run("nft", "delete", "table", "inet", "edged")
    assert state() == ["problem"]


async def test_the_chains_of_the_file_that_was_provisioned(scene: Scene) -> None:
    assert firewall.chains_of(scene.subject()) == ()
    scene.write(paths.FIREWALL, TABLE)
    assert firewall.chains_of(scene.subject()) == CHAINS


# --- sysctl ---


def test_sysctl_files() -> None:
    text = (
        "# a\n; b = 1\nnet.ipv4.tcp_x = 1\n-net/ipv4/y=2\nkernel.z =  a \t b\nnet.*.q = 1\nnothing\nnet.ipv4.tcp_x=3\n"
    )
    assert parse_sysctl(text) == {"net.ipv4.tcp_x": "3", "net.ipv4.y": "2", "kernel.z": "a b"}


async def test_settings_that_are_in_force_or_not(scene: Scene) -> None:
    scene.write(paths.SYSCTL, "net.ipv4.a = 1\nnet.ipv4.b = 2 3\nnet.ipv4.not_here = 1\n")
    scene.write("proc/sys/net/ipv4/a", "1\n")
    scene.write("proc/sys/net/ipv4/b", "2\t3\n")
    assert one(await sysctl.look(scene.subject())).state == "ok"
    scene.write("proc/sys/net/ipv4/b", "2\t4\n")
    finding = one(await sysctl.look(scene.subject()))
    assert (finding.state, finding.message) == ("warning", f"net.ipv4.b is 2 4, and {paths.SYSCTL} has 2 3")


async def test_settings_that_harm_anycast_are_told_once(scene: Scene) -> None:
    for interface in ("all", "eth0"):
        for name, value in (("rp_filter", 1), ("arp_ignore", 1), ("arp_announce", 2)):
            scene.write(f"proc/sys/net/ipv4/conf/{interface}/{name}", f"{value}\n")
    assert one(await sysctl.look(scene.subject())).state == "ok", "this node announces nothing"
    scene.node_toml(PEER)
    finding = one(await sysctl.look(scene.subject()))
    assert "RFC 3704" in finding.message
    scene.write(paths.SYSCTL, "net.ipv4.conf.all.rp_filter = 2\n")
    finding = one(await sysctl.look(scene.subject()))
    assert f"{paths.SYSCTL} has 2" in finding.message


def test_a_key_that_leads_elsewhere_is_not_read(scene: Scene) -> None:
    assert sysctl._read(scene.subject(), "../../etc/edged/node/toml") is None
    assert sysctl._read(scene.subject(), "net\x00x") is None


def test_a_problem_of_another_key_stays(scene: Scene) -> None:
    problem = SettingProblem("net.ipv4.conf.all.rp_filter", 1, "why", "Set it.")
    assert one(sysctl.judge({"a": "1"}, {"a": "1"}, (problem,))).remedy == "Set it."
