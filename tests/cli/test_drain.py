"""`edged drain` in a terminal: what is printed of each step."""

from __future__ import annotations

import pytest

from edged.cli.drain import _Lines
from edged.publish.drain import PrefixState, Steered

PREFIX = "203.0.113.10/32"


def steered(step: str, state: str, reason: str, *, connections: int = 0, proven: bool = False) -> Steered:
    prefix = PrefixState(PREFIX, state, "withdrawn", reason)
    return Steered("n1", step, proven, connections, (prefix,))


def test_every_step_is_a_line_and_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _Lines()
    by = "drained by operator"
    for event in (
        steered("", "up", "every worker answers"),
        steered("closing", "up", "every worker answers", connections=3),
        steered("shifting", "draining", by, connections=3),
        steered("shifting", "draining", by, connections=2),
        steered("withdrawing", "drained", by, connections=2),
        steered("lingering", "drained", by, connections=2, proven=True),
        steered("lingering", "drained", by, connections=1, proven=True),
        steered("drained", "drained", by, proven=True),
    ):
        lines.show(event)
    assert capsys.readouterr().out == (
        "n1  203.0.113.10/32 up: every worker answers\n"
        "n1  connections end with their next answer\n"
        "n1  any other way is preferred\n"
        "n1  203.0.113.10/32 draining: drained by operator\n"
        "n1  withdrawing\n"
        "n1  203.0.113.10/32 drained: drained by operator\n"
        "n1  withdrawn; what is open is served: 2 connections\n"
        "n1  withdrawn; what is open is served: 1 connection\n"
        "n1  out of traffic, told to every router\n"
    )


@pytest.mark.parametrize(
    ("step", "proven", "line"),
    [
        ("drained", False, "out of traffic, not proven to have reached every router"),
        ("cut short", True, "out of traffic, cut short, told to every router"),
        ("undrained", False, "coming back"),
    ],
)
def test_how_it_ends(capsys: pytest.CaptureFixture[str], step: str, proven: bool, line: str) -> None:
    _Lines().show(steered(step, "drained", "why", proven=proven))
    assert capsys.readouterr().out.splitlines()[0] == f"n1  {line}"


def test_what_a_node_says_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    _Lines().show(steered("\x1b[2Jshifting", "up", "a\rb\x07"))
    assert not set(capsys.readouterr().out) & set("\x1b\r\x07")
