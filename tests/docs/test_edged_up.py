"""docs/edged-up.md names every option, limit and event of `edged up`, and no other."""

from __future__ import annotations

from dataclasses import fields

import click

from edged.cli.up import up
from edged.limits import GuestLimits
from edged.up.trigger import Route, Scheduled, Subscribed
from tests.docs.tables import events_of, names, rows

PAGE = "edged-up.md"


def test_options() -> None:
    documented = {word for cells in rows(PAGE, "option") for name in names(cells[0]) for word in name.split()[:1]}
    options = {name for option in up.params for name in (*option.opts, *option.secondary_opts) if name.startswith("-")}
    assert documented == options | {"-h", "--help"}


def test_every_option_has_help() -> None:
    assert [option.name for option in up.params if isinstance(option, click.Option) and not option.help] == []


def test_limits() -> None:
    documented = [name for cells in rows(PAGE, "limit") for name in names(cells[0])]
    assert sorted(documented) == sorted(field.name for field in fields(GuestLimits))


def test_events_and_fields() -> None:
    documented = {names(cells[0])[0]: names(cells[1]) for cells in rows(PAGE, "event")}
    error = ["code", "message", "remedy"]
    own = {"build-failed": error, "load-failed": error, "error": error}
    kinds = {kind.name: kind for kind in events_of("edged.up.event")}
    assert documented == {name: [field.name for field in fields(kind)] for name, kind in kinds.items()} | own


def test_what_calls_an_app() -> None:
    documented = {cells[0]: names(cells[1]) for cells in rows(PAGE, "object")}
    kinds = {"a route": Route, "a redis trigger": Subscribed, "a cron trigger": Scheduled}
    assert documented == {name: [field.name for field in fields(kind)] for name, kind in kinds.items()}
