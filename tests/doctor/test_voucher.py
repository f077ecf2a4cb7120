"""`voucher`: every state that one may be in, each with what to do, and which says so when several could."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edged.doctor import voucher
from edged.doctor.finding import Finding
from edged.doctor.subject import HEALS
from edged.errors import FleetFileError, ListenError
from edged.node.failure import Failure
from tests.doctor.scene import NOW, Scene, one

ANOTHER = "edged fleet voucher n1 --region eu --address"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def found(scene: Scene, failure: Failure | None = None) -> Finding:
    return one(await voucher.look(scene.subject(failure=failure)))


def refused(*reasons: str, at: float = NOW - 60) -> Failure:
    message = "\n".join(["no node of the fleet let this one in", *(f"192.0.2.1:7400: {each}" for each in reasons)])
    return Failure(at, "node.join-failed", message, "Read each reason.")


def put(scene: Scene, *, at: float = NOW - 3_600, expires: float = NOW + 600) -> None:
    os.utime(scene.voucher(expires=expires), (at, at))


async def test_good(scene: Scene) -> None:
    put(scene)
    finding = await found(scene)
    assert (finding.state, finding.message) == ("ok", "the voucher is good for another 10 min")


async def test_missing(scene: Scene) -> None:
    finding = await found(scene)
    assert (finding.state, finding.message.startswith("there is no voucher")) == ("problem", True)
    assert f"{ANOTHER} HOST:7400" in finding.remedy
    assert str(scene.config.fleet.voucher) in finding.remedy
    assert finding.remedy.endswith(HEALS)


@pytest.mark.parametrize("text", ["", "hello", "edged-voucher-", "edged-voucher-AAAA", "edged-voucher-" + "A" * 40_000])
async def test_malformed(scene: Scene, text: str) -> None:
    scene.write("etc/edged/voucher", text)
    finding = await found(scene)
    assert finding.state == "problem"
    assert "holds no voucher" in finding.message
    assert ANOTHER in finding.remedy


async def test_cut_off_anywhere_it_is_no_voucher_and_is_not_shown(scene: Scene) -> None:
    file = scene.voucher()
    text = file.read_text()
    for length in range(len("edged-voucher-"), len(text), 97):
        file.write_text(text[:length])
        finding = await found(scene)
        assert "holds no voucher" in finding.message
        assert text[20:60] not in finding.message + finding.remedy


async def test_unreadable(scene: Scene) -> None:
    facts = voucher.VoucherFacts(Path("/etc/edged/voucher"), None, FleetFileError("it cannot be read"))
    finding = one(voucher.judge(facts, scene.config, NOW, again=HEALS))
    assert "chmod 0440 /etc/edged/voucher" in finding.remedy


async def test_expired_and_a_second_before(scene: Scene) -> None:
    put(scene, expires=NOW - 7_200)
    finding = await found(scene)
    assert finding.state == "problem"
    assert "has expired 2 h ago. A clock that is fast looks the same" in finding.message
    assert f"{ANOTHER} 192.0.2.2:7400" in finding.remedy
    put(scene, expires=NOW)
    assert (await found(scene)).state == "ok"


async def test_used_by_somebody_else(scene: Scene) -> None:
    """Also where it has expired since: who has it matters more."""
    put(scene, expires=NOW - 10)
    finding = await found(scene, refused("was used before [fleet.voucher-used]"))
    assert "somebody else has joined as n1" in finding.message
    for words in ("stolen", "fleet.voucher-used", "edged fleet admissions", "--yes-remove 1", ANOTHER):
        assert words in finding.remedy


async def test_refused(scene: Scene) -> None:
    put(scene)
    finding = await found(scene, refused("signed by nobody [fleet.voucher-invalid]"))
    assert "the fleet refuses the voucher: 192.0.2.1:7400: signed by nobody" in finding.message
    assert ANOTHER in finding.remedy


async def test_nobody_there(scene: Scene) -> None:
    """Each seed with its reason."""
    put(scene)
    finding = await found(scene, refused("no route [fleet.unreachable]", "timed out [fleet.unreachable]"))
    assert "no node of the fleet lets this one in: 192.0.2.1:7400: no route" in finding.message
    assert "timed out [fleet.unreachable]" in finding.message
    assert "firewall" in finding.remedy


async def test_one_that_was_put_there_after_the_last_try_is_not_judged_by_it(scene: Scene) -> None:
    put(scene, at=NOW - 59)
    assert (await found(scene, refused("was used before [fleet.voucher-used]"))).state == "ok"
    put(scene, at=NOW - 61)
    assert (await found(scene, refused("was used before [fleet.voucher-used]"))).state == "problem"


async def test_a_failure_of_something_else(scene: Scene) -> None:
    put(scene)
    failure = Failure(NOW, ListenError.code, "port 80 [fleet.voucher-used]", "")
    assert (await found(scene, failure)).state == "ok"


async def test_not_looked_at(scene: Scene) -> None:
    """Who has joined needs none, who may not look sees none, and some nodes have a roster instead."""
    assert one(await voucher.look(scene.subject(joined=True))).state == "ok"
    assert list(await voucher.look(scene.subject(may_see=False))) == []
    assert list(await voucher.look(scene.subject(config=None))) == []
    scene.node_toml(fleet='roster = "roster.bin"')
    assert list(await voucher.look(scene.subject())) == []
