"""Lines of apps that say too much."""

from __future__ import annotations

from edged.limits import LOG_LINES_BURST_MAX, LOG_LINES_S_MAX, LOG_TAIL_APP_COUNT_MAX
from edged.node.line_gate import LineGate


def test_at_the_limit_and_over_it_and_only_that_app() -> None:
    gate = LineGate()
    assert all(gate.admits("loud", 0.0) for _ in range(LOG_LINES_BURST_MAX))
    assert gate.take_dropped() == {}
    assert not gate.admits("loud", 0.0)
    assert gate.admits("quiet", 0.0)
    assert [gate.admits("loud", 1.0) for _ in range(LOG_LINES_S_MAX + 1)] == [True] * LOG_LINES_S_MAX + [False]
    assert gate.take_dropped() == {"loud": 2}
    assert gate.take_dropped() == {}


def test_it_remembers_so_many_apps_and_no_more() -> None:
    gate = LineGate()
    for number in range(3 * LOG_TAIL_APP_COUNT_MAX):
        assert gate.admits(f"app-{number}", 0.0)
        assert len(gate._apps) <= LOG_TAIL_APP_COUNT_MAX
