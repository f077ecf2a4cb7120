"""A node of the simulated fleet: the fleet half of production as it is, and anycast, on a machine that is made up.

    Machine: disk, clock, network ── Node.live, life after life ──> open_stores ── FleetState ── FleetPart
                                                                        Workers, Prober, Speaker ── Anycast
    Watch <── records, sites, bytes, answers, prefixes

It is put together as `edged.node.node` does it. A life that ends, whatever ends it, is followed by another one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import trio

from bgp.metadata.provider_sessions import ProviderSessions
from bgp.peer import SpeakerConfig
from bgp.speaker_process import Command
from bgp.status import AnycastStatus
from edged.anycast.anycast import Anycast
from edged.anycast.config import BgpTable, MetadataTable, PeerTable
from edged.anycast.speaking import Outside
from edged.anycast.surroundings import Surroundings
from edged.anycast.targets import Listening
from edged.errors import EdgedError
from edged.fleet.roster_prefixes import read_allowed
from edged.fleet.state import FleetState
from edged.fleet.view import Record
from edged.node.announcing import is_settled
from edged.node.anycast_calls import AnycastCalls
from edged.node.fleet_part import Accepted, FleetPart
from edged.node.joining import join, own_node
from edged.node.log_tail import LogTail
from edged.node.stores import Stores, open_stores
from edged.version import VERSION
from registry.errors import RegistryError
from tests.simulator import parties
from tests.simulator.handshake import Dialer, serving
from tests.simulator.invariants import Oracle, Watch
from tests.simulator.workers import Prober, Speaker, Workers
from tests.simulator.world import World

STATE = Path("/state")
CHUNK_BYTES_MAX = 64 * 1024 * 1024

_DRAINED = STATE / "drained"
_RESTART_S = 1.0  # as systemd does it

_TABLE = BgpTable(
    asn=64512,
    router_id=IPv4Address("10.255.0.2"),
    peers=(PeerTable("router", IPv4Address("10.255.0.1"), 64500, IPv4Address("10.255.0.2")),),
    addresses=(IPv4Address("192.0.2.1"), IPv4Address("198.51.100.1")),
)


class Node:
    """One node, over all its lives.

    Args:
        number: of it; its name, region and keys follow from that.
        roster: signed, as the operator put it into the node's folder; or in its place
        voucher: that lets it in.

    Attributes:
        machine, watch: of it.
        part, state: of this life; None before it has begun, and after its end.
        is_wanted: whether it is to have another life.
        is_vouched: whether no roster has it, and an operator has let it in.
        is_drained: whether its operator wants it out of traffic.
    """

    def __init__(
        self, world: World, number: int, roster: bytes | None, oracle: Oracle, *, voucher: bytes | None = None
    ) -> None:
        self.name = parties.node_name(number)
        self.region = parties.region_of(number)
        self.identity = parties.identity(self.name)
        self.address = parties.address_of(self.name)
        self.machine = world.machine(self.name)
        self.watch = Watch(self.name, self.region, oracle, lambda: self.machine.is_alive)
        self.part: FleetPart | None = None
        self.state: FleetState | None = None
        self.stores: Stores | None = None
        self.workers: Workers | None = None
        self.is_wanted = True
        self.is_answering = True
        self.is_drained = False
        self.is_vouched = voucher is not None
        self._world = world
        self._roster = roster
        self._voucher = voucher
        self._rng = world.random(f"node {self.name}")
        self._wanted = trio.Event()
        self._anycast: Anycast | None = None

    # --- faults ---

    def down(self) -> None:
        """It stays away when this life ends."""
        self.is_wanted = False

    def up(self) -> None:
        """It may live again."""
        self.is_wanted = True
        self._wanted.set()

    def set_answering(self, is_answering: bool) -> None:
        """Whether its workers answer, over restarts too."""
        self.is_answering = is_answering
        if self.workers is not None:
            self.workers.is_answering = is_answering

    def collect(self) -> None:
        """It looks for what nothing needs any more, now and not within the hour."""
        if self.part is not None:
            self._start(partial(_collect, self.part))

    def set_drained(self, is_drained: bool) -> None:
        """What its operator wants, who tries again until the node says that it is so, over restarts too."""
        self.is_drained = is_drained
        if self._anycast is not None:
            self._start(partial(self._steer, self._anycast))

    # --- lives ---

    async def run(self) -> None:
        """One life after the other, until cancelled."""
        while True:
            while not self.is_wanted:
                self._wanted = trio.Event()
                await self._wanted.wait()
            try:
                await self.machine.live(lambda _machine: self._live())
            except* (EdgedError, RegistryError) as group:
                # A disk that fails or is full at the start: the node says so and ends, and systemd starts it again.
                self._world.trace.note("node.failed", self.name, _codes(group))
            self.watch.ends()
            self.part = self.state = self.stores = self.workers = self._anycast = None
            await trio.sleep(_RESTART_S)

    async def _live(self) -> None:
        disk = self.machine.disk
        self.stores = stores = await trio.to_thread.run_sync(partial(open_stores, STATE, CHUNK_BYTES_MAX, disk=disk))
        accepted = Accepted()

        def notice(record: Record) -> None:
            self.watch.accepted(record)
            accepted.notice(record)

        open_state = partial(FleetState, stores.records, now=time.time(), accepted=notice)
        self.state = state = await trio.to_thread.run_sync(open_state)
        kept = await trio.to_thread.run_sync(stores.rollouts.load)
        self.watch.starts(state, kept, disk.unread)
        if self._roster is not None:
            outcome = await trio.to_thread.run_sync(state.begin, self._roster, time.time())
            if outcome.error is not None and outcome.kind != "stale":
                raise outcome.error
        if self._voucher is not None and own_node(state, self.identity) is None:
            connect = Dialer(self.machine).connect
            await join(state, self.identity, self._voucher, version=VERSION, connect=connect)
        async with trio.open_nursery() as nursery:
            await self._run_parts(stores, state, accepted, nursery)

    async def _run_parts(self, stores: Stores, state: FleetState, accepted: Accepted, nursery: trio.Nursery) -> None:
        rng = random.Random(self._rng.random())
        disk, told = self.machine.disk, self.watch
        self.workers = workers = Workers(nursery, disk, rng, told)
        workers.is_answering = self.is_answering
        self.part = part = FleetPart(
            identity=self.identity,
            stores=stores,
            state=state,
            region=self.region,
            rate_bytes_s=None,
            pool=workers,
            set_sites=workers.set,
            networks_closed=lambda: (),
            fleet_changed=self._fleet_changed,
            anycast=self._status,
            install_alarm=lambda: "",
            tail=LogTail(),
            rng=rng,
            connect=Dialer(self.machine).connect,
        )
        accepted.listen(part)
        workers.emit = part.emit
        around = Surroundings(
            workers=workers,
            worker_count=1,
            listening=(Listening("0.0.0.0", 80),),
            connections=lambda: 0,
            applied=lambda: is_settled(part.agent.reports()),
            allowed=partial(read_allowed, STATE, disk=disk),
            state_dir=STATE,
            command=_no_child,
            expelled=part.membership.expelled,
            free_bytes=disk.free_bytes,
            is_present=lambda _address: True,
            settings=lambda: (),
            outside=Outside(_no_metadata, partial(_speaker, told), keep_routes=_no_routes),
            prober=partial(Prober, workers, told),
            disk=disk,
        )
        self._anycast = anycast = Anycast(_TABLE, around, rng=rng)
        part.answer(AnycastCalls(anycast, lambda: 0).handlers())
        told.runs(part.agent)
        await nursery.start(part.run, [])
        self._world.network.listen(self.address, serving(part.server, self.identity, state.anchors))
        await nursery.start(anycast.run)
        self._world.trace.note("node.ready", self.name)
        await self._steer(anycast)
        await trio.sleep_forever()

    async def _steer(self, anycast: Anycast) -> None:
        """As an operator does it who reads alarms."""
        disk, watch = self.machine.disk, self.watch
        while disk.exists(_DRAINED) != self.is_drained or _forgets(anycast):
            watch.steered()
            if self.is_drained:
                await anycast.drain("its operator")
            else:
                watch.is_drained = False
                await anycast.undrain()
            await trio.sleep(_RESTART_S)
        watch.is_drained = self.is_drained

    def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        process = self.machine._process
        if process is not None and process.is_alive:
            process.start_soon(work)

    def _fleet_changed(self) -> None:
        if self._anycast is not None:
            self._anycast.roster_changed()

    def _status(self) -> AnycastStatus | None:
        return None if self._anycast is None else self._anycast.status()


def _forgets(anycast: Anycast) -> bool:
    """Whether it says that the disk does not have what it was told."""
    return any("forgets" in alarm for alarm in anycast.status().alarms)


async def _collect(part: FleetPart) -> None:
    with suppress(EdgedError, RegistryError):  # as housekeeping has it: another time
        await part.housekeeping.collect()


def _speaker(told: Watch, _config: SpeakerConfig, _command: Command, changed: Callable[[], None]) -> Any:
    return Speaker(told, changed)


def _no_child(_descriptor: int) -> list[str]:
    raise AssertionError("the speaker is a fake")


async def _no_metadata(_table: MetadataTable) -> ProviderSessions:
    raise AssertionError("sessions are static")


async def _no_routes(_routes: object, _own: bool) -> tuple[()]:
    return ()


def _codes(group: BaseExceptionGroup[Exception]) -> str:
    return ",".join(sorted({getattr(error, "code", "") or "group" for error in group.exceptions}))
