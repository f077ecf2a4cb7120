"""docs/outbound.md: its tables hold."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from edged import limits
from edged.limits import CHAIN_DEPTH_MAX, PORTS_REFUSED
from edged.manifest.outbound import AllowedHosts, parse_host
from tests.docs.tables import DOCS, names, rows

PAGE = "outbound.md"
TEXT = (DOCS / PAGE).read_text()


@pytest.mark.parametrize("cells", rows(PAGE, "entry"), ids=lambda cells: names(cells[0])[0])
def test_entries(cells: list[str]) -> None:
    [text] = names(cells[0])
    hosts = AllowedHosts((parse_host(text),))
    for cell, expected in ((cells[1], True), (cells[2], False)):
        for url in map(urlsplit, names(cell)):
            assert hosts.allows(url.scheme, url.hostname or "", url.port) is expected, url


def test_ports_of_schemes() -> None:
    [port] = [cells[1] for cells in rows(PAGE, "part") if cells[0] == "port"]
    for scheme, number in zip(names(port)[3:], (80, 443, 6379, 3306, 5432, 1883), strict=True):
        assert parse_host(f"{scheme}://x").ports == range(number, number + 1)
        assert f"`{scheme}` {number}" in port


@pytest.mark.parametrize("scheme", ["rediss", "mqtts"])
def test_schemes_that_need_a_port(scheme: str) -> None:
    with pytest.raises(ValueError, match="needs a port"):
        parse_host(f"{scheme}://x")


def test_limits() -> None:
    for cells in rows(PAGE, "limit"):
        numbers = [int(word.rstrip(",")) for word in cells[2].split() if word.rstrip(",").isdigit()]
        assert numbers == [getattr(limits, name) for name in names(cells[0])]


def test_ports_and_depth() -> None:
    assert sorted(PORTS_REFUSED) == [22, 25, 179]
    assert "none of 22, 25 and 179" in TEXT
    assert f"may be {CHAIN_DEPTH_MAX} deep" in TEXT
