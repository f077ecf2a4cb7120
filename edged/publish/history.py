"""What an app was: its deployments, newest first."""

from __future__ import annotations

from dataclasses import dataclass

from edged.errors import AppUnknown
from edged.fleet.deployment import Deployment
from edged.publish.fleet import Fleet
from edged.status.answer import Answer


@dataclass(frozen=True, slots=True)
class Past:
    """One deployment.

    Attributes:
        signed_by: name of the key; "" if it was signed by none that may sign it today.
        is_live_in: regions where every node that is up serves it.
        is_running: whether a node that is up serves it.
    """

    deployment: Deployment
    signed_by: str
    is_live_in: tuple[str, ...]
    is_running: bool

    def as_json(self) -> dict[str, object]:
        """Everything but the values of variables."""
        one = self.deployment
        return {
            "app": one.app,
            "sequence": one.sequence,
            "epoch": one.epoch,
            "regions": dict(one.regions),
            "hosts": list(one.hosts),
            "limits": dict(one.limits),
            "variables": sorted(one.variables),
            "issued": one.issued,
            "message": one.message,
            "signed_by": self.signed_by,
            "live_in": list(self.is_live_in),
        }


async def history(fleet: Fleet, app: str) -> list[Past]:
    """All deployments that the fleet remembers.

    Raises:
        AppUnknown: there is none.
        EdgedError: see `Link.call`.
    """
    envelopes = Answer(await fleet.link.call("history", app=app), "history").blobs("envelopes")
    if not envelopes:
        raise AppUnknown(f"the fleet has no app `{app}`")
    view = (await fleet.view()).app(app)
    running = () if view is None else view.nodes
    serving = {node.running for node in running if node.state == "up"}
    signed = [fleet.author.read_deployment(envelope) for envelope in envelopes]
    signed.sort(key=lambda one: one.deployment.version, reverse=True)
    found = []
    for one in signed:
        live = []
        for region in one.deployment.regions:
            nodes = [node for node in running if node.region == region and node.state == "up"]
            if nodes and all(node.running == one.deployment.sequence for node in nodes):
                live.append(region)
        found.append(Past(one.deployment, one.signed_by, tuple(sorted(live)), one.deployment.sequence in serving))
    return found
