"""What all tests of commands share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def logging_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loggers keep their first configuration, which must not be a command's for all tests after it."""
    for module in ("up", "node", "with_fleet"):
        monkeypatch.setattr(f"edged.cli.{module}.configure", lambda **_: None)
