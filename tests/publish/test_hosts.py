"""A host that another app has: refused before anything is published, and only where it is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edged.errors import HostTaken
from edged.fleet.deployment import Deployment
from edged.publish.hosts import check_hosts, hosts_of
from edged.status.parse import parse_status
from registry.digest import digest_of
from tests.publish.fakes import NOW, FakeFleet, status

DIGEST = digest_of(b"release")


def deployment(app: str, *hosts: str, regions: str = "eu us", sequence: int = 1) -> Deployment:
    return Deployment("demo", app, 1, sequence, dict.fromkeys(regions.split(), DIGEST), hosts, issued=NOW)


def shape(folder: Path, *apps: Deployment) -> dict[str, Any]:
    return status(FakeFleet(folder), {app.app: app for app in apps})


@pytest.mark.parametrize(
    ("wanted", "had"),
    [
        (deployment("shop", "x.example"), deployment("blog", "x.example")),
        (deployment("shop", "a.example", "X.example."), deployment("blog", "x.EXAMPLE")),
        (deployment("shop", "x.example"), deployment("blog", "x.example", regions="us")),
        (deployment("shop"), deployment("blog", "shop.edged.localhost")),
        (deployment("shop", "blog.edged.localhost"), deployment("blog")),
        (deployment("shop", "*.example"), deployment("blog", "*.example")),
    ],
)
def test_taken(tmp_path: Path, wanted: Deployment, had: Deployment) -> None:
    with pytest.raises(HostTaken, match="belongs to the app blog in") as refused:
        check_hosts(parse_status(shape(tmp_path, had)), wanted)
    assert "--host" in refused.value.remedy


@pytest.mark.parametrize(
    ("wanted", "had"),
    [
        (deployment("shop", "x.example"), deployment("blog", "y.example")),
        (deployment("shop", "x.example", regions="eu"), deployment("blog", "x.example", regions="us")),
        (deployment("shop", "x.example", sequence=2), deployment("shop", "x.example")),
        (deployment("shop", regions=""), deployment("blog", "shop.edged.localhost")),
        (deployment("shop", "x.example"), deployment("blog", "x.example", regions="")),  # removed
        (deployment("shop"), deployment("blog")),
    ],
)
def test_free(tmp_path: Path, wanted: Deployment, had: Deployment) -> None:
    check_hosts(parse_status(shape(tmp_path, had)), wanted)


def test_an_app_that_does_not_get_a_host_keeps_its_owner_from_nothing(tmp_path: Path) -> None:
    found = shape(tmp_path, deployment("blog", "x.example"), deployment("shop", "x.example"))
    check_hosts(parse_status(found), deployment("shop", "x.example", sequence=2))  # served, whoever else wants it
    for node in found["apps"][0]["nodes"]:
        node.update(stage="failed", running=0, error_code="app.host-taken")
    check_hosts(parse_status(found), deployment("third", "y.example"))
    with pytest.raises(HostTaken, match="belongs to the app shop"):
        check_hosts(parse_status(found), deployment("blog", "x.example", sequence=2))


def test_a_region_that_comes_anew(tmp_path: Path) -> None:
    found = shape(
        tmp_path, deployment("blog", "x.example", regions="us"), deployment("shop", "x.example", regions="eu")
    )
    check_hosts(parse_status(found), deployment("shop", "x.example", regions="eu", sequence=2))
    with pytest.raises(HostTaken, match="blog in us"):
        check_hosts(parse_status(found), deployment("shop", "x.example", sequence=2))


def test_hosts_of() -> None:
    assert hosts_of("Shop", ("a", "b"), "d") == ("a", "b")
    assert hosts_of("Shop", (), "d.example") == ("shop.d.example",)
    assert hosts_of("Shop", (), "") == ()
