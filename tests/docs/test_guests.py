"""docs/guests.md: limits and how they are set are as it says."""

from __future__ import annotations

import re

import pytest

from edged.cli.limit import parse_limits
from edged.host.wasi3 import VERSIONS
from edged.limits import INSTANCE_IDLE_S, GuestLimits
from tests.docs.tables import DOCS, names, rows

PAGE = "guests.md"
TEXT = (DOCS / PAGE).read_text()


@pytest.mark.parametrize("cells", rows(PAGE, "limit"), ids=lambda cells: names(cells[0])[0])
def test_limits(cells: list[str]) -> None:
    assert int(cells[1].split()[0]) == getattr(GuestLimits(), names(cells[0])[0])


def test_names_of_limits() -> None:
    assert {name for name in re.findall(r"`(\w+_max)`", TEXT) if not hasattr(GuestLimits(), name)} == set()


def test_an_instance_for_each_request() -> None:
    given = re.findall(r"--limit (\S+)", TEXT)
    assert given == ["instance_requests_max=1"] * 2
    assert parse_limits(given).instance_requests_max == 1


def test_the_release_candidate() -> None:
    assert {version for version in VERSIONS if "-" in version} == set(re.findall(r"`(0\.3\.0-rc[^`]+)`", TEXT))


def test_how_long_an_idle_instance_is_kept() -> None:
    assert f"nobody has come for {INSTANCE_IDLE_S:g} s" in TEXT
