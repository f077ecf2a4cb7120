from __future__ import annotations

from datetime import datetime

from tests.vm.network import established_at

_UP = """BIRD 2.0.12 ready.
Name       Proto      Table      State  Since         Info
machine    BGP        ---        up     2026-11-21 12:34:56.250000  Established
"""
_DOWN = _UP.replace("up     2026-11-21 12:34:56.250000  Established", "start  2026-11-21 12:34:56.250000  Active")


def test_when_the_session_came_up() -> None:
    assert established_at(_UP) == datetime(2026, 11, 21, 12, 34, 56, 250000).timestamp()


def test_a_session_that_is_not_up_has_no_time() -> None:
    assert established_at(_DOWN) is None
    assert established_at("") is None
