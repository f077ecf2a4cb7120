"""The end of a process whose loop stands still: of a worker, and of the supervisor.

A loop that stands still takes no connection and no word, and nothing on it can notice. What starts the process again is
outside: the supervisor starts workers, systemd the supervisor. But where the supervisor is gone too, nobody would end a
worker, which keeps its sockets, and with them its share of the connections of whoever comes next; and who ends it from
outside does not learn where it stood. So a thread of C (`faulthandler`), which needs neither the loop nor Python's
lock, ends the process unless the loop puts it off in time, and writes all stacks to stderr, where the log goes.

It waits on the monotonic clock, so that a clock which is set ends nothing. A process that was stopped (SIGSTOP) is
ended when it is continued. Not before: then no thread of it runs.
"""

from __future__ import annotations

import faulthandler

import trio

from edged.limits import LOOP_BEAT_S, LOOP_STALL_S


async def run_deadman(seconds: float = LOOP_STALL_S) -> None:
    """Put the end off, until cancelled. Once in a process: there is one thread of C."""
    try:
        while True:
            faulthandler.dump_traceback_later(seconds, exit=True)
            await trio.sleep(min(LOOP_BEAT_S, seconds / 4))
    finally:
        faulthandler.cancel_dump_traceback_later()
