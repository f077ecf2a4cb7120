"""`[bgp]` of a node.toml: what it says, and every way in which it can be wrong, with its line."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from bgp.announcement import GRACEFUL_SHUTDOWN, NO_EXPORT, Attributes, Community, LargeCommunity
from bgp.peer import BfdTimes
from edged.anycast.config import BgpTable, MetadataTable, PeerTable, covers
from edged.errors import NodeConfigInvalid
from edged.limits import ANYCAST_PREPEND_COUNT
from edged.node.config_file import parse

NODE = '[node]\nname = "n1"\nregion = "eu"\nstate_dir = "/s"\n'
PEER = '[[bgp.peer]]\naddress = "192.0.2.1"\nasn = 65101\nlocal_address = "192.0.2.2"\n'
FILE = Path("/etc/edged/node.toml")


def table(bgp: str, listen: str = '"0.0.0.0:80"') -> BgpTable:
    found = parse(f"{NODE}[http]\nlisten = [{listen}]\n{bgp}".encode(), FILE).bgp
    assert found is not None
    return found


def refused(bgp: str, listen: str = '"0.0.0.0:80"') -> list[str]:
    with pytest.raises(NodeConfigInvalid) as caught:
        table(bgp, listen)
    return caught.value.message.splitlines()


def test_without() -> None:
    assert parse(f'{NODE}[http]\nlisten = [":80"]\n'.encode(), FILE).bgp is None


def test_the_least() -> None:
    one = PeerTable("192.0.2.1", ip_address("192.0.2.1"), 65101, ip_address("192.0.2.2"))
    assert table(f"[bgp]\nasn = 65200\n{PEER}") == BgpTable(asn=65200, peers=(one,))


def test_all_of_it() -> None:
    found = table(
        """[bgp]
asn = 4200000000
router_id = "192.0.2.9"
hold_s = 3
deadman_s = 2
prefixes = ["203.0.113.10/32", "2001:db8:a::/48"]
addresses = ["2001:db8:a::10"]
own_addresses = true
med = 10
communities = ["65000:1"]
large_communities = ["65000:1:2"]
no_export = true
[bgp.drain]
shift_s = 0
linger_s = 600
[[bgp.peer]]
name = "router"
address = "2001:db8::1"
asn = 65101
local_address = "2001:db8::2"
next_hop = "192.0.2.2"
port = 1790
password_file = "secret"
multihop = 2
interface = "eth0"
hold_s = 30
bfd = { interval_ms = 50, multiplier = 5 }
""",
        '":80"',
    )
    (peer,) = found.peers
    assert (peer.name, peer.password_file, peer.next_hops["ipv4"]) == (
        "router",
        Path("/etc/edged/secret"),
        ip_address("192.0.2.2"),
    )
    assert peer.bfd == BfdTimes(50, 5)
    assert (found.drain.shift_s, found.drain.linger_s, found.deadman_s) == (0.0, 600.0, 2.0)
    assert found.addresses_of(ip_network("203.0.113.10/32")) == (ip_address("203.0.113.10"),)
    assert found.addresses_of(ip_network("2001:db8:a::/48")) == (ip_address("2001:db8:a::10"),)
    communities = (Community(65000, 1), NO_EXPORT)
    large = (LargeCommunity(65000, 1, 2),)
    assert found.attributes("plain") == Attributes(10, communities, large)
    assert found.attributes("last-resort") == Attributes(
        10, (*communities, GRACEFUL_SHUTDOWN), large, ANYCAST_PREPEND_COUNT
    )


def test_metadata() -> None:
    found = table('[bgp]\n[bgp.metadata]\nprovider = "equinix"\nsource = "meta.json"\n')
    assert found.metadata == MetadataTable("equinix", "/etc/edged/meta.json")
    found = table('[bgp]\n[bgp.metadata]\nprovider = "vultr"\nsource = "http://169.254.169.254/v1.json"\n')
    assert found.metadata == MetadataTable("vultr", "http://169.254.169.254/v1.json")
    assert table('[bgp]\n[bgp.metadata]\nprovider = "vultr"\nown_routes = true\n').metadata == MetadataTable(
        "vultr", own_routes=True
    )
    found = table('[bgp]\n[bgp.metadata]\nprovider = "vultr"\npassword_file = "bgp.password"\n')
    assert found.metadata == MetadataTable("vultr", password_file=Path("/etc/edged/bgp.password"))


BGP = "[bgp]\nasn = 65200\n"


@pytest.mark.parametrize(
    ("bgp", "line", "said"),
    [
        ("[bgp]\nasn = 1\n", 7, "needs [[bgp.peer]] or [bgp.metadata]"),
        (f'{BGP}{PEER}[bgp.metadata]\nprovider = "vultr"\n', 7, "not both"),
        (f"[bgp]\n{PEER}", 7, "needs `asn`"),
        (f"[bgp]\nasn = 0\n{PEER}", 8, "between 1 and"),
        (f"[bgp]\nasn = 4294967296\n{PEER}", 8, "between 1 and"),
        (f"{BGP}prefixs = []\n{PEER}", 9, "did you mean `prefixes`"),
        (f"{BGP}prefixes = []\n{PEER}", 9, "must not be empty"),
        (f'{BGP}prefixes = ["203.0.113.1/24"]\n{PEER}', 9, "no prefix"),
        (f'{BGP}prefixes = ["0.0.0.0/0"]\n{PEER}', 9, "default route"),
        (f'{BGP}prefixes = ["203.0.113.0/24"]\n{PEER}', 9, "name those served in `bgp.addresses`"),
        (f'{BGP}prefixes = ["203.0.113.1/32", "203.0.113.1/32"]\n{PEER}', 9, "twice"),
        (f'{BGP}prefixes = ["1.0.0.1/32","1.0.0.2/32","1.0.0.3/32","1.0.0.4/32","1.0.0.5/32"]\n{PEER}', 9, "at most 4"),
        (f'{BGP}prefixes = ["2001:db8::1/128"]\n{PEER}', 9, "nothing listens on 2001:db8::1"),
        (f'{BGP}addresses = ["2001:db8::1"]\n{PEER}', 9, "nothing listens on 2001:db8::1"),
        (f'{BGP}prefixes = ["1.0.0.1/32"]\naddresses = ["1.0.0.2"]\n{PEER}', 10, "in none of `bgp.prefixes`"),
        (f'{BGP}addresses = ["0.0.0.0"]\n{PEER}', 9, "address of no machine"),
        (f'{BGP}addresses = ["fe80::1%eth0"]\n{PEER}', 9, "address of no machine"),
        (f'{BGP}addresses = ["::ffff:1.0.0.1"]\n{PEER}', 9, "write 1.0.0.1"),
        (f'{BGP}router_id = "2001:db8::1"\n{PEER}', 9, "IPv4"),
        (f"{BGP}hold_s = 2\n{PEER}", 9, "between 3 and 240"),
        (f"{BGP}hold_s = 241\n{PEER}", 9, "between 3 and 240"),
        (f"{BGP}deadman_s = nan\n{PEER}", 9, "between 0.5 and 60"),
        (f"{BGP}deadman_s = 0.4\n{PEER}", 9, "between 0.5 and 60"),
        (f"{BGP}med = -1\n{PEER}", 9, "between 0 and"),
        (f'{BGP}communities = ["1"]\n{PEER}', 9, "is no community"),
        (f'{BGP}large_communities = ["1:2"]\n{PEER}', 9, "is no large community"),
        (f"{BGP}[bgp.drain]\nshift_s = 60.1\n{PEER}", 10, "between 0 and 60"),
        (f"{BGP}[bgp.drain]\nlinger_s = 601\n{PEER}", 10, "between 0 and 600"),
        (f"{BGP}{PEER}{PEER}", 13, "already, on line 9"),
        (BGP + PEER.replace("192.0.2.2", "2001:db8::2") + "ttl_security = true\n", 9, "different families"),
        (f"{BGP}{PEER}ttl_security = true\nmultihop = 2\n", 9, "not with `multihop`"),
        (f'{BGP}{PEER}next_hop = "192.0.2.3"\n', 9, "not of"),
        (f"{BGP}{PEER}port = 0\n", 13, "between 1 and 65535"),
        (f'{BGP}{PEER}interface = "a b"\n', 13, "no name of an interface"),
        (f'{BGP}{PEER}interface = "abcdefghijklmnop"\n', 13, "no name of an interface"),
        (f"{BGP}{PEER}bfd = 3\n", 13, "must be"),
        (f"{BGP}{PEER}bfd = {{ interval_ms = 9 }}\n", 13, "between 10 and"),
        (BGP + PEER.replace("192.0.2.1", "2001:db8::1").replace("192.0.2.2", "2001:db8::2"), 7, "needs `router_id`"),
        ('[bgp]\n[bgp.metadata]\nprovider = "vulture"\n', 9, "did you mean `vultr`"),
        ("[bgp]\n[bgp.metadata]\n", 8, "needs `provider`"),
    ],
)
def test_wrong(bgp: str, line: int, said: str) -> None:
    problems = refused(bgp)
    assert any(said in problem and problem.startswith(f"{FILE}:{line}: ") for problem in problems), problems


@pytest.mark.parametrize("count", [16, 17])
def test_peers_at_the_limit(count: int) -> None:
    peers = "".join(PEER.replace("192.0.2.1", f"192.0.3.{number}") for number in range(1, count + 1))
    if count == 16:
        assert len(table(BGP + peers).peers) == count
    else:
        assert "at most 16" in refused(BGP + peers)[0]


@pytest.mark.parametrize(
    ("listen", "address", "is_covered"),
    [
        ("::", "203.0.113.1", True),
        ("::", "2001:db8::1", True),
        ("0.0.0.0", "203.0.113.1", True),
        ("0.0.0.0", "2001:db8::1", False),
        ("203.0.113.1", "203.0.113.1", True),
        ("203.0.113.2", "203.0.113.1", False),
        ("2001:db8:0::1", "2001:db8::1", True),
        ("localhost", "127.0.0.1", False),
    ],
)
def test_what_listening_covers(listen: str, address: str, is_covered: bool) -> None:
    assert covers(listen, ip_address(address)) == is_covered
