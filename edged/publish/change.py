"""A change of an app that uploads nothing: another release of its history, or other variables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import trio

from edged.errors import PushInterrupted, UsageError
from edged.fleet.deployment import Deployment
from edged.limits import PUSH_TIMEOUT_S
from edged.publish.author import Author
from edged.publish.deployments import Head, again, publish
from edged.publish.event import Finished, Show, published
from edged.publish.fleet import Fleet
from edged.publish.hosts import check_hosts
from edged.publish.interrupts import Interrupts, until
from edged.publish.pace import IN_WAVES, Pace, patience_s
from edged.publish.url import app_url
from edged.publish.watch import check, regions_of, watch


def target_of(head: Head, history: Sequence[Deployment], to: int | None, running: Collection[int] = ()) -> Deployment:
    """Which earlier deployment of an app is meant.

    Args:
        history: newest first, with or without the head; only those that may be signed for today.
        to: sequence to go back to; None for the one that nodes went on with if they did not take the newest, else for
            the last one that had other releases than those of now: none of them, where no node serves the newest.
        running: sequences that nodes serve now.

    Raises:
        UsageError: there is none of that sequence, or none before.
    """
    current = None if head.signed is None else head.signed.deployment
    before = [old for old in history if old.sequence < head.sequence and old.regions]
    if to is None:
        target = next((old for old in before if old.sequence in running), None) or next(
            (old for old in before if current is None or _is_other(old, current, running)), None
        )
        if target is None:
            raise UsageError(f"{head.app} has no earlier release to go back to", remedy="See `edged releases`.")
    else:
        target = next((old for old in before if old.sequence == to), None)
        if target is None:
            known = ", ".join(str(old.sequence) for old in before) or "none"
            raise UsageError(
                f"{head.app} has no sequence {to} to go back to", remedy=f"Choose one of its history: {known}."
            )
    return target


def _is_other(old: Deployment, current: Deployment, running: Collection[int]) -> bool:
    """Whether it is worth going back to: what has failed everywhere would only fail again, in whichever regions."""
    if current.sequence in running:
        return dict(old.regions) != dict(current.regions)
    return not set(old.regions.values()) & set(current.regions.values())


def keeps_variables(head: Head, running: Collection[int]) -> bool:
    """Whether the variables of now are worth keeping: they are unless no node serves the deployment that has them."""
    return head.live is not None and (not running or head.sequence in running)


def rolled_back(author: Author, head: Head, target: Deployment, now: int, running: Collection[int] = ()) -> Deployment:
    """An earlier deployment of an app, as the newest one, with the variables of now if they are known to do.

    Args:
        running: sequences that nodes serve now.
    """
    variables = head.known().variables if keeps_variables(head, running) else target.variables
    return again(author, head, target, now, f"back to sequence {target.sequence}", variables=variables)


def with_variables(
    author: Author, head: Head, values: Mapping[str, str], gone: Sequence[str], now: int, *, pace: Pace = IN_WAVES
) -> Deployment:
    """The newest deployment with other variables: the same release, loaded anew.

    Args:
        values: to set.
        gone: names to delete.
        pace: in which waves; they may break the app as well as a release may.

    Raises:
        AppUnknown: the fleet has no such app.
        UsageError: a name to delete that is not set.
    """
    live = head.known()
    missing = sorted(set(gone) - set(live.variables))
    if missing:
        known = ", ".join(sorted(live.variables)) or "none"
        raise UsageError(f"{head.app} has no variable `{missing[0]}` set", remedy=f"Those that are set: {known}.")
    variables = {name: value for name, value in {**live.variables, **values}.items() if name not in gone}
    names = ", ".join(sorted({*values, *gone}))
    message = f"variables {names}"[:200]
    return again(author, head, live, now, message, variables=variables, pace=pace)


async def apply(
    fleet: Fleet,
    head: Head,
    deployment: Deployment,
    *,
    show: Show,
    interrupts: Interrupts,
    timeout_s: float = PUSH_TIMEOUT_S,
    remedy: str | None = None,
) -> Finished:
    """Publish a deployment and watch it arrive.

    Args:
        timeout_s: how long each wave is waited for.
        remedy: where a region fails.

    Raises:
        HostTaken: another app has a host that this one had. Nothing is published.
        PushInterrupted: the deployment is published, or not, as the message says.
        PushConflict: somebody else changed the app.
        RolloutFailed, RolloutHeld, RolloutUnfinished: a region that is not live.
        EdgedError: see `Link.call`.
    """
    started = trio.current_time()
    view = await fleet.view()
    check_hosts(view, deployment)
    if interrupts.first.is_set():
        raise PushInterrupted("interrupted: nothing was changed")
    await publish(fleet.link.call, fleet.author, deployment, head)
    show(published(deployment))
    regions = regions_of(view, deployment)
    with trio.move_on_after(patience_s(deployment, timeout_s)):
        async with until(interrupts.first):
            await watch(fleet.link, deployment.app, deployment.sequence, regions, show)
    if interrupts.first.is_set() and not regions.is_settled:
        raise PushInterrupted(
            f"interrupted: sequence {deployment.sequence} of {deployment.app} is published and goes on by itself",
            remedy="Watch it with `edged status --watch`.",
        )
    finished = Finished(
        app=deployment.app,
        sequence=deployment.sequence,
        url=app_url(view, deployment.app, deployment.hosts, deployment.regions),
        regions=regions.stages(),
        bytes_total=0,
        bytes_sent=0,
        bytes_saved=0,
        seconds=trio.current_time() - started,
    )
    show(finished)
    await check(fleet.link, deployment.app, deployment.sequence, regions, remedy)
    return finished
