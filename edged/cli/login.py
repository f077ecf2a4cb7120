"""`edged login`: which fleet commands are about, and who you are there."""

from __future__ import annotations

from pathlib import Path

import click
import trio

from edged.cli.with_fleet import json_option, print_json
from edged.cli.words import plural
from edged.errors import UsageError
from edged.publish.context import Context, ContextStore, check_address, default_config_folder
from edged.publish.login import from_folder, from_node


@click.command()
@click.argument("targets", metavar="[FOLDER|ADDRESS...]", nargs=-1)
@click.option("--key", type=click.Path(path_type=Path), help="Your key; its certificate lies beside it as .crt.")
@click.option("--root-key", metavar="ID", help="Id of the fleet's root key: whom to believe.")
@click.option("--fleet", metavar="NAME", help="The fleet's name, with an ADDRESS.")
@click.option("--use", metavar="NAME", help="Make a fleet the current one.")
@json_option
def login(
    *,
    targets: tuple[str, ...],
    key: Path | None,
    root_key: str | None,
    fleet: str | None,
    use: str | None,
    as_json: bool,
) -> None:
    """Get to know a fleet, and make it the current one.

    FOLDER is one made by `edged fleet init`. With the ADDRESS (host:port) of a node instead, --fleet, --key and
    --root-key say what to believe. Without either, the fleets that are known are listed.
    """
    store = ContextStore(default_config_folder())
    if use is not None:
        if targets:
            raise UsageError("--use is about a fleet that is known already", remedy="Leave FOLDER and ADDRESS out.")
        store.use(use)
        _tell(store.load(use), as_json, f"{use} is the current fleet")
    elif not targets:
        _list(store, as_json)
    else:
        context = _context(targets, key, root_key, fleet)
        store.save(context, current=True)
        _tell(context, as_json, f"logged in to {context.fleet}, by {plural(len(context.nodes), 'node')}")


def _context(targets: tuple[str, ...], key: Path | None, root_key: str | None, fleet: str | None) -> Context:
    if len(targets) == 1 and Path(targets[0]).is_dir():
        if root_key is not None or fleet is not None:
            raise UsageError(
                "--root-key and --fleet go with an ADDRESS", remedy="The folder knows both: leave them out."
            )
        return from_folder(Path(targets[0]), key)
    for target in targets:
        try:
            check_address(target)
        except ValueError as error:
            raise UsageError(
                f"`{target}` is no folder, and {error}", remedy="Name a fleet's folder, or a node as HOST:PORT."
            ) from None
    if key is None or root_key is None or fleet is None:
        raise UsageError(
            "an ADDRESS needs --fleet, --key and --root-key",
            remedy="Ask the operator for the fleet's name and the root key's id; make a key with `edged keys create`.",
        )
    if len(root_key) != 64 or not set(root_key) <= set("0123456789abcdef"):
        raise UsageError("--root-key is no id of a key", remedy="Give all of its 64 hex digits, in lower case.")
    return trio.run(from_node, targets, fleet, key.absolute(), root_key)


def _list(store: ContextStore, as_json: bool) -> None:
    current = store.current()
    contexts = [store.load(name) for name in store.names()]
    if as_json:
        for context in contexts:
            print_json(_shape(context, context.fleet == current))
        return
    if not contexts:
        click.echo("no fleet is known yet: edged login FOLDER, or edged login ADDRESS --fleet --key --root-key")
    for context in contexts:
        mark = "*" if context.fleet == current else " "
        click.echo(f"{mark} {context.fleet}  {', '.join(context.nodes[:3])}  {context.key}")


def _tell(context: Context, as_json: bool, text: str) -> None:
    if as_json:
        print_json(_shape(context, True))
    else:
        click.echo(text)


def _shape(context: Context, is_current: bool) -> dict[str, object]:
    return {
        "fleet": context.fleet,
        "nodes": list(context.nodes),
        "key": str(context.key),
        "root_keys": list(context.root_keys),
        "current": is_current,
    }
