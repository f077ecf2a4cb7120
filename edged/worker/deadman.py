"""The end of a process whose loop stands still, when nobody is left to end it.

A supervisor kills a worker that hangs. Where the supervisor is gone too, the worker would keep its sockets, and with
them its share of the connections of whoever comes next. So a thread of C (`faulthandler`), which needs neither the loop
nor Python's lock, ends the process unless the loop puts it off in time, and says where the loop stood.

A process that was stopped (SIGSTOP) is ended when it is continued. Not before: then no thread of it runs.
"""

from __future__ import annotations

import faulthandler

import trio

from edged.limits import WORKER_DEADMAN_BEAT_S, WORKER_DEADMAN_S


async def run_deadman(seconds: float = WORKER_DEADMAN_S) -> None:
    """Put the end off, until cancelled."""
    try:
        while True:
            faulthandler.dump_traceback_later(seconds, exit=True)
            await trio.sleep(min(WORKER_DEADMAN_BEAT_S, seconds / 4))
    finally:
        faulthandler.cancel_dump_traceback_later()
