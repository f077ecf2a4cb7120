"""What must hold in a simulated fleet at every moment, and what in the end. It knows what was really signed and what
publishers were really told; nodes do not.

    publishers, root ── signed, acknowledged ──> Oracle <── Watch, one for each node: records, sites, bytes, prefixes

Numbers are those of reference/fleet.md 3.4 and of the issue:

 1  what is served was signed for that app and that region
 2  a node's records, and what it serves, never go back, over crashes and torn writes
 3  in the end all nodes know the same, and run what they should, or say why not (`tests.simulator.liveness`)
 4  a prefix is announced only where the node's own probe answered of late, and a roster has it
 5  nobody else's silence, and no clock, takes away what is served or announced
 7  links, records, alarms and bytes on disk stay within limits
 8  a record that is no good changes nothing: whatever a node believes was signed by who may
 9  what a publisher was told is accepted is not lost (`tests.simulator.liveness`)
10  no byte is loaded that is not of a signed release
11  no more apps go than their publisher said (`tests.simulator.removals`)

What is broken is noted, not raised: nodes survive exceptions. The scenario stops at the first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trio

from bgp.prefix import Network
from edged.fleet.deployment import Deployment
from edged.fleet.record import Key, Version
from edged.fleet.roster import Roster
from edged.fleet.state import FleetState
from edged.fleet.view import Record
from edged.limits import LINK_COUNT_MAX, RECORD_ALARM_COUNT_MAX, RECORD_COUNT_MAX
from edged.node.agent import Agent
from edged.node.rollout_store import Kept
from edged.worker.table import Site
from registry.digest import Digest, digest_from_hex, digest_of
from registry.dsse import Envelope
from registry.release import Release
from tests.simulator.removals import Removals

PROBE_LATE_S = 10.0
"""Since the last good answer of workers, as long as a prefix may still be announced: a gate falls after three bad ones
or six seconds without any."""

ROSTER_LATE_S = 15.0
"""After a roster was accepted, as long as what it takes away may be announced: it is read from the disk, which may be
slow."""

CAUSE_S = 45.0
"""How long after its cause a prefix may still be withdrawn: a gate that waits for an observation twice."""


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant that does not hold.

    Attributes:
        invariant: its number, or a name.
        at: virtual time, s.
    """

    invariant: str
    seen: str
    at: float

    def __str__(self) -> str:
        return f"invariant {self.invariant}, {self.at:.3f} s after the start: {self.seen}"


@dataclass
class Oracle:
    """What is true of the fleet.

    Attributes:
        deployments: by digest of the payload, those that were signed by who could.
        acknowledged: app -> version -> digests of what publishers were told is accepted.
        rosters: signed by root, by digest.
        releases: by digest, signed by who may deploy their apps.
        are_disks_true: false once a sync of any disk has lied: then nobody can promise that all is kept.
        broken: what did not hold, first first.
    """

    deployments: dict[Digest, Deployment] = field(default_factory=dict)
    acknowledged: dict[str, dict[Version, set[Digest]]] = field(default_factory=dict)
    rosters: dict[Digest, Roster] = field(default_factory=dict)
    releases: dict[Digest, Release] = field(default_factory=dict)
    are_disks_true: bool = True
    broken: list[Broken] = field(default_factory=list)
    stop: trio.Event = field(default_factory=trio.Event)

    # --- what is true ---

    def signed(self, deployment: Deployment) -> None:
        """Somebody who can has signed it."""
        self.deployments[deployment.digest] = deployment

    def accepted(self, deployment: Deployment) -> None:
        """A publisher was told that a node has it."""
        of = self.acknowledged.setdefault(deployment.app, {})
        of.setdefault(deployment.version, set()).add(deployment.digest)

    def released(self, release: Release) -> None:
        """Somebody who may has signed it."""
        self.releases[digest_of(release.encode())] = release

    def rostered(self, roster: Roster) -> None:
        """Root has signed it."""
        self.rosters[roster.digest] = roster

    @property
    def newest_roster(self) -> Roster:
        return max(self.rosters.values(), key=lambda roster: roster.record_version)

    # --- what was found ---

    def fail(self, invariant: str, seen: str) -> None:
        """It does not hold."""
        self.broken.append(Broken(invariant, seen, trio.current_time()))
        self.stop.set()


class Watch:
    """What one node does, over all its lives. A `tests.simulator.workers.Told`.

    Args:
        region: of the node, in all rosters.
        is_alive: whether its process lives; what one does that does not, has no effect.

    Attributes:
        highest: newest version of each record that its disk must have.
        served: app -> version that workers serve, in this life or, while it is down, in the last one.
        prefixes: announced now.
        is_drained: its operator was told that it has left, and stays away.
        is_disk_true: false from the moment on at which syncs lied to it, or a durable byte was changed.
    """

    def __init__(self, name: str, region: str, oracle: Oracle, is_alive: Callable[[], bool]) -> None:
        self.name = name
        self._is_alive = is_alive
        self._region = region
        self._oracle = oracle
        self._agent: Agent | None = None
        self._state: FleetState | None = None
        self.highest: dict[Key, Version] = {}
        self.served: dict[str, Version] = {}
        self.prefixes: frozenset[Network] = frozenset()
        self.is_disk_true = True
        self.is_drained = False
        self._floors: dict[str, Version] = {}
        self._removals = Removals()
        self._unread: set[Key] = set()
        self._placed_this_life: dict[str, Version] = {}
        self._well_at = self._ill_at = self._steered_at = -1e9
        self._roster_at = self._began_at = -1e9
        self._held: dict[Network, float] = {}

    # --- a life ---

    def starts(self, state: FleetState, kept: Mapping[str, Kept], unread: Collection[Path]) -> None:
        """The node has read its disk.

        Args:
            kept: rollouts as they are on the disk.
            unread: files that the disk did not give: of what was in them the number is still known, and no more.
        """
        self._state, self._agent = state, None
        self._placed_this_life = {}
        self._began_at = trio.current_time()
        self._unread = {key for key in self.highest if any(path.parts[-3:-1] == key for path in unread)}
        if self.is_disk_true:
            for key, version in self.highest.items():
                self._check_record(state, key, version)
            for app in [path.name for path in unread if path.parent.name == "rollouts"]:
                self._floors.pop(app, None)
            for app, floor in self._floors.items():
                self._check_kept(app, floor, kept.get(app))
        else:
            self.highest.clear()
            self._floors.clear()
            self.is_drained = False
        self._removals.look(state.view.records.values())
        for record in state.view.records.values():
            self._check_genuine(record)
            former = self.highest.get(record.head.key, record.head.version)
            self.highest[record.head.key] = max(former, record.head.version)

    def runs(self, agent: Agent) -> None:
        """Its parts are made."""
        self._agent = agent

    def ends(self) -> None:
        """The process is gone: its speaker's child withdraws, its workers end."""
        self._state = self._agent = None
        self.prefixes = frozenset()

    # --- what it does ---

    def accepted(self, record: Record) -> None:
        """For `FleetState(accepted=...)`: it is on disk."""
        if not self._is_alive():
            return
        head = record.head
        former = self.highest.get(head.key)
        self._check_genuine(record)
        if head.key.kind == "admission":
            return
        is_again = head.version == former and head.key in self._unread
        self._demand(
            former is None or head.version > former or is_again,
            "2",
            f"{_key(head.key)} was at {_version(former)} when {_version(head.version)} was accepted",
        )
        self._unread.discard(head.key)
        self.highest[head.key] = head.version
        if head.key.kind == "roster":
            self._roster_at = trio.current_time()
        if self._state is not None:
            self._removals.look(self._state.view.records.values())

    def sites_set(self, sites: Sequence[Site]) -> None:
        """As `Told` has it."""
        if not self._is_alive():
            return
        served = {site.app: (_site_version(site), site) for site in sites if site.serve}
        for app, (version, site) in served.items():
            self._check_signed_for(app, version, site)
            self._check_not_back(app, version)
            went_back = version < self._placed_this_life.get(app, version)
            self._floors[app] = version if went_back else max(version, self._floors.get(app, version))
            self._placed_this_life[app] = version
        for app in self._placed_this_life.keys() - served.keys():
            self._check_taken_away(app)
            del self._placed_this_life[app]
        self.served = {**self.served, **{app: version for app, (version, _) in served.items()}}
        for app in list(self.served):
            if app not in served and (self._is_removed(app) or self.took_back(app, self.served[app])):
                del self.served[app]

    def loaded(self, site: Site, files: Mapping[str, Digest]) -> None:
        """As `Told` has it."""
        if not self._is_alive():
            return
        release = self._oracle.releases.get(_release_of(site))
        wanted = None if release is None else {entry.path: entry.blob.digest for entry in release.entries}
        is_app = release is not None and release.app == site.app
        self._demand(
            is_app and wanted == files,
            "10",
            f"a worker loaded {sorted(files)} of {site.key} from {site.folder}, which nobody signed like that",
        )

    def answered(self, is_well: bool) -> None:
        """As `Told` has it."""
        if is_well:
            self._well_at = trio.current_time()
        else:
            self._ill_at = trio.current_time()

    def steered(self) -> None:
        """Its operator tells it to leave, or to come back."""
        self._steered_at = trio.current_time()

    def announced(self, prefixes: frozenset[Network]) -> None:
        """As `Told` has it."""
        if not self._is_alive():
            return
        now = trio.current_time()
        for prefix in prefixes - self.prefixes:
            self._demand(
                any(str(prefix) in roster.prefixes for roster in self._oracle.rosters.values()),
                "4",
                f"{prefix} is announced, and stands in no roster",
            )
        self._demand(
            not (prefixes and self.is_drained), "4", f"{sorted(map(str, prefixes))} is announced, and it was drained"
        )
        gone = self.prefixes - prefixes
        if gone and self._state is not None:
            causes = max(self._ill_at, self._roster_at, self._began_at, self._steered_at)
            self._demand(
                now - causes <= CAUSE_S,
                "5",
                f"{sorted(map(str, gone))} was withdrawn; no probe failed, no roster came, nobody drained it",
            )
        self.prefixes = prefixes

    # --- from time to time ---

    def look(self) -> None:
        """At what holds at each moment."""
        state, now = self._state, trio.current_time()
        if state is None or not self._is_alive():
            return
        roster = state.roster
        for prefix in self.prefixes:
            self._demand(
                now - self._well_at <= PROBE_LATE_S,
                "4",
                f"{prefix} is announced {now - self._well_at:.1f} s after the last good probe",
            )
            self._demand(
                roster is not None and (str(prefix) in roster.prefixes or now - self._roster_at <= ROSTER_LATE_S),
                "4",
                f"{prefix} is announced; the roster that the node has held for long does not have it",
            )
        counts = state.statistics()
        self._demand(counts.records <= RECORD_COUNT_MAX, "7", f"{counts.records} records")
        self._demand(counts.alarms <= RECORD_ALARM_COUNT_MAX, "7", f"{counts.alarms} alarms")

    def look_at_bounds(self, links: int, chunk_bytes: int, chunk_bytes_max: int) -> None:
        """Links that others opened, and what chunks take of the disk."""
        self._demand(links <= LINK_COUNT_MAX, "7", f"{links} links")
        self._demand(chunk_bytes <= chunk_bytes_max, "7", f"{chunk_bytes} bytes of chunks")

    # --- inside ---

    def _demand(self, holds: bool, invariant: str, seen: str) -> None:
        if not holds:
            self._oracle.fail(invariant, f"{self.name}: {seen}")

    def _check_genuine(self, record: Record) -> None:
        digest = digest_of(Envelope.parse(record.envelope).payload)
        kind = record.head.key.kind
        known = self._oracle.rosters if kind == "roster" else self._oracle.deployments
        self._demand(
            kind == "admission" or digest in known, "8", f"{_key(record.head.key)} was signed by nobody who may"
        )

    def _check_signed_for(self, app: str, version: Version, site: Site) -> None:
        release = _release_of(site)
        self._demand(
            any(
                each.app == app and each.version == version and each.regions.get(self._region) == release
                for each in self._oracle.deployments.values()
            ),
            "1",
            f"{site.key} is served from {release}, which nobody asked for in {self._region}",
        )

    def _check_not_back(self, app: str, version: Version) -> None:
        before = self._placed_this_life.get(app)
        if before is None or version >= before:
            return
        self._demand(
            self.took_back(app, before),
            "2",
            f"{app} is served as {_version(version)} after {_version(before)}, which was not refused",
        )

    def _check_record(self, state: FleetState, key: Key, version: Version) -> None:
        """What the disk has of a record after a crash."""
        record = state.record(key)
        found = None if record is None else record.head.version
        if key in self._unread:
            found = state._highest.get(key)
        self._demand(
            found is not None and found >= version,
            "2",
            f"{_key(key)} was at {_version(version)}, and the disk has {_version(found)}",
        )

    def _check_kept(self, app: str, floor: Version, kept: Kept | None) -> None:
        """What a rollout has on disk after a crash.

        Args:
            floor: the newest version that workers were ever given to serve.
        """
        if kept is None:
            self._oracle.fail("2", f"{self.name}: the rollout of {app}, served as {_version(floor)}, is not on disk")
            return
        saved = kept.saved
        self._demand(
            saved.floor >= floor,
            "2",
            f"{app} was served as {_version(floor)}, and the disk has it at {_version(saved.floor)}",
        )
        live = None if saved.live is None else saved.live.version
        refused = saved.refused is not None and saved.refused.reverted and saved.refused.version >= floor
        is_removed = live is None and saved.floor > floor
        self._demand(
            refused or is_removed or (live is not None and live >= floor),
            "2",
            f"{app} was served as {_version(floor)}, and {_version(live)} is what is live on the disk",
        )
        if live is not None:
            self._floors[app] = live  # what took the newer one back may be forgotten after the next that fails

    def _check_taken_away(self, app: str) -> None:
        """By a deployment; or because the first release that it ever had ends worker processes."""
        placed = self._placed_this_life[app]
        if self.took_back(app, placed) or self._removals.has_meant(app, placed):
            return
        deployment = None if self._state is None else self._state.deployments().get(app)
        if not self.is_disk_true and deployment is not None and deployment.version == placed:
            return  # its record was lost, nobody else had it, and another one got the number
        self._demand(
            deployment is None or bool(deployment.regions),
            "11",
            f"{app} is served no more, and more apps were removed than that allows",
        )
        self._demand(
            self._is_removed(app),
            "5",
            f"{app} is served no more, and its newest deployment still places it in {self._region}",
        )

    def took_back(self, app: str, version: Version) -> bool:
        """Whether the node has refused this release, or something newer, after it had served it."""
        rollout = None if self._agent is None else self._agent._rollouts.get(app)
        refused = None if rollout is None else rollout.plan.saved.refused
        return refused is not None and refused.reverted and refused.version >= version

    def _is_removed(self, app: str) -> bool:
        deployment = None if self._state is None else self._state.deployments().get(app)
        return deployment is not None and not deployment.regions.get(self._region)


def _release_of(site: Site) -> Digest:
    return digest_from_hex(Path(site.folder).name)


def _site_version(site: Site) -> Version:
    epoch, _, sequence = site.key.rpartition("@")[2].partition(".")
    return Version(int(epoch), int(sequence))


def _key(key: Key) -> str:
    return f"{key.kind} {key.name}"


def _version(version: Version | None) -> str:
    return "nothing" if version is None else f"{version.epoch}.{version.sequence}"
