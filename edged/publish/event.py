"""What happens while an app is pushed, for whoever shows it: a terminal, or a program that reads JSON lines.

Each event is a frozen record with a `name` that does not change. `docs/push.md` lists them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from edged.event import Event
from edged.fleet.deployment import Deployment


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something that works, and will surprise."""

    name: ClassVar[str] = "warning"
    message: str


@dataclass(frozen=True, slots=True)
class Packing(Event):
    """The app's files are read and cut into chunks.

    Attributes:
        bytes_done: of the files, so far.
    """

    name: ClassVar[str] = "packing"
    app: str
    bytes_done: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class Packed(Event):
    """The release is made and signed, on this machine.

    Attributes:
        digest: names the release from now on.
        files: entries of the release.
        bytes: of all entries.
        chunks: distinct ones.
    """

    name: ClassVar[str] = "packed"
    app: str
    version: str
    digest: str
    files: int
    bytes: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Connected(Event):
    """A node of the fleet takes the upload; a second one may follow if the first goes away."""

    name: ClassVar[str] = "connected"
    fleet: str
    node: str
    address: str


@dataclass(frozen=True, slots=True)
class Uploading(Event):
    """Chunks that the node lacks are on their way to it.

    Attributes:
        bytes_done: plain bytes of the chunks that arrived.
        bytes_total: plain bytes of all chunks that the node lacked.
        bytes_sent: what they took on the wire, compressed.
        bytes_saved: plain bytes of the release that the node had already.
    """

    name: ClassVar[str] = "uploading"
    bytes_done: int
    bytes_total: int
    bytes_sent: int
    bytes_saved: int


@dataclass(frozen=True, slots=True)
class Published(Event):
    """The fleet has a new deployment of the app. From here on an interruption puts back what was there before.

    Attributes:
        digest: of the release, "" for an app that is removed.
        regions: that run it.
        waves: the regions in the order in which they get it; empty: all at once.
        soak_s: how long each wave serves it until the next goes.
    """

    name: ClassVar[str] = "published"
    app: str
    sequence: int
    digest: str
    regions: tuple[str, ...]
    waves: tuple[tuple[str, ...], ...] = ()
    soak_s: int = 0


@dataclass(frozen=True, slots=True)
class RegionChanged(Event):
    """A region came further, or not.

    Attributes:
        stage: one of docs/status.md: the least advanced of its nodes, and `failed` before all others. Nodes that are
            not heard of hold up none; a region with no other is `silent`.
        wave: which of them, from 1 on; 0 where there are none.
        nodes_live: nodes that serve the deployment, or are done with removing the app.
        nodes_total: nodes of the region.
        nodes_silent: those of them that are not heard of.
        bytes_done: plain bytes fetched by all its nodes together.
        bytes_total: to be fetched by them.
        bytes_saved: what they had already.
        error: why nodes of it failed, or "".
    """

    name: ClassVar[str] = "region"
    region: str
    stage: str
    nodes_live: int
    nodes_total: int
    nodes_silent: int
    bytes_done: int
    bytes_total: int
    bytes_saved: int
    error: str = ""
    wave: int = 0


@dataclass(frozen=True, slots=True)
class PuttingBack(Event):
    """The push was interrupted after it was published: what was there before is published again.

    Attributes:
        sequence: of the deployment that does so.
        digest: of the release that comes back, "" if the app was new and is removed.
    """

    name: ClassVar[str] = "putting-back"
    app: str
    sequence: int
    digest: str


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """Every region is live, or has failed.

    Attributes:
        url: where the app answers, or "" if no host is known.
        regions: name -> stage.
        bytes_total: plain bytes of the release.
        bytes_sent: on the wire, from this machine.
        bytes_saved: plain bytes that the fleet had already.
        seconds: since the push began.
    """

    name: ClassVar[str] = "finished"
    app: str
    sequence: int
    url: str
    regions: Mapping[str, str]
    bytes_total: int
    bytes_sent: int
    bytes_saved: int
    seconds: float


def published(deployment: Deployment) -> Published:
    """That the fleet has it."""
    return Published(
        deployment.app,
        deployment.sequence,
        next(iter(deployment.regions.values()), ""),
        tuple(sorted(deployment.regions)),
        deployment.waves,
        deployment.soak_s,
    )


Show = Callable[[Event], None]
"""Whoever shows events. Must not raise, and must not block for long: it is called on the loop that uploads."""
