"""When systemd is told that the node lives."""

from __future__ import annotations

import structlog.testing
import trio
import trio.testing

from edged.limits import LOOP_LAG_S_MAX, WORKERS_SILENCE_S_MAX
from edged.node.health import Health


async def test_workers_that_report_and_that_do_not(autojump_clock: trio.testing.MockClock) -> None:
    heard_at = trio.current_time()
    stopping = False
    health = Health(lambda: heard_at, lambda: stopping)
    with structlog.testing.capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(health.run)
            await trio.sleep(WORKERS_SILENCE_S_MAX)
            assert health()
            assert logs == []
            await trio.sleep(5.0)
            assert not health()
            stopping = True
            assert health()
            stopping = False
            heard_at = trio.current_time()
            assert health()
            nursery.cancel_scope.cancel()
    assert [(line["event"], line["problem"]) for line in logs] == [("node.unhealthy", "no worker reports")]


async def test_a_loop_that_lags(mock_clock: trio.testing.MockClock) -> None:
    health = Health(trio.current_time, lambda: False)
    health.look(LOOP_LAG_S_MAX)
    assert health()
    health.look(LOOP_LAG_S_MAX + 0.1)
    assert not health()
    health.look(0.0)
    assert health()
