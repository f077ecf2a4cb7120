"""What a supervisor tells a worker, always the whole of it.

    Settings, once ── Table, Table, Orders, Table, ... ──> worker

A `Table` names every site. The worker finds out by itself what is new, what stays and what goes. `Orders` say whose
triggers it calls, and what to do for those with a scope (`edged.fleet.scope`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edged.worker.wire import Wire, as_wire, parse_record

LogLevel = Literal["debug", "info", "warning"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for a worker's whole life. A change needs another worker.

    Attributes:
        worker: its number, from 0.
        cache_folder: of compiled artefacts, shared by all workers of the node.
        limits: of `edged.limits.GuestLimits`, the node's usual ones in place of edged's own; an app may ask for less
            or more of each, and of what the engine's pool holds no more than these.
        runtime_config: path of the operator's runtime config; "" for none.
        networks: that guests may reach besides those of the runtime config, as `--allow-network` takes them.
        log_level: the least that is logged.
        canary: answer this machine's own requests for `edged.http.canary`.
    """

    worker: int
    cache_folder: str
    limits: Mapping[str, int | float] = field(default_factory=dict)
    runtime_config: str = ""
    networks: tuple[str, ...] = ()
    log_level: LogLevel = "info"
    canary: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """One release of one app, checked out on this node.

    Attributes:
        key: names it among all, `app@epoch.sequence`.
        app: whose it is. Of one app one site is served at a time.
        folder: with its `spin.toml`, for `edged.bundle.unpack`.
        hosts: as `edged.http.hosts` writes them.
        limits: of `edged.limits.GuestLimits`, in place of the node's usual ones.
        variables: the app's. They may be secrets and stay out of the repr.
        state_folder: where the app's stores and databases are kept, whichever release runs; "" for none.
        serve: to be served as soon as it can; else it is a candidate, loaded and probed.
        held: another worker loads it first; not yet to be loaded.
        probe: a path that a candidate must answer with a status below 500; "" for none.
        networks_closed: that its guests never reach: the fleet's prefixes and nodes. Holds from its next load on.
    """

    key: str
    app: str
    folder: str
    hosts: tuple[str, ...]
    limits: Mapping[str, int | float] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    state_folder: str = ""
    serve: bool = False
    held: bool = False
    probe: str = ""
    networks_closed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files of a certificate chain and its key, and the hosts (`edged.http.hosts`) that they are for."""

    hosts: tuple[str, ...]
    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class Table:
    """All sites, in the order in which they claim hosts: where two apps want one, the first has it.

    Attributes:
        version: grows with each.
        certificates: for TLS. The first is for hosts that none is for.
        certificates_version: grows when their files are to be read anew.
        closing: clients are to go elsewhere: each connection ends with what it is at. Undone by the next table.
    """

    version: int = 0
    sites: tuple[Site, ...] = ()
    certificates: tuple[CertificateFiles, ...] = ()
    certificates_version: int = 0
    closing: bool = False


@dataclass(frozen=True, slots=True)
class TriggerOrder:
    """What to do for one trigger with a scope.

    Attributes:
        tick: to be called, unix s; 0 for none.
        number: of the order: with a greater one than before it is another order.
        listen: to a channel.
    """

    tick: int = 0
    number: int = 0
    listen: bool = False


@dataclass(frozen=True, slots=True)
class Orders:
    """All of them, by app and id of the trigger. The apps are those whose triggers that no request starts this worker
    calls, and no other one of its node. What is not among them is not to be done."""

    apps: Mapping[str, Mapping[str, TriggerOrder]] = field(default_factory=dict)


def settings_wire(settings: Settings) -> Wire:
    return as_wire(settings)


def parse_settings(value: object) -> Settings:
    """Raises:
    ControlError
    """
    return parse_record(Settings, value)


def table_wire(table: Table) -> Wire:
    return as_wire(table)


def parse_table(value: object) -> Table:
    """Raises:
    ControlError
    """
    return parse_record(Table, value)


def orders_wire(orders: Orders) -> Wire:
    return as_wire(orders)


def parse_orders(value: object) -> Orders:
    """Raises:
    ControlError
    """
    return parse_record(Orders, value)
