"""One push: from a release on this machine to every region, or to nothing changed.

    head ── missing ── put_chunk... ── put_release ── head ── put_record ── watch
    └─ interrupted here: nothing is changed ────┘             └─ interrupted here: what was there before
                                                                 is published again

Everything up to `put_record` may be done any number of times, at any node: it changes nothing that runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from edged.errors import EdgedError, LinkError, PushConflict, PushInterrupted, UsageError
from edged.fleet.deployment import Deployment
from edged.limits import PUSH_TIMEOUT_S, UPLOAD_CALL_TIMEOUT_S
from edged.manifest.problems import nearest, shown
from edged.publish.author import Author
from edged.publish.deployments import Head, Wish, again, publish, read_head, removed, wished
from edged.publish.event import Connected, Finished, PuttingBack, Show, Warned, published
from edged.publish.hosts import check_hosts
from edged.publish.interrupts import Interrupts, until
from edged.publish.link import Link
from edged.publish.pace import patience_s
from edged.publish.regions import Regions
from edged.publish.upload import Frames, Upload
from edged.publish.url import app_url
from edged.publish.watch import check, regions_of, watch
from edged.status.parse import parse_status
from edged.status.view import StatusView
from registry.blob import Chunk
from registry.digest import Digest


@dataclass(frozen=True, slots=True)
class Package:
    """A release on this machine, signed.

    Attributes:
        envelope: the signed release.
        chunks: distinct ones.
        frames: where they are.
    """

    app: str
    digest: Digest
    envelope: bytes
    chunks: Sequence[Chunk]
    frames: Frames

    @property
    def bytes(self) -> int:
        return sum(chunk.size for chunk in self.chunks)


class Push:
    """One push. `run` is called once.

    Args:
        clock: unix time, s.
        timeout_s: how long each wave is waited for.
    """

    def __init__(
        self,
        link: Link,
        author: Author,
        package: Package,
        wish: Wish,
        *,
        show: Show,
        interrupts: Interrupts,
        clock: Callable[[], float],
        timeout_s: float = PUSH_TIMEOUT_S,
    ) -> None:
        self._link = link
        self._author = author
        self._package = package
        self._wish = wish
        self._show = show
        self._interrupts = interrupts
        self._clock = clock
        self._timeout_s = timeout_s
        self._started = trio.current_time()
        self._bytes_sent = 0
        self._bytes_saved = 0

    async def run(self) -> Finished:
        """Upload, publish, watch.

        Raises:
            PushInterrupted: the message says what the fleet has now.
            HostTaken: another app has a host of this one. Nothing was sent.
            PushConflict: somebody else changed the app.
            RolloutFailed, RolloutHeld, RolloutUnfinished: a region that is not live.
            EdgedError: as `Link.call`.
        """
        published: list[tuple[Head, Deployment, StatusView]] = []
        async with until(self._interrupts.first):
            published.append(await self._publish())
        if not published:
            raise PushInterrupted("interrupted: nothing was changed")
        before, deployment, view = published[0]
        regions = regions_of(view, deployment)
        with trio.move_on_after(patience_s(deployment, self._timeout_s)):
            async with until(self._interrupts.first):
                await watch(self._link, deployment.app, deployment.sequence, regions, self._show)
        if self._interrupts.first.is_set() and not regions.is_settled:
            await self._put_back(before, deployment)
        return await self._end(view, before, deployment, regions)

    async def _publish(self) -> tuple[Head, Deployment, StatusView]:
        """Everything until the fleet has the record; begun again at the next node if one goes away."""
        deployment: Deployment | None = None
        head: Head | None = None
        while True:
            try:
                view = parse_status(await self._link.call_once("status"))
                self._show(Connected(view.fleet.name, view.answered_by, self._link.address))
                if head is None or deployment is None:
                    head = await read_head(self._link.call_once, self._author, self._package.app)
                    deployment = self._wished(head, view)
                await self._upload()
                await trio.lowlevel.checkpoint_if_cancelled()
                # From here on Ctrl-C cannot tell any more whether the fleet has the record, so it waits.
                with trio.CancelScope(shield=True):
                    await publish(self._link.call_once, self._author, deployment, head)
            except LinkError:
                continue  # each node is tried once: this ends with FleetUnreachable
            self._show(published(deployment))
            return head, deployment, view

    def _wished(self, head: Head, view: StatusView) -> Deployment:
        known = [region.name for region in view.regions]
        for region in self._wish.regions or ():
            if region not in known:
                raise UsageError(
                    f"the fleet has no region {shown(region)}{nearest(region, known)}",
                    remedy=f"Name one of: {', '.join(known)}.",
                )
        if head.is_doubtful:
            self._show(
                Warned(
                    f"sequence {head.sequence} was signed by a key that may not sign it today:"
                    " hosts, limits and variables that were set before are not taken over"
                )
            )
        deployment = wished(self._author, head, self._wish, known, int(self._clock()))
        check_hosts(view, deployment)
        left_out = [region for region in known if region not in deployment.regions]
        if left_out and self._wish.regions is None:
            names = ", ".join(left_out)
            self._show(Warned(f"the app stays where it was, so not in {names}: --all-regions puts it there too"))
        return deployment

    async def _upload(self) -> None:
        package = self._package
        upload = Upload(self._link.call_once, package.frames, package.chunks, package.digest, self._show)
        try:
            await upload.run()
        finally:
            self._bytes_sent += upload.bytes_sent
            self._bytes_saved = upload.bytes_saved
        await self._link.call_once("put_release", timeout_s=UPLOAD_CALL_TIMEOUT_S, envelope=package.envelope)

    async def _put_back(self, before: Head, deployment: Deployment) -> None:
        """Publish what was there before. Raises PushInterrupted in any case."""
        app = deployment.app
        if before.is_doubtful:
            raise PushInterrupted(
                f"interrupted: sequence {deployment.sequence} stays published, as nobody may sign what was there before"
            )
        done: list[Deployment] = []
        try:
            async with until(self._interrupts.second):
                head = await read_head(self._link.call, self._author, app)
                if head.sequence != deployment.sequence:
                    raise PushConflict(f"interrupted, and {app} was changed meanwhile: it is at {head.sequence}")
                back = self._before(head, before)
                with trio.CancelScope(shield=True):
                    await publish(self._link.call, self._author, back, head)
                done.append(back)
        except EdgedError as error:
            error.remedy = (
                f"Go back with `edged rollback {app}`." if not isinstance(error, PushConflict) else error.remedy
            )
            raise
        if not done:
            raise PushInterrupted(
                f"interrupted twice: sequence {deployment.sequence} of {app} stays published",
                remedy=f"Go back with `edged rollback {app}`.",
            )
        self._show(PuttingBack(app, done[0].sequence, next(iter(done[0].regions.values()), "")))
        if before.live is None:
            raise PushInterrupted(f"interrupted: {app} was new and is removed again, as sequence {done[0].sequence}")
        raise PushInterrupted(
            f"interrupted: {app} goes back to what sequence {before.sequence} was, as sequence {done[0].sequence}"
        )

    def _before(self, head: Head, before: Head) -> Deployment:
        now, message = int(self._clock()), f"sequence {head.sequence} was interrupted"
        if before.live is None:
            return removed(self._author, head, now, message)
        return again(self._author, head, before.live, now, message)

    async def _end(self, view: StatusView, before: Head, deployment: Deployment, regions: Regions) -> Finished:
        stages = regions.stages()
        finished = Finished(
            app=deployment.app,
            sequence=deployment.sequence,
            url=app_url(view, deployment.app, deployment.hosts, deployment.regions),
            regions=stages,
            bytes_total=self._package.bytes,
            bytes_sent=self._bytes_sent,
            bytes_saved=self._bytes_saved,
            seconds=trio.current_time() - self._started,
        )
        self._show(finished)
        await check(self._link, deployment.app, deployment.sequence, regions, _remedy(before))
        return finished


def _remedy(before: Head) -> str:
    if before.live is None:
        return f"Correct the app and push again, or take it away with `edged remove {before.app}`."
    return (
        "What was there before goes on. Correct the app and push again, or go back everywhere with"
        f" `edged rollback {before.app}`."
    )
