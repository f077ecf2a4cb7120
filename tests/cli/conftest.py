"""What all tests of commands share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def logging_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loggers keep their first configuration, which must not be a command's for all tests after it. What they say
    meanwhile is not shown, since stdout is the commands'.
    """
    for module in ("up", "node", "with_fleet"):
        monkeypatch.setattr(f"edged.cli.{module}.configure", lambda **_: None)
    with capture_logs():
        yield
