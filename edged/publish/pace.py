"""How fast a change of an app goes through the fleet: in waves, unless it is new there or somebody wants otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from edged.fleet.deployment import Deployment
from edged.fleet.wave_order import Waves
from edged.publish.author import Author


@dataclass(frozen=True, slots=True)
class Pace:
    """What a publisher wants.

    Attributes:
        all_at_once: in no waves.
        soak_s: how long a wave serves it until the next goes; None for what the fleet has.
    """

    all_at_once: bool = False
    soak_s: int | None = None

    def waves(self, author: Author, before: Deployment | None, regions: tuple[str, ...]) -> tuple[Waves, int]:
        """The waves to these regions, and how long each takes; no waves for what no region serves yet.

        Args:
            before: the newest deployment of the app, whoever signed it.
        """
        if self.all_at_once or before is None or not before.regions:
            return (), 0
        waves, soak_s = author.pace(regions)
        if not waves:
            return (), 0
        return waves, soak_s if self.soak_s is None else self.soak_s


IN_WAVES = Pace()
ALL_AT_ONCE = Pace(all_at_once=True)


def patience_s(deployment: Deployment, timeout_s: float) -> float:
    """How long to wait for a deployment, if each of its waves may take so long."""
    waves = max(len(deployment.waves), 1)
    return timeout_s * waves + deployment.soak_s * (waves - 1)
