"""Asking each worker, on each anycast address, as a client would: a connection, a request, a guest's answer.

    run ── every 500 ms, 100 ms while an answer is missing ── a round ──> observed(Round)
                                                                 └─────> hung(worker)
    round: for each target ── search ── learns source ports ──┐
                          └── ask each worker from a port that leads to it ── 200 from the worker itself

A connection is closed by a reset, so that its port is free at once for the next.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from errno import EADDRINUSE
from typing import NamedTuple

import h11
import structlog
import trio

from edged.anycast.probe import Probe, Round, Target
from edged.anycast.silence import Silence
from edged.anycast.source_ports import SourcePorts
from edged.http.canary import CANARY_BODY, WORKER_HEADER, canary_host
from edged.limits import (
    CANARY_ANSWER_BYTES_MAX,
    CANARY_FAST_INTERVAL_S,
    CANARY_INTERVAL_S,
    CANARY_SEARCH_TASK_COUNT,
    CANARY_TIMEOUT_S,
)

log = structlog.get_logger()

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close sends RST, and keeps nothing


class Answer(NamedTuple):
    """What came back on one connection.

    Attributes:
        worker: whose answer it is; None where it does not say.
        status: of HTTP.
    """

    worker: int | None
    status: int
    body: bytes


class Refused(Exception):
    """No answer, and why: nobody listens, it broke off, it is not HTTP. Stays in this module."""


class PortTaken(Exception):
    """Somebody else has the source port. Stays in this module."""


class Prober:
    """See the module.

    Args:
        targets: where to ask. Empty: nothing is asked.
        count: of workers, numbered from 0.
        listening: pids of the workers that accept connections, by number.
        observed: told each round, in order; must not wait.
        hung: told of a worker that is to be cut off and ended (`edged.node.workers.WorkerPool.cut`).
    """

    def __init__(
        self,
        targets: Sequence[Target],
        count: int,
        *,
        listening: Callable[[], Mapping[int, int]],
        observed: Callable[[Round], None],
        hung: Callable[[int], None],
    ) -> None:
        self._targets = tuple(targets)
        self._count = count
        self._listening = listening
        self._observed = observed
        self._hung = hung
        self._ports = SourcePorts()
        self._silence = Silence()
        self._pids: Mapping[int, int] = {}
        self._tls = _no_verification()
        self._late = trio.Event()
        self._is_fast = False

    async def run(self) -> None:
        """Ask until cancelled."""
        async with trio.open_nursery() as rounds:
            while True:
                began = trio.current_time()
                rounds.start_soon(self._round, began)
                await self._pause(began)

    async def _pause(self, began: float) -> None:
        """Until the next round. One whose answers are not there at once has the next come sooner."""
        raise NotImplementedError

    async def _round(self, began: float) -> None:
        raise NotImplementedError


def _no_verification() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
