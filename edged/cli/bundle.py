"""`edged bundle`: apps as single files, and apps that Spin has pushed to a registry."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

from edged import manifest
from edged.bundle.cache import open_cache
from edged.bundle.file import export_app, import_file, inspect_file
from edged.bundle.look import Inspected
from edged.bundle.pack import pack
from edged.cli.bundle_view import Bar, print_json, show_imported, show_release
from edged.cli.cache_folder import default_cache_folder
from edged.cli.failure import failure_of
from edged.errors import UsageError
from edged.limits import OCI_PASSWORD_BYTES_MAX
from registry.keys import SigningKey
from registry.oci.challenge import Credentials
from registry.oci.image import Image
from registry.oci.layout import Layout, is_layout
from registry.oci.reference import parse_reference
from registry.oci.spin import import_app
from registry.release_store import StoredRelease

_Path = click.Path(path_type=Path)


def _json_option(command: Callable[..., None]) -> Callable[..., None]:
    """`--json`; with it an error is a line of stdout as well."""

    def told(*args: Any, as_json: bool, **options: Any) -> None:
        try:
            command(*args, as_json=as_json, **options)
        except Exception as error:
            failure = failure_of(error)
            if as_json:
                print_json({"event": "error", **failure.as_json()})
            raise failure from error

    told.__doc__ = command.__doc__
    told.__name__ = command.__name__
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(told)


def _cache_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--cache-dir", type=_Path, envvar="EDGED_CACHE_DIR", help="Keep chunks here.")(command)


def _cache(cache_dir: Path | None) -> Path:
    return default_cache_folder() if cache_dir is None else cache_dir.absolute()


@click.group()
def bundle() -> None:
    """Carry apps as files, and take over what `spin registry push` made."""


@bundle.command()
@click.argument("path", metavar="[PATH]", type=_Path, default=Path())
@click.option("-o", "--output", metavar="FILE", type=_Path, required=True, help="Write the bundle here.")
@click.option("--profile", metavar="NAME", help="Use a build profile of the manifest.")
@click.option("--key", "key_file", metavar="FILE", type=_Path, help="Sign with this key.")
@_cache_option
@_json_option
def export(
    path: Path, output: Path, *, profile: str | None, key_file: Path | None, cache_dir: Path | None, as_json: bool
) -> None:
    """Write the Spin app in PATH, as it was last built, to one file."""
    key = None if key_file is None else SigningKey.load(key_file)
    cache = _cache(cache_dir)

    async def work() -> StoredRelease:
        app = await trio.to_thread.run_sync(partial(manifest.load, path, profile=profile))
        packed = await pack(app, sources=cache / "sources")
        with Bar(f"packing {app.name}", hidden=as_json) as bar:

            def progress(done: int, _new: int) -> None:
                bar.show(done, packed.size_bytes)

            def write() -> StoredRelease:
                return export_app(packed, output, cache=open_cache(cache), key=key, progress=progress)

            return await trio.to_thread.run_sync(write)

    stored = trio.run(work)
    show_release(stored, as_json=as_json, file=output)


@bundle.command("import")
@click.argument("file", type=_Path)
@_cache_option
@_json_option
def import_(file: Path, *, cache_dir: Path | None, as_json: bool) -> None:
    """Verify a bundle and keep its release in the cache, from where it can be pushed."""
    with Bar(f"reading {file.name}", hidden=as_json) as bar:
        stored = import_file(file, cache=open_cache(_cache(cache_dir)), progress=bar.show)
    show_release(stored, as_json=as_json)


@bundle.command()
@click.argument("file", type=_Path)
@_json_option
def inspect(file: Path, *, as_json: bool) -> None:
    """Verify a bundle and say what is in it."""
    with Bar(f"reading {file.name}", hidden=as_json) as bar:
        found: Inspected = inspect_file(file, bar.show)
    show_release(found.stored, as_json=as_json, inspected=found)


@bundle.command("from-oci")
@click.argument("source", metavar="REF|FOLDER")
@click.option("--to", "folder", metavar="DIR", type=_Path, required=True, help="Make this folder.")
@click.option("--tag", metavar="NAME", help="Which image of a FOLDER with several.")
@click.option("--plain-http", is_flag=True, help="Speak to the registry without TLS.")
@click.option("--username", metavar="NAME", help="Log in to the registry.")
@click.option("--password-file", metavar="FILE|-", type=_Path, help="With the password in this file, or on stdin.")
@click.option("--allow-host", "hosts", metavar="HOST", multiple=True, help="The registry may send us there as well.")
@_json_option
def from_oci(
    source: str,
    folder: Path,
    *,
    tag: str | None,
    plain_http: bool,
    username: str | None,
    password_file: Path | None,
    hosts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a folder with a Spin app from an image that `spin registry push` made.

    REF is the image in a registry, as HOST/NAME:TAG or HOST/NAME@DIGEST; FOLDER holds an OCI image layout.
    """
    if (username is None) != (password_file is None):
        raise UsageError("--username and --password-file belong together", remedy="Give both, or neither.")
    credentials = None if username is None or password_file is None else _credentials(username, password_file)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Image]:
        if is_layout(Path(source)):
            yield Layout(Path(source))
            return
        from registry.oci.http import open_registry  # noqa: PLC0415 - httpx takes a sixth of a second to import

        if tag is not None:
            raise UsageError("--tag is for a folder", remedy="Write the tag into the reference: HOST/NAME:TAG.")
        reference = parse_reference(source)
        async with open_registry(
            reference, plain_http=plain_http, credentials=credentials, hosts_allowed=hosts
        ) as image:
            yield image

    async def work() -> None:
        async with opened() as image:
            with Bar(f"fetching {source}", hidden=as_json) as bar:
                imported = await import_app(image, folder, name=tag, progress=bar.show)
        # What Spin took may still be nothing that edged takes: better said now than at the first run.
        app = await trio.to_thread.run_sync(manifest.load, folder)
        show_imported(imported, folder, manifest.unsupported(app), as_json=as_json)

    trio.run(work)


def _credentials(username: str, file: Path) -> Credentials:
    try:
        with sys.stdin.buffer if str(file) == "-" else file.open("rb") as stream:
            data = stream.read(OCI_PASSWORD_BYTES_MAX + 1)
        if len(data) > OCI_PASSWORD_BYTES_MAX:
            raise UsageError(f"--password-file has more than {OCI_PASSWORD_BYTES_MAX} bytes", remedy="Name another.")
        return Credentials(username, data.decode().rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"--password-file {file} cannot be read: {reason}", remedy="Correct the path.") from None
