"""`edged provision`: what makes a bare machine a node by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from edged.cli.provision_seeds import SeedMaker, read_inventory, write_seed
from edged.cli.provision_view import rendered_as_json, show_terms
from edged.cli.span import parse_span
from edged.cli.with_fleet import json_option, print_json
from edged.errors import UsageError
from edged.fleet.files import write_file
from edged.fleet.folder import FleetFolder
from provisioning.inventory import Inventory
from provisioning.providers.provider import PROVIDERS
from provisioning.terraform import main_tf_json

_F = TypeVar("_F", bound=Callable[..., Any])
_PATH = click.Path(path_type=Path)


def _dir_option(command: _F) -> _F:
    return click.option(
        "-C", "--dir", "folder", type=_PATH, default=Path(), show_default="this one", help="The fleet's folder."
    )(command)


@click.group()
def provision() -> None:
    """Make machines from the [[machine]] tables of fleet.toml.

    \b
    edged provision render ams-2 -C demo > user-data
    edged provision render --all seeds -C demo
    edged provision terraform -C demo > seeds/main.tf.json
    """


@provision.command()
@click.argument("name", required=False)
@click.option("--all", "target", type=_PATH, metavar="DIR", help="Write a seed of each, to DIR/NAME.")
@click.option("--provider", type=click.Choice(tuple(PROVIDERS)), help="As if the machine were of this one.")
@click.option("--voucher", type=_PATH, metavar="FILE", help="Give it this voucher, instead of a new one.")
@click.option(
    "--good-for", default="1h", show_default=True, metavar="TIME", help="Of the voucher: as 30m, 12h or 7d, the most."
)
@click.option("--seed", "seeds", multiple=True, help="A node that it asks to be let in.  [default: up to three]")
@click.option("--key", type=_PATH, help="Signs the voucher; has the role admit.  [default: operator.key]")
@click.option("-o", "--output", type=_PATH, metavar="FILE", help="Write it to a file that only you may read.")
@_dir_option
@json_option
def render(
    name: str | None,
    *,
    target: Path | None,
    provider: str | None,
    voucher: Path | None,
    good_for: str,
    seeds: tuple[str, ...],
    key: Path | None,
    output: Path | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Print the user-data with which the machine NAME becomes a node by itself.

    It holds a voucher, unless the machine begins the fleet. Whoever has that first is the node: keep it as a password
    until it is used.
    """
    if (name is None) == (target is None):
        raise UsageError("name a machine, or a folder with --all", remedy="See `edged provision render --help`.")
    if target is not None and (voucher is not None or output is not None):
        raise UsageError("--voucher and --output are of one machine", remedy="Leave them out with --all.")
    fleet = FleetFolder(folder)
    inventory = read_inventory(fleet, provider)
    maker = SeedMaker(fleet, seeds, key, parse_span(good_for), time.time())
    if name is None:
        assert target is not None  # one of the two is given
        _render_all(maker, inventory, target, as_json=as_json)
        return
    rendered = maker.make(inventory.machine(name), voucher)
    if output is not None:
        write_file(output, rendered.seed.user_data.encode(), mode=0o600)
    if as_json:
        print_json(rendered_as_json(rendered, output))
        return
    if output is None:
        click.echo(rendered.seed.user_data, nl=False)
    else:
        click.echo(f"The user-data of {name} is in {output}.")
    show_terms([rendered])


def _render_all(maker: SeedMaker, inventory: Inventory, target: Path, *, as_json: bool) -> None:
    """All are made before the first is written: an error leaves what is there."""
    rendered, left_out = maker.make_all(inventory.machines)
    for each in rendered:
        write_seed(target / each.machine.name, each.seed)
    if as_json:
        for each in rendered:
            print_json(rendered_as_json(each, target / each.machine.name))
        for name, reason in left_out.items():
            print_json({"event": "left-out", "machine": name, "reason": reason})
        return
    for each in rendered:
        click.echo(f"The seed of {each.machine.name} is in {target / each.machine.name}.")
    for name, reason in left_out.items():
        click.echo(f"{name} is left out: {reason}.")
    show_terms(rendered)


@provision.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_dir_option
@json_option
def terraform(names: tuple[str, ...], *, folder: Path, as_json: bool) -> None:
    """Print main.tf.json, with which Terraform makes the machines NAME, or all.

    It belongs into the folder of `edged provision render --all`, from where it takes the user-data.
    """
    inventory = read_inventory(FleetFolder(folder))
    text = main_tf_json([inventory.machine(name) for name in names] or inventory.machines)
    if as_json:
        print_json(json.loads(text))
    else:
        click.echo(text, nl=False)
