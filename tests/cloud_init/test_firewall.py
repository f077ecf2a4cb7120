"""firewall.nft in the kernel: who reaches what, and who does not."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import select
import shutil
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from provisioning import templates
from tests.cloud_init.namespaces import Namespaces, namespaces
from tests.lab.lab import may_run

pytestmark = pytest.mark.skipif(bool(may_run("nft", "sysctl")), reason=may_run("nft", "sysctl") or "-")

ROOT, EDGED, OTHER = 0, 63_998, 63_999

METADATA = ["169.254.169.254", "192.0.2.124", "fd00:ec2::254", "fd20:ce::254", "2001:db8::124"]
ROUTERS = ["192.0.2.2", "2001:db8::2"]
STRANGERS = ["192.0.2.3", "2001:db8::3"]
OWN = ["192.0.2.1", "2001:db8::1"]
ADMIN_PORT = 9_999
OPEN_PORT = 9_998
BFD_PORTS = (3784, 4784)
WAIT_S = 30.0

VALUES = {
    "METADATA_V4": "192.0.2.124",
    "METADATA_V6": "2001:db8::124",
    "ROUTERS_V4": "192.0.2.2",
    "ROUTERS_V6": "2001:db8::2",
    "ADMIN_PORT": str(ADMIN_PORT),
}
ANYWHERE = {"ROUTERS_V4": "0.0.0.0/0", "ROUTERS_V6": "::/0"}
NONE = {"METADATA_V4": "", "METADATA_V6": "", "ROUTERS_V4": "", "ROUTERS_V6": "", "ADMIN_PORT": "0"}


def rules(**changed: str) -> str:
    """As on a machine, but for the user, which this machine does not have."""
    text = templates.fill("firewall.nft", templates.bare(templates.read("firewall.nft")), VALUES | changed)
    whole, count = re.subn(r"skuid \{ root, edged \}", f"skuid {{ root, {EDGED} }}", text)
    assert count == 1
    return whole


@pytest.fixture(scope="module")
def built() -> Iterator[Namespaces]:
    world = [f"{each}/{128 if ':' in each else 32}" for each in METADATA + ROUTERS + STRANGERS]
    with namespaces({"machine": ["192.0.2.1/24", "2001:db8::1/64"], "world": world}) as here:
        for version, own in zip(("-4", "-6"), OWN, strict=True):
            here.run("world", "ip", version, "route", "add", own, "dev", "out")
            here.run("machine", "ip", version, "route", "add", "default", "dev", "out")
            here.run("world", "ip", version, "route", "add", "default", "via", own)
        yield here


@pytest.fixture
def here(built: Namespaces) -> Namespaces:
    built.run("machine", "nft", "flush", "ruleset")
    load(built, rules())
    return built


def load(here: Namespaces, text: str, *, check: bool = True) -> str:
    return here.run("machine", "nft", "-f", "-", given=text, check=check)


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6


def reaches(here: Namespaces, address: str, *, port: int = 80, user: int = ROOT, place: str = "machine") -> bool:
    """Whether TCP of a user comes to an address, where nobody listens: the far end says so, or this one does."""
    with here.socket(place, family(address), socket.SOCK_STREAM, user=user) as sock:
        sock.settimeout(WAIT_S)
        code = sock.connect_ex((address, port))
    assert code in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EACCES), os.strerror(code)
    return code == errno.ECONNREFUSED


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize(
    ("user", "allowed"), [(ROOT, True), (EDGED, True), (OTHER, False)], ids=["root", "edged", "other"]
)
@pytest.mark.parametrize("port", [80, 443, 179])
def test_metadata_is_for_root_and_edged(port: int, user: int, allowed: bool, address: str, here: Namespaces) -> None:
    assert reaches(here, address, user=user, port=port) is allowed


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize("port", [53, 123])
def test_names_and_time_are_for_all(port: int, address: str, here: Namespaces) -> None:
    assert reaches(here, address, user=OTHER, port=port)
    with here.socket("machine", family(address), socket.SOCK_DGRAM, user=OTHER) as sock:
        assert sock.sendto(b"?", (address, port)) == 1


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize(("user", "allowed"), [(EDGED, True), (OTHER, False)], ids=["edged", "other"])
def test_metadata_by_udp(user: int, allowed: bool, address: str, here: Namespaces) -> None:
    with here.socket("machine", family(address), socket.SOCK_DGRAM, user=user) as sock:
        sock.setblocking(False)
        try:
            assert sock.sendto(b"?", (address, 80)) == 1
            assert allowed
        except PermissionError:
            assert not allowed


@pytest.mark.parametrize("address", STRANGERS + ROUTERS)
@pytest.mark.parametrize("user", [ROOT, EDGED, OTHER], ids=["root", "edged", "other"])
def test_all_else_is_for_all(user: int, address: str, here: Namespaces) -> None:
    assert reaches(here, address, user=user)


@pytest.mark.parametrize("address", METADATA)
def test_metadata_is_not_for_containers(address: str, here: Namespaces) -> None:
    assert not reaches(here, address, place="container")


@pytest.mark.parametrize("address", STRANGERS)
def test_containers_reach_all_else(address: str, here: Namespaces) -> None:
    assert reaches(here, address, place="container")


def come_in(
    here: Namespaces, own: str, port: int, kind: socket.SocketKind, sources: list[str], wanted: int
) -> list[str]:
    """Which of the sources get through to a port of the machine.

    Each sends after the one before on one wire; the last word goes to a port that is open to all. When that has come,
    and as many as are wanted, all that may come has.
    """
    came: list[str] = []
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(here.socket("machine", family(own), kind))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((own, port))
        if kind == socket.SOCK_STREAM:
            listener.listen()
        last = stack.enter_context(here.socket("machine", family(own), socket.SOCK_DGRAM))
        last.settimeout(WAIT_S)
        last.bind((own, OPEN_PORT))
        for source in sources:
            sender = stack.enter_context(here.socket("world", family(own), kind))
            sender.setblocking(False)
            sender.bind((source, 0))
            code = sender.connect_ex((own, port))
            assert code in (0, errno.EINPROGRESS), os.strerror(code)
            if kind == socket.SOCK_DGRAM:
                sender.send(b"!")
        sender = stack.enter_context(here.socket("world", family(own), socket.SOCK_DGRAM))
        sender.sendto(b".", (own, OPEN_PORT))
        assert last.recv(1) == b"."
        while select.select([listener], [], [], WAIT_S if len(came) < wanted else 0)[0]:
            if kind == socket.SOCK_DGRAM:
                came.append(listener.recvfrom(1)[1][0])
            else:
                connection, peer = listener.accept()
                connection.close()
                came.append(peer[0])
    return came


TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
SESSIONS = [(179, TCP), *((port, UDP) for port in BFD_PORTS)]


@pytest.mark.parametrize(("port", "kind"), SESSIONS)
@pytest.mark.parametrize("index", [0, 1], ids=["IPv4", "IPv6"])
def test_sessions_come_from_routers(index: int, port: int, kind: socket.SocketKind, here: Namespaces) -> None:
    own, router, stranger = OWN[index], ROUTERS[index], STRANGERS[index]
    for known, expected in ((VALUES, [router]), (ANYWHERE, [stranger, router]), (NONE, [])):
        load(here, rules(**known))
        assert come_in(here, own, port, kind, [stranger, router], len(expected)) == expected


@pytest.mark.parametrize("index", [0, 1], ids=["IPv4", "IPv6"])
def test_the_admin_port_is_closed_to_the_world(index: int, here: Namespaces) -> None:
    own, router, stranger = OWN[index], ROUTERS[index], STRANGERS[index]
    for port, expected in ((str(ADMIN_PORT), []), ("0", [stranger, router])):
        load(here, rules(ADMIN_PORT=port))
        assert come_in(here, own, ADMIN_PORT, TCP, [stranger, router], len(expected)) == expected


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", *OWN])
def test_the_admin_port_is_open_to_the_machine(address: str, here: Namespaces) -> None:
    assert reaches(here, address, port=ADMIN_PORT, user=OTHER)


@pytest.mark.parametrize("index", [0, 1], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("port", [22, 80, 7400])
def test_other_ports_are_open(port: int, index: int, here: Namespaces) -> None:
    assert come_in(here, OWN[index], port, TCP, [STRANGERS[index]], 1) == [STRANGERS[index]]


def tables(here: Namespaces) -> list[object]:
    """All that nft lists, without the numbers that change with each load."""
    listed = json.loads(here.run("machine", "nft", "-j", "list", "ruleset"))["nftables"]
    return [
        {kind: {key: value for key, value in each.items() if key != "handle"} for kind, each in entry.items()}
        for entry in listed
    ]


def test_it_may_be_loaded_again(here: Namespaces) -> None:
    before = tables(here)
    load(here, rules())
    assert tables(here) == before
    load(here, rules(ADMIN_PORT="1234"))
    assert "1234" in str(tables(here))
    load(here, rules())
    assert tables(here) == before


def test_it_is_loaded_as_a_whole_or_not_at_all(here: Namespaces) -> None:
    before = tables(here)
    # Understood by nft, and refused by the kernel at the end.
    message = load(here, f"{rules(ADMIN_PORT='1234')}\ndelete table inet absent\n", check=False)
    assert "No such file" in message
    assert tables(here) == before


def test_the_machines_own_rules_stay(here: Namespaces) -> None:
    load(here, "table inet filter { chain input { type filter hook input priority 0; tcp dport 22 drop; }; }")
    load(here, rules())
    assert "tcp dport 22 drop" in here.run("machine", "nft", "list", "table", "inet", "filter")
    assert come_in(here, OWN[0], 22, TCP, [STRANGERS[0]], 0) == []


def test_the_unit_takes_the_table_away_and_no_other(here: Namespaces) -> None:
    unit = (Path(__file__).parents[2] / "cloud-init/edged-firewall.service").read_text()
    (stop,) = re.findall(r'^ExecStop=\S+ "(.*)"$', unit, re.MULTILINE)
    load(here, "add table inet filter")
    for _ in range(2):  # also where it is gone already
        here.run("machine", shutil.which("nft") or "nft", stop)
        assert here.run("machine", "nft", "list", "tables") == "table inet filter\n"
