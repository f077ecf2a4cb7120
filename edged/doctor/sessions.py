"""Check `bgp`: whether routers are spoken to, as the node tells it; or, while it does not run, whether they could be.

the node's status ── edged.status.anycast_diagnosis ──────────────┐
no node: peers of node.toml or of the provider ── bgp.reach ──────┴──> findings
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import trio

from bgp.errors import BgpError
from bgp.metadata.provider_sessions import ProviderSessions
from bgp.peer import SpeakerConfig
from bgp.reach import gather
from bgp.reach_rules import Facts, SessionFacts, explain
from edged.anycast.config import BgpTable
from edged.anycast.sessions import provider_sessions, static_sessions
from edged.doctor.finding import Finding
from edged.doctor.subject import Subject
from edged.errors import EdgedError
from edged.limits import DOCTOR_PEER_COUNT_MAX
from edged.status.anycast_diagnosis import anycast_problems
from edged.status.view import NodeView, StatusView


async def look(subject: Subject) -> Iterator[Finding]:
    table = None if subject.config is None else subject.config.bgp
    if table is None or not subject.may_see or not subject.may_ask:
        return iter(())
    if subject.status is not None:
        return judge_told(subject.status)
    try:
        config = await trio.to_thread.run_sync(_sessions, table, subject.metadata)
    except EdgedError as error:
        return iter((Finding("bgp", "problem", error.message, error.remedy),))
    return judge_tried(await _try_all(config)) if config is not None else iter(())


def own(view: StatusView) -> NodeView | None:
    """The node that answered."""
    return next((node for node in view.nodes if node.name == view.answered_by), None)


def judge_told(view: StatusView) -> Iterator[Finding]:
    """What the node says of its own sessions and prefixes."""
    node = own(view)
    if node is None:
        return
    start = f"node {node.name} in {node.region}"
    problems = [problem for problem in anycast_problems(view) if problem.text.startswith(start)]
    for problem in problems:
        text = problem.text.removeprefix(start).lstrip(": ")
        yield Finding("bgp", "problem" if problem.severity == "error" else "warning", text, problem.remedy)
    if node.anycast is not None and not problems:
        up = sum(peer.state == "established" for peer in node.anycast.peers)
        yield Finding("bgp", "ok", f"{up} of {len(node.anycast.peers)} sessions are established")


def judge_tried(tries: Sequence[Facts]) -> Iterator[Finding]:
    """What came of speaking to each router in the node's place."""
    well = []
    for facts in tries:
        peer = facts.peer
        if facts.outcome == "open" and facts.greeting.kind == "open" and facts.greeting.asn == peer.asn:
            well.append(str(peer.address))
            continue
        found = explain(facts)
        text = f"no session with {peer.name} ({peer.address}, AS{peer.asn}) could come up: {found.error}"
        yield Finding("bgp", "problem", text, found.remedy)
    if well:
        yield Finding("bgp", "note", f"no session, since no node runs; it could come up with {', '.join(well)}")


def _sessions(table: BgpTable, metadata: ProviderSessions | BgpError | None) -> SpeakerConfig | None:
    """None: the provider does not say; another check has said so."""
    if table.metadata is None:
        return static_sessions(table)
    return provider_sessions(table, metadata) if isinstance(metadata, ProviderSessions) else None


async def _try_all(config: SpeakerConfig) -> Sequence[Facts]:
    found: dict[int, Facts] = {}

    async def try_one(index: int) -> None:
        found[index] = await gather(config.peers[index], SessionFacts(config.asn))

    async with trio.open_nursery() as nursery:
        for index in range(min(len(config.peers), DOCTOR_PEER_COUNT_MAX)):
            nursery.start_soon(try_one, index)
    return _in_order(found.items())


def _in_order(found: Iterable[tuple[int, Facts]]) -> Sequence[Facts]:
    return [facts for _, facts in sorted(found, key=lambda pair: pair[0])]
