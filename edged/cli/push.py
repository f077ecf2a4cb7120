"""`edged push`: an app, in every region."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import click

from edged import manifest
from edged.bundle.placement import Placement
from edged.cli.cache_folder import default_cache_folder
from edged.cli.limit import given_limits
from edged.cli.pace import pace_options
from edged.cli.pair import parse_variables
from edged.cli.with_fleet import View, fleet_options, run_changing, timeout_option, view_of
from edged.errors import ManifestError, PushInterrupted, UsageError
from edged.manifest.model import App
from edged.publish.deployments import Wish
from edged.publish.fleet import Fleet
from edged.publish.interrupts import Interrupts, until
from edged.publish.pace import Pace
from edged.publish.packing import package, package_bundle
from edged.publish.push import Package, Push
from edged.publish.signer import Signer
from edged.up.build import run_build
from registry.digest import parse_digest

_STDERR = 2  # the descriptor: what builds print must not get between the JSON lines


@click.command(context_settings={"show_default": True})
@click.argument("path", metavar="[PATH]", type=click.Path(path_type=Path), required=False)
@click.option("--build", is_flag=True, help="Run the manifest's build commands first.")
@click.option("--profile", metavar="NAME", help="Use a build profile of the manifest.")
@click.option("--bundle", metavar="FILE|DIGEST", help="Push a bundle, or one that `edged bundle import` has kept.")
@click.option("--sign", is_flag=True, help="Sign the bundle with this user's key as well.")
@click.option("--host", "hosts", metavar="HOST", multiple=True, help="Answer for this host.  [default: the manifest's]")
@click.option("--region", "regions", metavar="REGION", multiple=True, help="Run in this region, and in no other.")
@click.option("--all-regions", is_flag=True, help="Run in every region of the fleet.")
@click.option("--limit", "limits", metavar="NAME=VALUE", multiple=True, help="Change what a guest may use.")
@click.option("--variable", "variables", metavar="KEY=VALUE|@FILE", multiple=True, help="Set an application variable.")
@click.option("-m", "--message", metavar="TEXT", default="", help="Say why, for `edged releases`.")
@pace_options
@timeout_option
@click.option("--cache-dir", type=click.Path(path_type=Path), envvar="EDGED_CACHE_DIR", help="Keep chunks here.")
@fleet_options
def push(
    *,
    path: Path | None,
    build: bool,
    profile: str | None,
    bundle: str | None,
    sign: bool,
    hosts: tuple[str, ...],
    regions: tuple[str, ...],
    all_regions: bool,
    limits: tuple[str, ...],
    variables: tuple[str, ...],
    message: str,
    pace: Pace,
    timeout_s: float,
    cache_dir: Path | None,
    fleet: str | None,
    as_json: bool,
) -> None:
    """Put the Spin app in PATH, or in a bundle, into every region of a fleet.

    Only what the fleet lacks is sent. An app that runs changes region by region, and no further than where it does
    well; docs/push.md says how. Interrupted before it is published, nothing is changed; after that, what was
    there before is put back.
    """
    if regions and all_regions:
        raise UsageError("--region and --all-regions cannot both be", remedy="Leave one of them out.")
    if bundle is not None and (path or build or profile):
        raise UsageError("--bundle is a whole app", remedy="Leave PATH, --build and --profile out.")
    if sign and bundle is None:
        raise UsageError("--sign is for --bundle", remedy="Leave it out: what is packed here is signed anyway.")
    given = given_limits(limits)
    values = parse_variables(variables)
    cache = default_cache_folder() if cache_dir is None else cache_dir.absolute()
    app = None
    if bundle is None:
        app = _load(path or Path(), profile)
        _check_variables(app, values)
    view = view_of(as_json=as_json)

    async def packaged(author: Signer) -> tuple[Package, Placement]:
        if app is None:
            assert bundle is not None
            source = parse_digest(bundle) if bundle.startswith("sha256:") else Path(bundle)
            made, inspected = await package_bundle(source, author, cache, view.show, sign=sign)
            _check_variables(inspected.app, values)
            return made, inspected.placement
        if build:
            await _build(app, view, as_json)
        made, packed = await package(app, author, cache, view.show)
        return made, packed.placement

    async def work(fleet: Fleet, interrupts: Interrupts) -> None:
        made = None
        async with until(interrupts.first):
            made, place = await packaged(fleet.author)
        if made is None:
            raise PushInterrupted("interrupted: nothing was changed")
        known = tuple(region.name for region in fleet.author.roster.regions)
        wish = Wish(
            release=made.digest,
            message=message,
            hosts=hosts or place.hosts or None,
            regions=known if all_regions else regions or place.regions or None,
            limits={**place.limits, **given} or None,
            probe=place.probe,
            variables=values,
            pace=pace,
        )
        task = Push(
            fleet.link,
            fleet.author,
            made,
            wish,
            show=view.show,
            interrupts=interrupts,
            clock=time.time,
            timeout_s=timeout_s,
        )
        await task.run()

    run_changing(work, view, fleet)


def _load(path: Path, profile: str | None) -> App:
    app = manifest.load(path, profile=profile)
    if not app.triggers:
        raise ManifestError(
            f"{app.manifest_path}: the app has no trigger, so there is nothing to serve",
            remedy="Add one, such as [[trigger.http]] with a route and a component.",
        )
    return app


def _check_variables(app: App, values: Mapping[str, str]) -> None:
    for name in values:
        if name not in app.variables:
            known = ", ".join(sorted(app.variables)) or "none"
            raise UsageError(f"the app has no variable `{name}`", remedy=f"Those of its manifest: {known}.")


async def _build(app: App, view: View, as_json: bool) -> None:
    for id_, component in app.components.items():
        if component.build is not None:
            await run_build(id_, component.build, view.show, output=_STDERR if as_json else sys.stdout.fileno())
