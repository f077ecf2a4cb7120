from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from bgp.addresses import absent, is_present
from tests.bgp.namespaces import Machine, machine
from tests.lab.lab import may_run

needs_root = pytest.mark.skipif(bool(may_run()), reason=may_run() or "-")

V4, V6, OTHER = "203.0.113.10", "2001:db8::10", "203.0.113.11"


def test_of_this_machine() -> None:
    assert is_present(ip_address("127.0.0.1"))
    assert not is_present(ip_address(V4))
    assert not is_present(ip_address(V6))
    assert absent([ip_address("127.0.0.1"), ip_address(V4)]) == (ip_address(V4),)


def test_not_knowing_is_not_absence() -> None:
    command = [sys.executable, "-m", "tests.bgp.in_namespace", "present_without_descriptors", V4]
    error = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert error["code"] == "bgp.network-setting-failed"
    assert "Too many open files" in error["message"]


@pytest.fixture
def here() -> Iterator[Machine]:
    with machine() as made:
        yield made


@needs_root
def test_present_is_what_is_there_and_not_what_can_be_bound(here: Machine) -> None:
    assert here.ask("present", V4, V6) == [False, False]
    here.run("sysctl", "-qw", "net.ipv4.ip_nonlocal_bind=1", "net.ipv6.ip_nonlocal_bind=1")
    here.run(
        "python3", "-c", f"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(('{V4}', 0))"
    )  # it can
    assert here.ask("present", V4, V6) == [False, False]
    here.run("ip", "address", "add", f"{V4}/32", "dev", "lo")
    here.run("ip", "address", "add", f"{V6}/128", "dev", "lo")
    assert here.ask("present", V4, V6, OTHER) == [True, True, False]


@needs_root
def test_present_with_a_default_route(here: Machine) -> None:
    here.run("ip", "link", "add", "out", "type", "veth", "peer", "name", "far")
    here.run("ip", "link", "set", "out", "up")
    here.run("ip", "link", "set", "far", "up")
    here.run("ip", "address", "add", "10.0.0.1/24", "dev", "out")
    here.run("ip", "route", "add", "default", "via", "10.0.0.2")
    assert here.ask("present", "10.0.0.1", "10.0.0.2", V4) == [True, False, False]


@needs_root
def test_own_adds_what_is_missing_and_release_takes_only_that_away(here: Machine) -> None:
    here.run("ip", "address", "add", f"{OTHER}/32", "dev", "lo")
    assert here.ask("own_and_release", V4, V6, OTHER) == [V6, V4]
    assert here.ask("present", V4, V6, OTHER) == [False, False, True]
    assert here.ask("own", V4, V6, OTHER) == [V4, V6]
    assert here.ask("own", V4, V6, OTHER) == []
    assert here.ask("present", V4, V6, OTHER) == [True, True, True]
    shown = here.run("ip", "-brief", "address", "show", "dev", "lo")
    assert f"{V4}/32" in shown
    assert f"{V6}/128" in shown


@needs_root
def test_what_somebody_else_put_on_lo_stays_although_it_looks_absent(here: Machine) -> None:
    """A rule for all that is sent makes the kernel talk to an address of its own as to a stranger's."""
    here.run("ip", "address", "add", f"{V4}/32", "dev", "lo")
    here.run("ip", "rule", "add", "pref", "1", "to", f"{V4}/32", "lookup", "77")
    here.run("ip", "rule", "add", "pref", "100", "lookup", "local")
    here.run("ip", "rule", "del", "pref", "0")
    here.run("ip", "route", "add", "unreachable", f"{V4}/32", "table", "77")
    assert here.ask("present", V4) == [False]
    assert here.ask("own_and_release_once", V4) == []
    assert f"{V4}/32" in here.run("ip", "-brief", "address", "show", "dev", "lo")


@needs_root
def test_without_the_capability(here: Machine) -> None:
    user = ("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
    error = here.ask("own", V4, user=user)
    assert error["code"] == "bgp.network-setting-forbidden"
    assert "CAP_NET_ADMIN" in error["remedy"]
    here.run("ip", "address", "add", f"{V4}/32", "dev", "lo")
    assert here.ask("own", V4, user=user) == []  # nothing to do takes no capability
