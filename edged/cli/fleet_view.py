"""A roster, for people and for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edged.cli.words import moment
from edged.fleet.certificate import days_left, fingerprint, public_key
from edged.fleet.roster import Key, Node, Roster
from edged.limits import CERTIFICATE_DAYS_WARNED

Uses = Mapping[str, int]
"""When keys last signed a deployment: unix time, s, by key id."""


def roster_as_json(roster: Roster, now: float) -> dict[str, object]:
    """The roster without certificates.

    Args:
        now: unix time, s.
    """
    return {
        "fleet": roster.fleet,
        "epoch": roster.epoch,
        "version": roster.version,
        "domain": roster.domain,
        "regions": [region.name for region in roster.regions],
        "nodes": [
            {"name": node.name, "region": node.region, "address": node.address, "url": node.url} | _party(node, now)
            for node in roster.nodes
        ],
        "keys": keys_as_json(roster, now),
        "root_keys": [key.id for key in roster.root_publics()],
        "threshold": roster.threshold,
        "revoked": sorted(roster.revoked),
        "floors": {app: list(floor) for app, floor in roster.floors.items()},
        "prefixes": list(roster.prefixes),
    }


def keys_as_json(roster: Roster, now: float, used_at: Uses | None = None) -> list[dict[str, object]]:
    """Publishers' and operators' keys, with `used_at` where a node has said it."""
    return [
        {"name": key.name, "roles": sorted(key.roles), "apps": list(key.apps), "regions": list(key.regions)}
        | _party(key, now)
        | ({} if used_at is None else {"used_at": used_at.get(public_key(key.certificate).id)})
        for key in roster.keys
    ]


def _party(party: Node | Key, now: float) -> dict[str, object]:
    return {
        "key_id": public_key(party.certificate).id,
        "fingerprint": fingerprint(party.certificate),
        "certificate_days": round(days_left(party.certificate, now), 1),
    }


def show_roster(roster: Roster, now: float) -> None:
    """As tables on stdout."""
    console = _console()
    regions = ", ".join(region.name for region in roster.regions)
    console.print(Text(f"{roster.fleet}  version {roster.version}  epoch {roster.epoch}  regions {regions}", "bold"))
    roots = ", ".join(key.short for key in roster.root_publics())
    console.print(Text(f"domain {roster.domain or 'none'}  root keys {roots}, {roster.threshold} of them sign"))
    table = _table("node", "region", "address", "key", "certificate")
    for node in roster.nodes:
        _row(table, [node.name, node.region, node.address, public_key(node.certificate).short], node, now)
    console.print(table if roster.nodes else Text("no nodes yet: see `edged fleet add-node --help`", "yellow"))
    show_keys(roster, now)


def show_keys(roster: Roster, now: float, used_at: Uses | None = None) -> None:
    """Publishers' and operators' keys, as a table on stdout; with when they last deployed, where a node has said it."""
    used = ["last used"] if used_at is not None else []
    table = _table("key", "roles", "apps", "regions", "id", *used, "certificate")
    for key in roster.keys:
        held = public_key(key.certificate)
        cells = [key.name, _list(sorted(key.roles)), _list(key.apps), _list(key.regions) or "all", held.short]
        if used_at is not None:
            cells.append(_used(used_at.get(held.id)))
        _row(table, cells, key, now)
    _console().print(table)


def _row(table: Table, cells: list[str], party: Node | Key, now: float) -> None:
    days = days_left(party.certificate, now)
    if days < 0:
        said = Text("ended", "bold red")
    elif days < CERTIFICATE_DAYS_WARNED:
        said = Text(f"! {days:.0f} days", "yellow")
    else:
        said = Text(f"{days:.0f} days")
    table.add_row(*map(Text, cells), said)


def _used(used_at: int | None) -> str:
    return "never" if used_at is None else moment(used_at)


def _list(items: Iterable[str]) -> str:
    return ", ".join(items)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _console() -> Console:
    return Console(file=sys.stdout, highlight=False)
