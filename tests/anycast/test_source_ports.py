"""Source ports: learned, lost, used by one connection at a time."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from edged.anycast.probe import Target
from edged.anycast.source_ports import SourcePorts
from edged.limits import CANARY_PORTS_PER_WORKER

HTTP, HTTPS = (Target(ip_address("203.0.113.10"), port) for port in (80, 443))


def test_a_port_is_taken_once_and_given_back() -> None:
    ports = SourcePorts()
    assert ports.take(HTTP, 0) is None
    ports.learned(HTTP, 0, 1001)
    assert ports.take(HTTP, 0) == 1001
    assert ports.take(HTTP, 0) is None, "a second connection from it cannot be"
    ports.give_back(HTTP, 1001)
    assert ports.take(HTTP, 0) == 1001


def test_ports_take_turns() -> None:
    ports = SourcePorts()
    for port in (1001, 1002):
        ports.learned(HTTP, 0, port)
    taken = []
    for _ in range(4):
        port = ports.take(HTTP, 0)
        assert port is not None
        taken.append(port)
        ports.give_back(HTTP, port)
    assert taken == [1001, 1002, 1001, 1002]


def test_so_many_are_kept() -> None:
    ports = SourcePorts()
    for port in range(CANARY_PORTS_PER_WORKER):
        assert ports.scarce(HTTP, [0]) == {0}
        ports.learned(HTTP, 0, port + 1)
    assert ports.scarce(HTTP, [0]) == set()
    ports.learned(HTTP, 0, 9999)
    assert {ports.take(HTTP, 0) for _ in range(CANARY_PORTS_PER_WORKER + 1)} == {1, 2, 3, None}


def test_a_port_that_leads_to_another_is_that_ones() -> None:
    ports = SourcePorts()
    ports.learned(HTTP, 0, 1001)
    ports.learned(HTTPS, 0, 1001)
    ports.learned(HTTP, 1, 1001)
    assert ports.unknown(HTTP, [0, 1]) == {0}
    assert ports.unknown(HTTPS, [0]) == set(), "the other target has its own"


def test_what_is_lost_is_lost_at_that_target() -> None:
    ports = SourcePorts()
    for target in (HTTP, HTTPS):
        ports.learned(target, 0, 1001)
    ports.lost(HTTP, 1001)
    assert (ports.unknown(HTTP, [0]), ports.unknown(HTTPS, [0])) == ({0}, set())


def test_a_port_in_use_stays_so_when_all_is_forgotten() -> None:
    """The connection that waits on it still has it."""
    ports = SourcePorts()
    ports.learned(HTTP, 0, 1001)
    ports.take(HTTP, 0)
    ports.clear()
    assert ports.unknown(HTTP, [0]) == {0}
    ports.learned(HTTP, 1, 1001)
    assert ports.take(HTTP, 1) is None
    ports.give_back(HTTP, 1001)
    assert ports.take(HTTP, 1) == 1001


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6))))
def test_a_port_leads_to_one_worker_at_most(learned: list[tuple[int, int]]) -> None:
    ports = SourcePorts()
    for worker, port in learned:
        ports.learned(HTTP, worker, port)
    taken = [ports.take(HTTP, worker) for worker in range(4) for _ in range(CANARY_PORTS_PER_WORKER)]
    known = [port for port in taken if port is not None]
    assert len(known) == len(set(known))
    last = {port: worker for worker, port in learned}
    assert set(known) <= last.keys()
