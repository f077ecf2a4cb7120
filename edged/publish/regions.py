"""How far a deployment came in each region: what its nodes report, folded. No input or output, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edged.fleet.wave_order import Waves
from edged.publish.event import RegionChanged
from edged.status.view import FAILED

STAGES = ("waiting", "fetch", "verify", "compile", "probe", "live")
"""What a node goes through, in this order."""

SUPERSEDED = "superseded"
SILENT = "silent"
HELD = "held"
REMOVED = "removed"

_ERRORS_TOLD_MAX = 3  # different ones of a region: the first says most
_DONE = frozenset({"live", REMOVED})
_ENDS = frozenset({*_DONE, SUPERSEDED, SILENT, *FAILED})


@dataclass(frozen=True, slots=True)
class NodeProgress:
    """What one node says of one deployment: an item of the call `watch` (docs/status.md).

    Attributes:
        bytes_done, bytes_total, bytes_saved: of the release, plain.
        error: why it failed, or "".
    """

    region: str
    node: str
    stage: str
    bytes_done: int = 0
    bytes_total: int = 0
    bytes_saved: int = 0
    error: str = ""


class Regions:
    """The regions of one deployment.

    Args:
        nodes: region -> names of the nodes that are known to be there. More may speak up.
        waves: the regions in the order in which they get it, if they do not all at once.
    """

    def __init__(self, nodes: Mapping[str, Iterable[str]], waves: Waves = ()) -> None:
        self._waves = {name: number for number, wave in enumerate(waves, 1) for name in wave}
        self._nodes = {
            region: {name: NodeProgress(region, name, "waiting") for name in names} for region, names in nodes.items()
        }
        self._told: dict[str, RegionChanged] = {}

    def update(self, progress: NodeProgress) -> RegionChanged | None:
        """Take what a node says. Returns what became of its region, if that is new."""
        if progress.region not in self._nodes:
            return None
        self._nodes[progress.region][progress.node] = progress
        return self._changed(progress.region)

    def changes(self) -> list[RegionChanged]:
        """Every region whose state was not told yet."""
        return [event for region in self._nodes if (event := self._changed(region)) is not None]

    def stages(self) -> dict[str, str]:
        """Region -> stage, at this moment."""
        return {region: self._state(region).stage for region in self._nodes}

    def failed(self) -> list[str]:
        """The regions that failed, or went back."""
        return [region for region, stage in self.stages().items() if stage in FAILED]

    def held(self) -> list[str]:
        """The regions that do not get it, as an earlier wave could not serve it."""
        return [region for region, stage in self.stages().items() if stage == HELD]

    def reasons(self) -> dict[str, list[str]]:
        """Why nodes failed -> where: the region, if all its nodes did for that reason, else `region/node`. Those that
        are held only because others failed are left out."""
        stages = {progress.stage for nodes in self._nodes.values() for progress in nodes.values()} & set(FAILED)
        told = stages - {HELD} or stages
        found: dict[str, list[str]] = {}
        for region, nodes in self._nodes.items():
            failed = [progress for progress in nodes.values() if progress.stage in told]
            for reason in dict.fromkeys(progress.error for progress in failed):
                names = [progress.node for progress in failed if progress.error == reason]
                places = [region] if len(names) == len(nodes) else [f"{region}/{name}" for name in names]
                found.setdefault(reason, []).extend(places)
        return found

    @property
    def is_settled(self) -> bool:
        """No node that is there will come further by itself."""
        return all(progress.stage in _ENDS for nodes in self._nodes.values() for progress in nodes.values())

    @property
    def is_superseded(self) -> bool:
        """A node knows a newer deployment: somebody changed the app again."""
        return any(progress.stage == SUPERSEDED for nodes in self._nodes.values() for progress in nodes.values())

    def _changed(self, region: str) -> RegionChanged | None:
        state = self._state(region)
        if self._told.get(region) == state:
            return None
        self._told[region] = state
        return state

    def _state(self, region: str) -> RegionChanged:
        # Whoever is not heard of does not hold up its neighbours, but a region with nobody else is not live.
        heard = [progress for progress in self._nodes[region].values() if progress.stage != SILENT]
        bad = [progress for progress in heard if progress.stage in FAILED]
        return RegionChanged(
            region,
            _stage(heard),
            nodes_live=sum(progress.stage in _DONE for progress in heard),
            nodes_total=len(self._nodes[region]),
            nodes_silent=len(self._nodes[region]) - len(heard),
            bytes_done=sum(progress.bytes_done for progress in heard),
            bytes_total=sum(progress.bytes_total for progress in heard),
            bytes_saved=sum(progress.bytes_saved for progress in heard),
            error="; ".join(_errors(bad)[:_ERRORS_TOLD_MAX]),
            wave=self._waves.get(region, 0),
        )


def _errors(failed: list[NodeProgress]) -> list[str]:
    """Each reason once, after the names of the nodes that have it."""
    names: dict[str, list[str]] = {}
    for progress in failed:
        names.setdefault(progress.error, []).append(progress.node)
    return [f"{', '.join(nodes)}: {error}" for error, nodes in names.items()]


def _stage(heard: list[NodeProgress]) -> str:
    stages = {progress.stage for progress in heard}
    if not stages:
        return SILENT
    for worst in (*FAILED, SUPERSEDED):
        if worst in stages:
            return worst
    # A stage that this edged does not know is some way between the first and the last.
    return min(stages, key=lambda stage: STAGES.index(stage) if stage in STAGES else 1)
