"""Checks `node` and `fleet`: what the node on this machine says of itself, and of the others."""

from __future__ import annotations

from collections.abc import Iterator

from edged.doctor.finding import Finding
from edged.doctor.sessions import own
from edged.doctor.subject import Subject
from edged.status.anycast_diagnosis import anycast_problems
from edged.status.diagnosis import diagnose
from edged.status.problem import Problem
from edged.status.view import StatusView


async def look_at_node(subject: Subject) -> Iterator[Finding]:
    if subject.config is None:
        return iter(())
    if subject.status is None:
        return judge_silence(subject)
    return judge_node(subject.status)


def judge_silence(subject: Subject) -> Iterator[Finding]:
    """Nothing came of asking it."""
    if not subject.may_ask:
        yield Finding("node", "unknown", f"how the node does: {subject.status_why}", "Run `edged doctor` as root.")
    else:
        text = f"the node does not answer: {subject.status_why}"
        yield Finding("node", "problem", text, "Start it; see what is said of its unit.")


def judge_node(view: StatusView) -> Iterator[Finding]:
    """What it says of itself; its sessions are the check `bgp`."""
    node = own(view)
    if node is None:
        text = f"the fleet does not know this node, {view.answered_by}: no other node talks to it"
        yield Finding("node", "problem", text, _ROSTER)
        return
    start = f"node {node.name} in {node.region}"
    problems = [problem for problem in _others_than_bgp(view) if _is_of(problem, start, node.name)]
    for problem in problems:
        text = problem.text.removeprefix(start).lstrip(": ")
        yield Finding("node", "problem" if problem.severity == "error" else "warning", text, problem.remedy)
    if not problems:
        workers = f"{node.workers_ready or 0} of {node.workers_total or 0} workers ready"
        yield Finding("node", "ok", f"{node.name} answers: {workers}, {len(view.apps)} apps")


_ROSTER = (
    "Take its admission into the roster (`edged fleet admissions`, then `edged fleet sign --admission FILE` and"
    " `edged fleet publish`), or give it the certificate that the roster has. If it was away while the fleet's root"
    " keys were replaced, stop it and run `edged node reseed --roster FILE` with the newest roster.bin."
)


async def look_at_fleet(subject: Subject) -> Iterator[Finding]:
    return iter(()) if subject.status is None else judge_fleet(subject.status)


def judge_fleet(view: StatusView) -> Iterator[Finding]:
    """What it says of the rest. Nothing of that is mended on this machine, so none of it is a problem of it."""
    node = own(view)
    start = f"node {node.name} in {node.region}" if node is not None else "\0"
    name = node.name if node is not None else "\0"
    problems = [problem for problem in diagnose(view) if not _is_of(problem, start, name)]
    for problem in problems:
        yield Finding("fleet", "warning", problem.text, problem.remedy)
    if not problems:
        up = sum(each.state == "up" for each in view.nodes)
        yield Finding("fleet", "ok", f"{up} of {len(view.nodes)} nodes of {view.fleet.name} are up")


def _others_than_bgp(view: StatusView) -> Iterator[Problem]:
    announcing = set(anycast_problems(view))
    return (problem for problem in diagnose(view) if problem not in announcing)


def _is_of(problem: Problem, start: str, name: str) -> bool:
    return problem.text.startswith((f"{start} ", f"{start}:", f"the certificate of node {name} ", f"node {name} has "))
