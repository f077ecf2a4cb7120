"""`edged upgrade` in a terminal: what is printed of each step."""

from __future__ import annotations

import pytest

from edged.cli.upgrade import _show
from edged.upgrade.event import Stepped, Upgraded

NEW, OLD = "a" * 64, "b" * 64


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    _show(Stepped("bring", f"sha256 {NEW}", 0.25))
    _show(Stepped("switch back", "\x1b[2Jit\nmoves", 123.4))
    _show(Upgraded("upgraded", NEW, "0.1.0 (commit 0123456789ab)", OLD, 9.87, ("c" * 64, "d" * 64)))
    assert capsys.readouterr().out.splitlines() == [
        f"    0.2 s  bring         sha256 {NEW}",
        "  123.4 s  switch back   \\x1b[2Jit\\nmoves",
        "edged 0.1.0 (commit 0123456789ab) is in use, 9.9 s after the order to restart",
        "  back to the one before, bbbbbbbbbbbb: edged upgrade --back",
        "  removed: 2 older versions",
    ]


def test_the_first_one_without_a_restart(capsys: pytest.CaptureFixture[str]) -> None:
    _show(Upgraded("switched", NEW, "0.1.0", "", None, ()))
    assert capsys.readouterr().out == "edged 0.1.0 is used from the next start on\n"


def test_a_terminal_that_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("edged.cli.upgrade.click.echo", gone)
    _show(Stepped("bring", "it goes on", 0.0))
    _show(Upgraded("upgraded", NEW, "0.1.0", OLD, 1.0, ()))
