"""A node goes from one binary to another, and clients lose nothing: two real builds, two regions, real routers.

Their router keeps flows on their way (`tests.lab.flow_keeper`), so that whatever fails has failed by the node's doing;
what is lost behind a router that does not, `benchmarks/anycast` counts. Nothing here asks how long anything took.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from benchmarks.anycast.upgrade import NODE, REGION, WAYS, Site, below_systemd, during, upgrade_site
from tests.lab.anycast import may_run
from tests.lab.client import Answer
from tests.lab.lab import may_run as lab_may_run

REASON = may_run() or lab_may_run("nft")
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON or "-")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with upgrade_site(tmp_path_factory.mktemp("upgrade")) as site:
        yield site


@pytest.mark.parametrize("way", ["drain", "sigterm"])
def test_no_request_fails(site: Site, way: str) -> None:
    before, wanted = site.runs(), site.other()
    trial = during(site, way, keeps=True)
    assert (before, site.runs()) == (site.other(), wanted)
    assert_none_failed(trial.fresh)
    assert_none_failed(trial.kept)


def test_no_request_fails_of_the_command(site: Site) -> None:
    """`edged upgrade` itself, and a node that is drained stays so."""
    with below_systemd(site):
        wanted = site.other()
        trial = during(site, "command", keeps=True)
        assert site.runs() == wanted
        assert_none_failed(trial.fresh)
        assert_none_failed(trial.kept)
        assert_back(trial.fresh)

        site.net.fleet.run("drain", NODE)
        wanted = site.other()
        WAYS["command"][1](site)
        assert site.runs() == wanted
        prefixes = next(each for each in site.net.fleet.status()["nodes"] if each["name"] == NODE)["anycast"][
            "prefixes"
        ]
        assert {(each["state"], each["announced"]) for each in prefixes} == {("drained", "withdrawn")}
        site.net.fleet.run("undrain", NODE)
        site.settle()


def assert_none_failed(answers: Sequence[Answer]) -> None:
    """And they were answered elsewhere meanwhile."""
    assert [each for each in answers if each.failure] == []
    assert answers[0].body == REGION
    assert {each.body for each in answers} == {REGION, "nyc"}


def assert_back(answers: Sequence[Answer]) -> None:
    """The region answers after another one did. Connections that are kept stay where they are."""
    bodies = [each.body for each in answers]
    assert REGION in bodies[bodies.index("nyc") :]
