"""docs/providers.md names every provider and setting that there is, and no other."""

from __future__ import annotations

import re

from bgp.kernel_settings import SETTINGS
from bgp.limits import METADATA_BYTES_MAX, METADATA_TIMEOUT_S
from bgp.metadata.provider import PROVIDERS
from tests.docs.tables import DOCS, names, rows

PAGE = "providers.md"


def test_providers_and_their_services() -> None:
    documented = {names(cells[0])[0]: names(cells[1])[0] for cells in rows(PAGE, "provider")}
    assert documented == {name: provider.url for name, provider in PROVIDERS.items()}
    assert set(re.findall(r"(?m)^## ([a-z]+)$", (DOCS / PAGE).read_text())) == set(PROVIDERS)


def test_settings() -> None:
    documented = {
        names(cells[0])[0].rpartition(".")[2]: {int(value) for value in re.findall("[0-9]+", cells[1])}
        for cells in rows(PAGE, "setting")
    }
    assert documented == {setting.name: set(setting.wanted) for setting in SETTINGS}


def test_limits() -> None:
    text = (DOCS / PAGE).read_text()
    assert f"may have {METADATA_BYTES_MAX // 2**20} MiB and take {METADATA_TIMEOUT_S:g} seconds" in text
