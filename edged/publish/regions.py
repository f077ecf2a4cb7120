"""How far a deployment came in each region: what its nodes report, folded. No input or output, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edged.publish.event import RegionChanged

STAGES = ("waiting", "fetch", "verify", "compile", "probe", "live")
"""What a node goes through, in this order."""

FAILED = frozenset({"failed", "reverted"})

# What a node says before it heard of the deployment, and after it took part in an earlier one.
_WAITING = frozenset({"idle", ""})


@dataclass(frozen=True, slots=True)
class NodeProgress:
    """What one node says of one deployment.

    Attributes:
        sequence: of the deployment that it speaks of.
        stage: as in `RegionChanged`.
        bytes_done, bytes_total, bytes_saved: of the release, plain.
        error: why it failed, or "".
    """

    region: str
    node: str
    sequence: int
    stage: str
    bytes_done: int = 0
    bytes_total: int = 0
    bytes_saved: int = 0
    error: str = ""


class Regions:
    """The regions of one deployment.

    Args:
        nodes: region -> its nodes, each with whether it has been heard of lately.
        sequence: of the deployment; what nodes say of an earlier one does not count.
    """

    def __init__(self, nodes: Mapping[str, Mapping[str, bool]], sequence: int) -> None:
        self._sequence = sequence
        self._nodes = {region: dict(states) for region, states in nodes.items()}
        self._progress: dict[str, NodeProgress] = {}
        self._told: dict[str, RegionChanged] = {}
        self.overtaken_by: int | None = None
        """A later sequence that a node speaks of: somebody changed the app again."""

    def update(self, progress: NodeProgress) -> RegionChanged | None:
        """Take what a node says. Returns what became of its region, if that is new."""
        if progress.region not in self._nodes or progress.sequence < self._sequence:
            return None
        if progress.sequence > self._sequence:
            self.overtaken_by = max(progress.sequence, self.overtaken_by or 0)
            return None
        self._nodes[progress.region][progress.node] = True  # whoever speaks is there
        self._progress[progress.node] = progress
        return self._changed(progress.region)

    def silent(self, node: str) -> RegionChanged | None:
        """Take that a node has not been heard of lately."""
        for region, states in self._nodes.items():
            if states.get(node):
                states[node] = False
                return self._changed(region)
        return None

    def changes(self) -> Iterable[RegionChanged]:
        """Every region whose state was not told yet."""
        return [event for region in self._nodes if (event := self._changed(region)) is not None]

    def stages(self) -> dict[str, str]:
        """Region -> stage, at this moment."""
        return {region: self._state(region).stage for region in self._nodes}

    def errors(self) -> dict[str, str]:
        """Region -> why it failed, of those that did."""
        return {region: state.error for region in self._nodes if (state := self._state(region)).stage in FAILED}

    @property
    def is_settled(self) -> bool:
        """Every region is live or failed; or silent, when there is nobody to wait for."""
        return all(stage == "live" or stage in FAILED or stage == "silent" for stage in self.stages().values())

    @property
    def is_live(self) -> bool:
        return all(stage == "live" for stage in self.stages().values())

    def _changed(self, region: str) -> RegionChanged | None:
        state = self._state(region)
        if self._told.get(region) == state:
            return None
        self._told[region] = state
        return state

    def _state(self, region: str) -> RegionChanged:
        states = self._nodes[region]
        heard = [name for name, is_heard in states.items() if is_heard]
        asked = [self._progress.get(name) or NodeProgress(region, name, self._sequence, "waiting") for name in heard]
        stages = ["waiting" if one.stage in _WAITING else one.stage for one in asked]
        bad = [one for one in asked if one.stage in FAILED]
        if bad:
            stage = bad[0].stage
        elif not asked:
            stage = "silent"
        else:
            stage = min(stages, key=lambda name: STAGES.index(name) if name in STAGES else 0)
        return RegionChanged(
            region,
            stage,
            nodes_live=stages.count("live"),
            nodes_total=len(asked),
            bytes_done=sum(one.bytes_done for one in asked),
            bytes_total=sum(one.bytes_total for one in asked),
            bytes_saved=sum(one.bytes_saved for one in asked),
            error="; ".join(f"{one.node}: {one.error}" for one in bad[:3]),
        )
