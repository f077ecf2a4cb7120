"""`edged fleet demo`: a fleet of three regions on this machine."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import click
import trio

from edged.cli.with_fleet import json_option, print_json
from edged.errors import UsageError
from edged.nursery import plain_errors
from edged.publish.context import ContextStore, default_config_folder
from edged.publish.demo import FLEET, FLEET_PORT, HTTP_PORT, REGIONS, DemoNode, fleet_folder, make
from edged.publish.demo_run import DemoRun
from edged.publish.login import from_folder

_FOLDER = Path(".cache/fleet")
_PORT = click.IntRange(1, 65_535 - len(REGIONS) + 1)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False, default=_FOLDER)
@click.option("--port", type=_PORT, default=HTTP_PORT, show_default=True, help="Of the first node's apps.")
@click.option("--fleet-port", type=_PORT, default=FLEET_PORT, show_default=True, help="Of the first node's fleet.")
@json_option
def demo(folder: Path, *, port: int, fleet_port: int, as_json: bool) -> None:
    """Run a fleet of three regions on this machine until Ctrl-C, to push to and to try things with.

    All of it is in FOLDER (.cache/fleet); the same command starts it again with what it had.
    """
    if set(range(port, port + len(REGIONS))) & set(range(fleet_port, fleet_port + len(REGIONS))):
        raise UsageError(
            f"--port and --fleet-port take {len(REGIONS)} ports each, and some are the same",
            remedy="Leave more room between them.",
        )
    nodes = make(folder, now=time.time(), http_port=port, fleet_port=fleet_port)
    view = (_JsonView if as_json else _View)(folder, is_current=_login(folder))
    view.starting(nodes)
    trio.run(_run, nodes, view)


def _login(folder: Path) -> bool:
    """Whether commands are about this fleet now. A fleet that somebody works with stays the current one."""
    store = ContextStore(default_config_folder())
    is_current = store.current() in (None, FLEET)
    store.save(from_folder(fleet_folder(folder).path), current=is_current)
    return is_current


async def _run(nodes: tuple[DemoNode, ...], view: _View) -> None:
    running = DemoRun(nodes, ready=view.ready, ended=view.ended)
    with plain_errors(), trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:

            async def obey() -> None:
                async for _ in signals:
                    view.stopping()
                    running.stop()
                    break
                async for _ in signals:  # it insists
                    nursery.cancel_scope.cancel()

            nursery.start_soon(obey)
            await running.run()
            nursery.cancel_scope.cancel()


class _View:
    """For a person."""

    def __init__(self, folder: Path, *, is_current: bool) -> None:
        self.folder = folder
        self.is_current = is_current

    def starting(self, nodes: tuple[DemoNode, ...]) -> None:
        click.echo(f"starting {len(nodes)} nodes, in {self.folder}")

    def ready(self, node: DemoNode, to_come: int) -> None:
        click.echo(f"  {node.region}  {node.url}  {node.name}, logs to {_short(node.log)}")
        if to_come == 0:
            self.all_ready()

    def all_ready(self) -> None:
        which = "" if self.is_current else f" --fleet {FLEET}"
        click.secho(f"\nThe fleet {FLEET} is up, in {self.folder}. Now type, in another terminal:\n", bold=True)
        click.echo(f"  edged push{which} examples/hello-python\n  edged status{which}\n")
        click.echo("Ctrl-C stops it; the same command starts it again with what it had.")

    def ended(self, node: DemoNode, reason: str) -> None:
        click.secho(f"{reason}: see {_short(node.log)}", fg="red", err=True)

    def stopping(self) -> None:
        click.echo("\nstopping; Ctrl-C again cuts it short")


class _JsonView(_View):
    """For a program: one object a line."""

    def starting(self, nodes: tuple[DemoNode, ...]) -> None:
        """It waits for `node` and `ready`."""

    def ready(self, node: DemoNode, to_come: int) -> None:
        print_json({"event": "node", "name": node.name, "region": node.region, "url": node.url, "log": str(node.log)})
        if to_come == 0:
            print_json({"event": "ready", "fleet": FLEET, "folder": str(self.folder), "current": self.is_current})

    def ended(self, node: DemoNode, reason: str) -> None:
        print_json({"event": "ended", "name": node.name, "reason": reason})

    def stopping(self) -> None:
        print_json({"event": "stopping"})


def _short(path: Path) -> Path:
    """Relative to the current folder, where it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
