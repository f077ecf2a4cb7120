"""The stand-in for systemd at each node: who has ended is started again, with nothing left of what was there before.

It also knows when requests to a node may fail, and why: from a kill until the node is ready again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.chaos.answered import Window
from tests.fleets import Event, FleetNode, descendants

RESTART_S = 1.0
"""Until who has ended is started again."""
_NOTICED_S = 0.5
"""Between what a node says and when it is read here, on busy cores."""


@dataclass
class Keeper:
    """Of all nodes. `poll` it several times a second; kills may come from any thread.

    Attributes:
        windows: that are over.
        ended: nodes that ended although nobody had killed them, and with which status.
        away: nodes that are not to be started again for now.
    """

    nodes: Mapping[str, FleetNode]
    windows: list[Window] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    away: set[str] = field(default_factory=set)
    _open: dict[tuple[str, str], float] = field(default_factory=dict)
    _left: dict[str, set[int]] = field(default_factory=dict)
    _killed: set[str] = field(default_factory=set)
    _ended_at: dict[str, float] = field(default_factory=dict)
    _starting: dict[str, int] = field(default_factory=dict)
    _workers: dict[tuple[str, str], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def is_running(self, node: str) -> bool:
        """Whether there is something to strike at: it lives, and was ready once since it was started."""
        process = self.nodes[node].process
        return node not in self._starting and process is not None and process.poll() is None

    def kill(self, node: str, why: str, *, everything: bool) -> None:
        """`kill -9` of a supervisor, or of all its processes."""
        process = self.nodes[node].process
        if process is None or process.poll() is not None:
            return
        children = descendants(process.pid)
        self.may_fail(node, why)
        with self._lock:
            self._killed.add(node)
            self._left[node] = children
        _send([process.pid])
        if everything:
            _send(children)

    def kill_worker(self, node: str, why: str, pick: float) -> None:
        """One of its workers; its requests may fail until another takes connections in its place."""
        workers = self.nodes[node].workers()
        if not workers:
            return
        self.may_fail(node, why)
        self._workers[node, why] = self.nodes[node].mark()
        _send([list(workers.values())[int(pick * len(workers))]])

    def may_fail(self, node: str, why: str) -> None:
        """From now until the node is ready, or a worker is."""
        with self._lock:
            self._open.setdefault((node, why), time.monotonic())

    def started(self, node: str, mark: int) -> None:
        """It was started by somebody else, who gives the mark of that moment."""
        self._starting[node] = mark

    def poll(self) -> None:
        """Start who has ended; take up who is ready."""
        now = time.monotonic()
        for name, node in self.nodes.items():
            process = node.process  # a thread may be about to end it, and to start it again
            if name in self.away or process is None:
                continue
            if process.poll() is not None:
                if now - self._ended_at.setdefault(name, now) >= RESTART_S:
                    del self._ended_at[name]
                    self._start(name, node)
            elif name in self._starting and any(map(_is_ready, node.events[self._starting[name] :])):
                del self._starting[name]
                self._close(name, now + _NOTICED_S)
        for (name, why), mark in list(self._workers.items()):
            if any(each.get("event") == "worker.listening" for each in self.nodes[name].events[mark:]):
                del self._workers[name, why]
                self._close(name, now + _NOTICED_S, why)

    def start_again(self, node: str) -> None:
        """Who was away: ended, and waited for."""
        self.away.discard(node)
        self._start(node, self.nodes[node])

    def end(self) -> None:
        """Nothing may fail from now on."""
        for name in self.nodes:
            self._close(name, time.monotonic())

    def _start(self, name: str, node: FleetNode) -> None:
        with self._lock:
            was_killed, left = name in self._killed, self._left.pop(name, set())
            self._killed.discard(name)
        if node.process is not None:
            if not was_killed:
                self.ended.append(f"{name} ended by itself, with status {node.process.returncode}")
                self.may_fail(name, "it ended by itself")
            _send(left)  # as systemd does with what a service leaves behind
            node.kill()
        self._starting[name] = node.mark()
        node.start(wait=False)

    def _close(self, node: str, until_s: float, only: str = "") -> None:
        with self._lock:
            for (name, why), from_s in list(self._open.items()):
                if name == node and only in ("", why):
                    del self._open[name, why]
                    self.windows.append(Window(name, why, from_s, until_s))


def _is_ready(event: Event) -> bool:
    return event.get("event") == "node.ready"


def _send(pids: set[int] | list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
