"""`edged up`: serve the app of a folder on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Protocol

import click
import trio

from edged.cli.cache_folder import default_cache_folder
from edged.cli.failure import Failure, failure_of
from edged.cli.initial_state import parse_initial_state
from edged.cli.limit import parse_limits
from edged.cli.network import parse_networks
from edged.cli.pair import parse_environment, parse_variables
from edged.cli.up_json import JsonView
from edged.errors import UsageError
from edged.event import Event
from edged.http.bind import parse_address
from edged.http.listener import ListenOptions
from edged.http.tls import TlsFiles
from edged.limits import GuestLimits
from edged.logging import Level, configure
from edged.runtime_config import RuntimeConfig, load
from edged.up import session
from edged.up.options import UpOptions
from edged.variables_provider import providers_of

_STDERR = 2  # the descriptor: what builds print must not get between the JSON lines


class View(Protocol):
    """Who shows what happens."""

    def show(self, event: Event) -> None: ...

    def fail(self, error: Failure) -> None:
        """Say what ended the command, where that is not stderr, which says it anyway."""

    def close(self) -> None:
        """Nothing is shown any more."""


@click.command(context_settings={"show_default": True})
@click.argument("paths", metavar="[PATH]...", type=click.Path(path_type=Path), nargs=-1)
@click.option(
    "--listen", metavar="HOST:PORT", default="127.0.0.1:8080", envvar="SPIN_HTTP_LISTEN_ADDR", help="Where to listen."
)
@click.option("--find-free-port", is_flag=True, help="If the port is taken, try the next ones.")
@click.option("--tls-cert", type=click.Path(path_type=Path), envvar="SPIN_TLS_CERT", help="PEM certificate chain.")
@click.option("--tls-key", type=click.Path(path_type=Path), envvar="SPIN_TLS_KEY", help="PEM key of the certificate.")
@click.option("-c", "--component-id", "components", metavar="ID", multiple=True, help="Serve only this component.")
@click.option("-e", "--env", "environment", metavar="KEY=VALUE", multiple=True, help="Set it for every component.")
@click.option("--variable", "variables", metavar="KEY=VALUE|@FILE", multiple=True, help="Set an application variable.")
@click.option("--profile", metavar="NAME", help="Use a build profile of the manifest.")
@click.option("--build", is_flag=True, help="Run the manifest's build commands first.")
@click.option("--watch/--no-watch", default=None, help="Rebuild and swap on changes.  [default: in a terminal]")
@click.option(
    "--runtime-config-file",
    type=click.Path(path_type=Path),
    envvar="RUNTIME_CONFIG_FILE",
    help="Stores, databases, providers of variables and networks.",
)
@click.option("--key-value", "key_values", metavar="KEY=VALUE", multiple=True, help="Set it in the store `default`.")
@click.option("--sqlite", metavar="STATEMENT|@FILE[:LABEL]", multiple=True, help="Run SQL before the first request.")
@click.option(
    "--allow-network",
    "networks",
    metavar="NETWORK",
    multiple=True,
    help="Let guests reach: loopback, private, a range.",
)
@click.option("--limit", "limits", metavar="NAME=VALUE", multiple=True, help="Change what a guest may use.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Keep what the app stores here.  [default: .spin]")
@click.option("--log-dir", type=click.Path(path_type=Path), help="Also write guests' output to files here.")
@click.option("--cache-dir", type=click.Path(path_type=Path), envvar="EDGED_CACHE_DIR", help="Keep compiled code here.")
@click.option("-q", "--quiet", is_flag=True, help="Show only the address, warnings and errors.")
@click.option("-v", "--verbose", is_flag=True, help="Show refused imports, and requests refused before any guest.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def up(
    *,
    paths: tuple[Path, ...],
    listen: str,
    find_free_port: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    components: tuple[str, ...],
    environment: tuple[str, ...],
    variables: tuple[str, ...],
    profile: str | None,
    build: bool,
    watch: bool | None,
    runtime_config_file: Path | None,
    key_values: tuple[str, ...],
    sqlite: tuple[str, ...],
    networks: tuple[str, ...],
    limits: tuple[str, ...],
    state_dir: Path | None,
    log_dir: Path | None,
    cache_dir: Path | None,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Serve the Spin app in PATH on this machine.

    PATH is a folder with a spin.toml, or the file itself. Of several apps each answers at http://NAME.localhost, and
    the first one at every other host as well.
    """
    configure(level=_level(quiet, verbose), as_json=True if as_json else None)
    view = _view(quiet, verbose, as_json)
    try:
        if len(paths) > 1 and (components or variables):
            raise UsageError("--component-id and --variable are about one app", remedy="Give one PATH with them.")
        if len(paths) > 1 and (runtime_config_file or key_values or sqlite):
            # Apps share no state, and what one file says of stores would hold for all of them.
            raise UsageError(
                "--runtime-config-file, --key-value and --sqlite are about one app", remedy="Give one PATH with them."
            )
        config = RuntimeConfig() if runtime_config_file is None else load(runtime_config_file)
        host, port = parse_address(listen)
        tls = _tls_files(tls_cert, tls_key)
        options = UpOptions(
            paths=paths or (Path(),),
            cache_folder=default_cache_folder() if cache_dir is None else cache_dir.absolute(),
            listen=ListenOptions(host, port, find_free_port=find_free_port, tls=tls, http3=tls is not None),
            components=components,
            environment=parse_environment(environment),
            variables=parse_variables(variables),
            variables_providers=providers_of(config.variables_providers, dict(os.environ), Path(".env").absolute()),
            profile=profile,
            build=build,
            watch=sys.stdout.isatty() and not as_json if watch is None else watch,
            build_output=_STDERR if as_json else None,
            state_folder=config.state_dir if state_dir is None else state_dir,
            log_folder=config.log_dir if log_dir is None else log_dir,
            limits=parse_limits(limits, _usual_limits(config)),
            runtime_config=config,
            initial=parse_initial_state(key_values, sqlite, config.sqlite_databases),
            allow_networks=parse_networks(networks),
        )
        trio.run(session.run, options, view.show, restrict_keyboard_interrupt_to_checkpoints=True)
    except Exception as error:
        view.close()
        failure = failure_of(error)
        view.fail(failure)
        raise failure from error
    finally:
        view.close()


def _usual_limits(config: RuntimeConfig) -> GuestLimits:
    memory = config.max_instance_memory
    return GuestLimits() if memory is None else GuestLimits(memory_bytes_max=memory)


def _level(quiet: bool, verbose: bool) -> Level:
    return "debug" if verbose else "warning" if quiet else "info"


def _view(quiet: bool, verbose: bool, as_json: bool) -> View:
    if as_json:
        return JsonView()
    from edged.cli.up_terminal import TerminalView  # noqa: PLC0415 - 60 ms that --json does not need

    return TerminalView(quiet=quiet, verbose=verbose)


def _tls_files(certificate: Path | None, key: Path | None) -> TlsFiles | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError("TLS needs both --tls-cert and --tls-key", remedy="Give both, or none.")
    return TlsFiles(certificate, key)
