"""When a node speaks of certificates that expire: each once at 30, 7, 1 and 0 days, and its own as alarms."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog.testing

from edged.errors import CertificateExpiring
from edged.fleet.certificate import certificate_pem, make_identity
from edged.limits import CERTIFICATE_DAYS, CERTIFICATE_DAYS_ALARMED, CERTIFICATE_DAYS_TOLD
from edged.node.certificate_watch import CertificateWatch
from edged.node.config import CertificateTable
from tests.fleet import kit

DAY_S = 86_400
SECOND = 1 / DAY_S
OWN = "certificate of node n1"


class Scene:
    """Node n1 of the fleet of the kit, whose certificates all end on one day."""

    def __init__(self, folder: Path) -> None:
        self.now = kit.NOW
        self.state = kit.state(folder / "state")
        self.files: list[CertificateTable] = []
        self.watch = CertificateWatch(kit.identity("n1"), self.state, lambda: self.files, clock=lambda: self.now)

    def look(self, days_left: float) -> list[tuple[str, float]]:
        """What is logged when all have so many days left."""
        self.now = kit.NOW + (CERTIFICATE_DAYS - days_left) * DAY_S
        with structlog.testing.capture_logs() as logs:
            self.watch.look()
        return [(line["subject"], line["days"]) for line in logs if line["event"] == "certificate.expiring"]

    def alarms(self) -> list[tuple[str, str, str]]:
        return [(alarm.code, alarm.subject, alarm.message) for alarm in self.state.alarms()]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_each_is_spoken_of_once_at_each_step(scene: Scene) -> None:
    roster = scene.state.roster
    assert roster is not None
    everybody = {f"certificate of node {node.name}" for node in roster.nodes}
    everybody |= {f"certificate of key {key.name}" for key in roster.keys}
    for days in CERTIFICATE_DAYS_TOLD:
        assert scene.look(days + SECOND) == []
        assert {subject for subject, _ in scene.look(days)} == everybody
        assert scene.look(days - SECOND) == []


def test_its_own_is_an_alarm_from_seven_days_on(scene: Scene) -> None:
    said = []
    for days in (30.0, CERTIFICATE_DAYS_ALARMED + SECOND, CERTIFICATE_DAYS_ALARMED, 1.0, 0.0):
        scene.look(days)
        said.append(scene.alarms())
    assert said == [
        [],
        [],
        [(CertificateExpiring.code, OWN, "it expires in less than 7 days")],
        [(CertificateExpiring.code, OWN, "it expires in less than 1 day")],
        [(CertificateExpiring.code, OWN, "it has expired")],
    ]


def test_a_clock_that_goes_back_or_a_new_certificate_ends_it(scene: Scene) -> None:
    scene.look(0.5)
    assert scene.alarms()
    scene.look(100.0)
    assert scene.alarms() == []
    assert scene.look(0.5)


def test_what_clients_are_shown(scene: Scene, tmp_path: Path) -> None:
    pem, later, key = tmp_path / "chain.pem", make_identity("ca", now=kit.NOW, days=3_650), tmp_path / "key.pem"
    pem.write_text(certificate_pem(make_identity("shop", now=kit.NOW, days=90).certificate))
    with pem.open("a") as file:
        file.write(certificate_pem(later.certificate))  # of a chain, the first counts
    scene.files = [CertificateTable(("shop.example", "www.shop.example"), pem, key)]
    passed = CERTIFICATE_DAYS - 90
    assert scene.look(7 + passed + 1) == [("certificate for shop.example", 8.0)]
    assert scene.watch.tls_days == {"shop.example": pytest.approx(8.0)}
    assert scene.alarms() == []
    scene.look(7 + passed)
    (alarm,) = scene.state.alarms()
    assert (alarm.subject, "SIGHUP" in alarm.remedy) == ("certificate for shop.example", True)
    pem.write_text(certificate_pem(make_identity("shop", now=kit.NOW, days=200).certificate))
    scene.look(7 + passed)
    assert scene.alarms() == []


@pytest.mark.parametrize("content", [None, "no certificate", "x" * 300_000], ids=["absent", "none", "large"])
def test_one_that_cannot_be_read_is_no_affair_of_this(content: str | None, scene: Scene, tmp_path: Path) -> None:
    """Workers say so, which go on with the one that they had."""
    pem = tmp_path / "chain.pem"
    if content is not None:
        pem.write_text(content)
    scene.files = [CertificateTable(("shop.example",), pem, pem)]
    assert scene.look(100.0) == []
    assert scene.watch.tls_days == {}


def test_one_that_is_configured_no_more_is_forgotten(scene: Scene, tmp_path: Path) -> None:
    pem = tmp_path / "chain.pem"
    pem.write_text(certificate_pem(make_identity("shop", now=kit.NOW, days=90).certificate))
    scene.files = [CertificateTable(("shop.example",), pem, pem)]
    scene.look(CERTIFICATE_DAYS - 89.0)
    assert len(scene.alarms()) == 1
    scene.files = []
    scene.look(CERTIFICATE_DAYS - 89.0)
    assert scene.alarms() == []
