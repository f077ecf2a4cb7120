"""Apps, in no region any more: all that go together say how many they are (`edged.fleet.removal`)."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from edged.errors import AppUnknown, PushInterrupted, RemovalHeld, RolloutUnfinished
from edged.fleet.deployment import Deployment
from edged.limits import PUSH_TIMEOUT_S
from edged.publish.author import Author
from edged.publish.deployments import Head, publish, removed
from edged.publish.event import Finished, Show, published
from edged.publish.fleet import Fleet
from edged.publish.interrupts import Interrupts, until
from edged.publish.regions import REMOVED, SILENT, Regions
from edged.publish.watch import watch
from edged.status.view import StatusView


def without(author: Author, heads: Sequence[Head], now: int) -> list[Deployment]:
    """The deployments that remove these apps."""
    return [removed(author, head, now, "removed", len(heads)) for head in heads]


async def remove(
    fleet: Fleet,
    heads: Sequence[Head],
    now: int,
    *,
    show: Show,
    interrupts: Interrupts,
    timeout_s: float = PUSH_TIMEOUT_S,
) -> list[Finished]:
    """Publish that these apps are in no region, and wait until no node serves them.

    Args:
        now: unix time, s.
        timeout_s: how long nodes are waited for, for each app.

    Raises:
        AppUnknown: the fleet never had one of them. Nothing is published.
        PushInterrupted: some may be published; the message says which.
        PushConflict: somebody else changed one.
        RemovalHeld: nodes serve it as before.
        RolloutUnfinished: some serve it still.
        EdgedError: see `Link.call`.
    """
    view = await fleet.view()
    _check_known(view, heads)
    deployments = without(fleet.author, heads, now)
    done: list[str] = []
    for head, deployment in zip(heads, deployments, strict=True):
        if interrupts.first.is_set():
            raise PushInterrupted(f"interrupted: {_said(done)}", remedy="Run it again: what was removed stays so.")
        await publish(fleet.link.call, fleet.author, deployment, head)
        done.append(head.app)
        show(published(deployment))
    finished = []
    for head, deployment in zip(heads, deployments, strict=True):
        finished.append(
            await _wait(fleet, view, head, deployment, show=show, interrupts=interrupts, timeout_s=timeout_s)
        )
    return finished


async def _wait(
    fleet: Fleet,
    view: StatusView,
    head: Head,
    deployment: Deployment,
    *,
    show: Show,
    interrupts: Interrupts,
    timeout_s: float,
) -> Finished:
    """Until no node serves the app."""
    started = trio.current_time()
    before = None if head.signed is None else head.signed.deployment
    names = [each.name for each in view.regions if before is None or not before.regions or each.name in before.regions]
    regions = Regions({name: [node.name for node in view.nodes if node.region == name] for name in names})
    with trio.move_on_after(timeout_s):
        async with until(interrupts.first):
            await watch(fleet.link, deployment.app, deployment.sequence, regions, show)
    stages = regions.stages()
    finished = Finished(deployment.app, deployment.sequence, "", stages, 0, 0, 0, trio.current_time() - started)
    show(finished)
    if regions.held():
        raise RemovalHeld("\n".join([f"{deployment.app} was not let go", *regions.reasons()]))
    left = [name for name, stage in stages.items() if stage != REMOVED]
    if left:
        silent = all(stages[name] == SILENT for name in left)
        raise RolloutUnfinished(
            f"{deployment.app} is removed as sequence {deployment.sequence}, and"
            + (f" nobody in {', '.join(left)} is heard of" if silent else f" still served in {', '.join(left)}"),
            remedy="Nodes follow by themselves; see `edged status`.",
        )
    return finished


def _check_known(view: StatusView, heads: Sequence[Head]) -> None:
    """Demand that there is something to remove. What was removed before is removed anew where nodes serve it all the
    same, or others are not removed yet: so the same command can be run again.

    Raises:
        AppUnknown
    """
    gone = [head for head in heads if head.signed is None or not head.signed.deployment.regions]
    never = [head for head in gone if head.signed is None]
    if never or (len(gone) == len(heads) and not any(_is_held(view, head.app) for head in gone)):
        raise AppUnknown(f"the fleet has no app `{(never or gone)[0].app}`")


def _is_held(view: StatusView, app: str) -> bool:
    alarms = [alarm for node in view.nodes for alarm in node.alarms]
    return any(alarm.startswith(f"app {app}: ") and alarm.endswith(f"[{RemovalHeld.code}]") for alarm in alarms)


def _said(done: Sequence[str]) -> str:
    return f"{', '.join(done)} removed, the others not" if done else "nothing was changed"
