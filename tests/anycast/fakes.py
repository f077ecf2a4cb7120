"""Around an `Anycast`: workers, a speaker, rosters and a disk that the test plays. No process, no network."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, cast

import trio

from bgp.announcement import Announcement
from bgp.errors import MetadataUnavailable
from bgp.kernel_settings import SettingProblem
from bgp.metadata.provider_sessions import ProviderSessions
from bgp.peer import Peer, SpeakerConfig
from bgp.prefix import Address, AllowList, Network
from bgp.reach_rules import Finding, SessionFacts
from bgp.speaker import Speaker
from bgp.status import PeerStatus, SpeakerStatus
from bgp.wire import NotificationSeen
from edged.anycast.anycast import Anycast
from edged.anycast.config import BgpTable, DrainTable, MetadataTable, PeerTable
from edged.anycast.probe import Probe, Round, Target
from edged.anycast.speaking import Outside
from edged.anycast.surroundings import Surroundings
from edged.anycast.targets import Listening
from edged.errors import RecordsUnusable

PREFIX, OTHER = ip_network("203.0.113.10/32"), ip_network("2001:db8:a::10/128")
ADDRESS = ip_address("203.0.113.10")
ROUTER = PeerTable("r1", ip_address("192.0.2.1"), 65101, ip_address("192.0.2.2"))
TABLE = BgpTable(asn=65200, peers=(ROUTER,), drain=DrainTable(shift_s=2.0, linger_s=20.0))


class FakeSpeaker:
    """Sends whatever it is told, at once.

    Attributes:
        sets: each full set, as prefixes with how often our AS is in front of them.
    """

    def __init__(self, config: SpeakerConfig) -> None:
        self.config = config
        self.sets: list[dict[str, int]] = []
        self.restarts = 0
        self.is_stopped = trio.Event()
        self.error = ""
        self.flaps = 0
        self.state: Any = "established"
        self.own_state: Any = "running"
        self.notification: NotificationSeen | None = None

    async def run(self) -> None:
        await self.is_stopped.wait()

    async def stop(self) -> None:
        self.is_stopped.set()

    def set(self, announcements: Collection[Announcement]) -> None:
        self.sets.append({str(one.prefix): one.attributes.prepend for one in announcements})

    def configure(self, config: SpeakerConfig) -> None:
        self.config = config
        self.restarts += 1

    def bfd_up(self, name: str) -> None: ...

    async def wait_withdrawn(self, prefixes: Collection[Network], timeout: float) -> bool:
        return not {str(prefix) for prefix in prefixes} & self.sets[-1].keys()

    def proven(self, prefix: Network) -> bool:
        return True

    def status(self) -> SpeakerStatus:
        return SpeakerStatus(self.own_state, 0.0)

    def peers(self) -> tuple[PeerStatus, ...]:
        return tuple(
            PeerStatus(peer.name, str(peer.address), peer.asn, self.state, 0.0, error=self.error, flaps=self.flaps)
            for peer in self.config.peers
        )

    def notifications(self) -> Mapping[str, NotificationSeen | None]:
        return {peer.name: self.notification for peer in self.config.peers}

    def alarms(self) -> tuple[str, ...]:
        return ()


@dataclass
class Allowed:
    allow_list: AllowList
    refused: str = ""


@dataclass
class World:
    """What the test plays.

    Attributes:
        closing: what workers were told of connections, each time.
        investigated: the last notification that each search for a reason was told.
    """

    folder: Path
    table: BgpTable = TABLE
    prefixes: tuple[Network, ...] = (PREFIX,)
    refused: str = ""
    roster_fails: bool = False
    expelled: str = ""
    applied: bool = True
    free_bytes: int = 10**12
    disk_fails: bool = False
    absent: set[Address] = field(default_factory=set)
    connections: int = 0
    settings: Sequence[SettingProblem] = ()
    metadata: ProviderSessions | None = None
    metadata_asked: int = 0
    investigated: list[NotificationSeen | None] = field(default_factory=list)
    closing: list[bool] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    speakers: list[FakeSpeaker] = field(default_factory=list)

    @property
    def speaker(self) -> FakeSpeaker:
        return self.speakers[-1]

    @property
    def announced(self) -> dict[str, int]:
        return self.speaker.sets[-1]

    def make(self) -> Anycast:
        around = Surroundings(
            workers=self,
            worker_count=2,
            listening=[Listening("::", 80)],
            connections=lambda: self.connections,
            applied=lambda: self.applied,
            allowed=self._allowed,
            state_dir=self.folder,
            command=lambda fd: ["speaker", str(fd)],
            free_bytes=self._free_bytes,
            is_present=lambda address: address not in self.absent,
            settings=lambda: self.settings,
            expelled=lambda: self.expelled,
            outside=Outside(self._fetch, self._speaker, self._investigate),
        )
        return Anycast(self.table, around, rng=random.Random(1))

    # --- as workers ---

    def listening(self) -> Mapping[int, int]:
        return {}

    def cut(self, worker: int) -> None:
        self.cuts.append(worker)

    def set_closing(self, closing: bool) -> None:
        self.closing.append(closing)

    # --- the rest ---

    def _allowed(self) -> Allowed:
        if self.roster_fails:
            raise RecordsUnusable("records cannot be read")
        return Allowed(AllowList(self.prefixes), self.refused)

    def _free_bytes(self, _folder: Path) -> int:
        if self.disk_fails:
            raise OSError(5, "Input/output error")
        return self.free_bytes

    async def _fetch(self, _table: MetadataTable) -> ProviderSessions:
        self.metadata_asked += 1
        if self.metadata is None:
            raise MetadataUnavailable("no answer")
        return self.metadata

    def _speaker(self, config: SpeakerConfig, _command: object, _changed: object) -> Speaker:
        self.speakers.append(FakeSpeaker(config))
        return cast(Speaker, self.speaker)

    async def _investigate(self, _peer: Peer, facts: SessionFacts) -> Finding:
        self.investigated.append(facts.notification)
        return Finding(f"found {len(self.investigated)}", "look")


def answers(*ok: bool, lag_s: float = 0.0, addresses: Collection[Address] = (ADDRESS,)) -> Round:
    """A round in which each worker answered, or not, on each address."""
    probes = [
        Probe(worker, Target(address, 80), good, 0.001, "" if good else "nothing came back")
        for address in addresses
        for worker, good in enumerate(ok)
    ]
    return Round(tuple(probes), lag_s)
