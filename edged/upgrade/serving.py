"""What a node serves, from its own status: what it is to serve again after another version was started. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edged.errors import ProtocolError
from edged.status.answer import Answer
from edged.status.view import AppNodeView, StatusView

_RANK = {"plain": 2, "last-resort": 1}
_AWAY = ("draining", "drained")


@dataclass(frozen=True, slots=True)
class Serving:
    """Attributes:
    version: that the node says it is.
    workers_ready, workers_total: worker processes.
    apps: those that are live, and the sequence that runs.
    waiting: apps that are to run here and are not live, with what is known of why.
    sessions: established ones, by the name of the peer.
    prefixes: that are proven to be announced, and how: `plain` or `last-resort`.
    is_drained: it was told to stay out of traffic.
    """

    version: str
    workers_ready: int
    workers_total: int
    apps: Mapping[str, int]
    waiting: Mapping[str, str]
    sessions: frozenset[str]
    prefixes: Mapping[str, str]
    is_drained: bool


def serving(view: StatusView) -> Serving:
    """Of the node that answered.

    Raises:
        ProtocolError: it says nothing of itself.
    """
    own = next((node for node in view.nodes if node.name == view.answered_by), None)
    if own is None:
        raise ProtocolError(f"the node {view.answered_by} says nothing of itself")
    here = {app.name: each for app in view.apps for each in app.nodes if each.node == own.name}
    prefixes = own.anycast.prefixes if own.anycast else ()
    return Serving(
        version=own.version,
        workers_ready=own.workers_ready or 0,
        workers_total=own.workers_total or 0,
        apps={name: each.running for name, each in here.items() if _serves(each)},
        waiting={name: each.error_message or each.stage for name, each in here.items() if not _serves(each)},
        sessions=frozenset(peer.name for peer in own.anycast.peers if peer.state == "established")
        if own.anycast
        else frozenset(),
        prefixes={each.prefix: each.announced for each in prefixes if each.announced in _RANK},
        is_drained=any(each.state in _AWAY for each in prefixes),
    )


def _serves(app: AppNodeView) -> bool:
    """Whether it serves what it is to for now: what waits for other regions, or is held, goes on as it was."""
    waits = app.stage == "held" or (app.stage == "waiting" and bool(app.error_message))
    return app.stage == "live" or (waits and app.running > 0)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a node is to serve again.

    Attributes:
        apps: the least sequence of each. One that the fleet has removed meanwhile is not asked for.
        prefixes: how each was announced; better is as good.
    """

    apps: Mapping[str, int]
    sessions: tuple[str, ...]
    prefixes: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        apps = [{"name": name, "sequence": sequence} for name, sequence in self.apps.items()]
        return {"apps": apps, "sessions": list(self.sessions), "prefixes": dict(self.prefixes)}


NOTHING = Expected({}, (), {})
"""Of a node that did not answer before: that its workers are ready, and no more."""


def expected(before: Serving | None) -> Expected:
    """What a node that served this has to serve afterwards. One that is drained stays so: nothing is announced."""
    if before is None:
        return NOTHING
    return Expected(before.apps, tuple(sorted(before.sessions)), {} if before.is_drained else before.prefixes)


def parse_expected(answer: Answer) -> Expected:
    """As `as_json` made it.

    Raises:
        ProtocolError: it has another shape.
    """
    prefixes = answer.text_map("prefixes")
    if not set(prefixes.values()) <= set(_RANK):
        raise ProtocolError("`prefixes` has a level that there is not")
    apps = {each.get("name", str): each.get("sequence", int) for each in answer.tables("apps")}
    return Expected(apps, answer.texts("sessions"), prefixes)


def lacking(wanted: Expected, now: Serving) -> tuple[str, ...]:
    """What is not yet as it was: sentences without their ends, none when all is."""
    found = []
    if not now.workers_ready or now.workers_ready < now.workers_total:
        found.append(f"{now.workers_ready} of {now.workers_total} workers take connections")
    for app, sequence in wanted.apps.items():
        if app in now.waiting:
            found.append(f"the app {app} is not live: {now.waiting[app]}")
        elif app in now.apps and now.apps[app] < sequence:
            found.append(f"the app {app} runs the deployment {now.apps[app]}, and ran {sequence}")
    found += [f"the session with {peer} is not established" for peer in wanted.sessions if peer not in now.sessions]
    for prefix, level in wanted.prefixes.items():
        if _RANK.get(now.prefixes.get(prefix, ""), 0) < _RANK[level]:
            found.append(f"{prefix} is not announced as before")
    return tuple(found)
