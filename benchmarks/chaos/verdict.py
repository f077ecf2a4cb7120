"""What came of minutes of faults: what failed and why, what was lost, what must not be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.chaos.answered import UNEXPLAINED, counted, failed, went_back
from benchmarks.chaos.on_disk import OnDisk, read
from benchmarks.chaos.publishing import Published
from benchmarks.chaos.stage import APPS
from benchmarks.chaos.striking import Striking
from edged.fleet.record import Key, Version
from tests.fleets import Event
from tests.lab.client import Answer

MISTAKES = {
    "connection.failed",
    "handler.failed",
    "link.handler-failed",
    "outbound.failed",
    "rollout.broken",
    "rollout.damaged",
    "storage.chunk-corrupt",
    "stream.failed",
}
"""Lines of the log that nothing may bring about which happens here: mistakes of edged's, and damage."""
DAMAGED = "fleet.record-damaged"
REFUSALS = {"old": {"fleet.record-stale"}, "again": {"fleet.record-conflict", "fleet.record-stale"}}
"""What a node may say to an old record, and to another one of a number that it has."""


def ended(striking: Striking) -> dict[str, OnDisk]:
    """All nodes are stopped, as they should be; what is on their disks."""
    found = {}
    for name, node in striking.stage.nodes.items():
        if (status := node.stop()) != 0:
            striking.problem(f"{name} ended with status {status}")
        found[name] = read(node.state, striking.stage.folder / "scratch" / name)
    return found


def verdict(
    striking: Striking, answers: Mapping[str, Sequence[Answer]], disks: Mapping[str, OnDisk], converged_s: float | None
) -> dict[str, Any]:
    """For JSON, the table and the picture.

    Args:
        answers: of each node's client.
        converged_s: from when all was mended until all nodes had and ran the same; None for never.
    """
    failures = failed(answers, striking.keeper.windows)
    published = striking.pushes.published
    lost_records = list(lost(published, disks))
    problems = [
        *striking.problems,
        *striking.keeper.ended,
        *(f"{each.node}: a request failed ({each.kind}) for {UNEXPLAINED}, {each.begun - striking.began:.1f} s after"
          " the begin" for each in failures if each.why == UNEXPLAINED),
        *(f"{name}: a client got {after.body} after {before.body}"
          for name, its in answers.items()
          for before, after in went_back(its, _sequences(published))),
        *lost_records,
        *(f"{name}: {problem}" for name, disk in disks.items() for problem in disk.problems),
        *different(disks),
        *(f"{name} said {event}" for name, node in striking.stage.nodes.items() for event in mistakes(node.events)),
        *wrong_answers(striking.said_by_attackers()),
    ]  # fmt: skip
    return {
        "strikes": dict(striking.done),
        "requests": sum(map(len, answers.values())),
        "failed": len(failures),
        "failures": counted(failures),
        "published": len(published),
        "pushes_failed": dict(striking.pushes.failed),
        "records_lost": len(lost_records),
        "converged_s": converged_s,
        "pushed_anew": striking.pushed_anew,
        "problems": problems,
        "timeline": {
            "mended_s": round(striking.mended - striking.began, 1),
            "strikes": [
                {
                    "node": each.node,
                    "action": each.action,
                    "from_s": round(each.at_s, 1),
                    "to_s": round(each.until_s, 1),
                }
                for each in striking.struck
            ],
            "down": [
                {
                    "node": each.node,
                    "why": each.why,
                    "from_s": round(each.from_s - striking.began, 1),
                    "to_s": round(each.until_s - striking.began, 1),
                }
                for each in striking.keeper.windows
            ],
            "failed": [{"node": each.node, "at_s": round(each.begun - striking.began, 1)} for each in failures],
        },
    }


def lost(published: Sequence[Published], disks: Mapping[str, OnDisk]) -> Iterator[str]:
    """Deployments that a publisher was told of, and that are neither the newest of a node nor followed by a newer one.

    Two that were published under one number, on two sides of a cut, are not lost once a newer one is there.
    """
    for each in published:
        for name, disk in disks.items():
            version = disk.versions.get(Key("deployment", each.app), Version(0, 0))
            is_newest = version.sequence == each.sequence and each.digest in disk.releases.get(each.app, frozenset())
            if version.sequence <= each.sequence and not is_newest:
                yield f"{name} has {each.app} at {version.sequence}; published was {each.sequence} with {each.digest}"


def different(disks: Mapping[str, OnDisk]) -> Iterator[str]:
    """Nodes that have other records than the first."""
    (first, disk), *others = disks.items()
    for name, other in others:
        for key in sorted({*disk.digests, *other.digests}):
            if disk.digests.get(key) != other.digests.get(key):
                yield f"{first} and {name} have different records of {key.kind} {key.name}"


def mistakes(events: Sequence[Event]) -> Iterator[Event]:
    """Lines of a node's log that must not be."""
    for event in events:
        is_mistake = event.get("event") in MISTAKES or event.get("code") == DAMAGED
        if is_mistake or "Traceback" in str(event.get("text", "")):
            yield event


def wrong_answers(said: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Nodes that took what they may not take; one that could not be reached, or knew no old record, says nothing."""
    for each in said:
        for where, answer in each.items():
            wanted = REFUSALS.get("old" if each["what"] == "old" else where)
            if where not in ("what", "failed") and wanted is not None and answer not in wanted:
                yield f"{where} answered {answer!r} to a record that is {each['what']}"


def to_markdown(found: Mapping[str, Any]) -> str:
    """For people: the strikes, the failures, the rest."""
    lines = ["| strike | times |", "|---|---|"]
    lines += [f"| {name} | {count} |" for name, count in sorted(found["strikes"].items())]
    lines += ["", "| requests that failed, while | how |", "|---|---|"]
    for why, kinds in found["failures"].items():
        lines.append(f"| {why} | {', '.join(f'{count} {kind}' for kind, count in kinds.items())} |")
    never = "never" if found["converged_s"] is None else f"{found['converged_s']} s"
    refused = ", ".join(f"{count} {code}" for code, count in sorted(found["pushes_failed"].items())) or "none"
    lines += [
        "",
        f"{found['failed']} of {found['requests']} requests failed. {found['published']} releases were published,"
        f" {found['records_lost']} lost; pushes that did not end well: {refused}.",
        f"After the last fault was mended, all nodes had and ran the same after: {never}"
        + "".join(f"; {app} was pushed anew: {why}" for app, why in found["pushed_anew"].items()),
        *(found["problems"] or ["Nothing was that must not be."]),
    ]
    return "\n".join(lines)


def _sequences(published: Sequence[Published]) -> dict[str, int]:
    """Of what clients ask for: what a release answers, and its sequence."""
    return {each.body: each.sequence for each in published if each.app == APPS[0]}
