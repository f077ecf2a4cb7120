"""Who may open another connection."""

from __future__ import annotations

import pytest

from edged.http import admission as admission_module
from edged.http.admission import Admission, client_address


def test_the_most_in_all() -> None:
    admission = Admission(2, 10)
    assert [admission.enter(host) for host in ("192.0.2.1", "192.0.2.2", "192.0.2.3")] == [True, True, False]
    assert (admission.open, admission.refused) == (2, 1)
    admission.leave("192.0.2.1")
    assert admission.enter("192.0.2.3")
    assert (admission.open, admission.refused) == (2, 1)


def test_room_for_clients_on_this_machine() -> None:
    admission = Admission(1, 10, own_count=1)
    hosts = ("203.0.113.1", "203.0.113.2", "127.0.0.1", "127.0.0.1")
    assert [admission.enter(host) for host in hosts] == [True, False, True, False]
    assert not Admission(0, 10).enter("127.0.0.1"), "only where it is asked for"


def test_neighbours_in_the_network_of_an_address_leave_room_for_its_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_module, "is_here", lambda host: host == "2001:db8::10")
    admission = Admission(10, 1, own_count=1)
    hosts = ("2001:db8::bad", "2001:db8::bad", "2001:db8::10", "2001:db8::10")
    assert [admission.enter(host) for host in hosts] == [True, False, True, False]


def test_the_most_of_one_address() -> None:
    admission = Admission(10, 1)
    assert [admission.enter(host) for host in ("192.0.2.1", "192.0.2.1", "192.0.2.2")] == [True, False, True]
    admission.leave("192.0.2.1")
    assert admission.enter("192.0.2.1")


def test_ipv6_addresses_count_by_network() -> None:
    admission = Admission(10, 1)
    hosts = ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "::1")
    assert [admission.enter(host) for host in hosts] == [True, False, True, True]


def test_nothing_is_kept_of_clients_that_left() -> None:
    admission = Admission(10, 1)
    for number in range(1000):
        host = f"192.0.2.{number % 250}"
        assert admission.enter(host)
        admission.leave(host)
    assert not admission._by_network


@pytest.mark.parametrize(
    ("address", "client"),
    [
        (("192.0.2.1", 80), ("192.0.2.1", 80)),
        (("::ffff:192.0.2.1", 80), ("192.0.2.1", 80)),
        (("2001:db8::1", 80), ("2001:db8::1", 80)),
        (("fe80::1%eth0", 80), ("fe80::1", 80)),
    ],
)
def test_client_addresses(address: tuple[str, int], client: tuple[str, int]) -> None:
    assert client_address(address) == client
