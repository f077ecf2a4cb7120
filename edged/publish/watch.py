"""Watching a deployment arrive, region by region."""

from __future__ import annotations

from contextlib import aclosing

from edged.errors import EdgedError, PushConflict, RecordConflict, RolloutFailed, RolloutHeld, RolloutUnfinished
from edged.fleet.deployment import Deployment
from edged.publish.event import Show
from edged.publish.link import Link
from edged.publish.regions import SILENT, NodeProgress, Regions
from edged.status.answer import Answer
from edged.status.parse import parse_status
from edged.status.view import StatusView


def regions_of(view: StatusView, deployment: Deployment) -> Regions:
    """The regions that a deployment names, with the nodes that the fleet has there."""
    return Regions(
        {
            region.name: [node.name for node in view.nodes if node.region == region.name]
            for region in view.regions
            if region.name in deployment.regions
        },
        deployment.waves,
    )


async def watch(link: Link, app: str, sequence: int, regions: Regions, show: Show) -> None:
    """Show what becomes of every region, until no node that is there will come further.

    Raises:
        EdgedError: as `Link.stream`.
    """
    for event in regions.changes():
        show(event)
    async with aclosing(link.stream("watch", app=app, sequence=sequence)) as items:
        async for item in items:
            changed = regions.update(_progress(Answer(item, "watch")))
            if changed is not None:
                show(changed)
            if regions.is_settled:
                return


async def check(link: Link, app: str, sequence: int, regions: Regions, remedy: str | None = None) -> None:
    """What a command ends with, if not every region is live.

    Args:
        remedy: where a region failed.

    Raises:
        RolloutFailed: a region did not take it, or went back.
        RolloutHeld: and others do not get it for that.
        PushConflict: somebody published another one, be it with the same number.
        RolloutUnfinished: a region is still on its way, or none of its nodes is heard of.
    """
    if failed := regions.failed():
        reasons = [
            f"{', '.join(places)}: {reason or 'no reason was given'}" for reason, places in regions.reasons().items()
        ]
        if held := regions.held():
            stopped = f"{app} {sequence} was stopped: it does not go to {', '.join(held)}"
            raise RolloutHeld("\n".join([stopped, *reasons]))
        raise RolloutFailed(
            "\n".join([f"{app} {sequence} is not live in {', '.join(failed)}", *reasons]), remedy=remedy
        )
    if regions.is_superseded:
        raise PushConflict(f"{app} {sequence} was overtaken: somebody published a newer one")
    stages = regions.stages()
    if not regions.is_settled:
        left = ", ".join(f"{region} ({stage})" for region, stage in stages.items() if stage != "live")
        if dispute := await _dispute(link, app):
            raise PushConflict(
                f"{app} {sequence} is not live in {left}, and will not be: {dispute}",
                remedy="Do it again: the next number ends it. See who else signs, if you do not know.",
            )
        raise RolloutUnfinished(f"{app} {sequence} is published, and not live yet in {left}")
    silent = [region for region, stage in stages.items() if stage == SILENT]
    if silent:
        raise RolloutUnfinished(
            f"{app} {sequence} is published, and no node in {', '.join(silent)} is heard of",
            remedy="They take it when they are back; see `edged status`.",
        )


async def _dispute(link: Link, app: str) -> str:
    """That two records of an app have one number, of which each node keeps the one that it had first; "" if not."""
    try:
        view = parse_status(await link.call("status"))
    except EdgedError:
        return ""  # then nothing is known of it
    begin, end = f"deployment {app}: ", f"[{RecordConflict.code}]"
    return next((alarm for alarm in view.alarms if alarm.startswith(begin) and alarm.endswith(end)), "")


def _progress(item: Answer) -> NodeProgress:
    return NodeProgress(
        region=item.get("region", str),
        node=item.get("node", str),
        stage=item.get("stage", str),
        bytes_done=item.get("bytes_done", int),
        bytes_total=item.get("bytes_total", int),
        bytes_saved=item.get("bytes_saved", int),
        error=item.get("error", str) or item.get("error_code", str),
    )
