"""What the stage makes without a lab."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from benchmarks.chaos import stage
from benchmarks.chaos.publishing import PACES
from benchmarks.chaos.stage import APPS, HOME, LIAR, NET, NODES, lasting
from edged.fleet.certificate import days_left
from tests.lab.topology import Topology

NOW, DAY_S = 1_800_000_000.0, 86_400


@pytest.mark.parametrize("seconds", [1, 25, DAY_S - 1, DAY_S, DAY_S + 1, 365 * DAY_S])
def test_a_certificate_that_lasts_so_long(seconds: int) -> None:
    """It is good at once, and to the second."""
    certificate = lasting("a", seconds, NOW).certificate
    assert days_left(certificate, NOW) * DAY_S == pytest.approx(seconds)
    assert x509.load_der_x509_certificate(certificate).not_valid_before_utc.timestamp() < NOW


def test_the_internet_has_all_of_them() -> None:
    """Each behind a link of its own that can be cut."""
    topology = Topology.load(Path(stage.__file__).with_name("internet.toml"))
    assert set(topology.addresses) == {*NODES, LIAR, HOME, NET}
    assert {frozenset(end.place for end in link.ends) for link in topology.links} == {
        frozenset({place, NET}) for place in (*NODES, LIAR, HOME)
    }
    assert all(link.rtt_ms > 0 for link in topology.links)


def test_every_app_has_its_pace() -> None:
    assert set(PACES) == set(APPS)
