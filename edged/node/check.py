"""Whether a node could start with a configuration: what the file alone does not show. The same is done at every start.

Every problem is found, each with its line and what to do about it. Nothing is changed, nothing is listened on, and
nobody is asked. Blocks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bgp.errors import BgpError
from bgp.prefix import AllowList, parse_prefix
from edged import runtime_config
from edged.anycast.config import BgpTable, covers
from edged.anycast.sessions import read_password
from edged.anycast.targets import wanted_prefixes
from edged.errors import EdgedError, NodeConfigInvalid
from edged.fleet.certificate import load_identity
from edged.fleet.files import read_file
from edged.fleet.roster import Roster
from edged.fleet.voucher import open_voucher
from edged.http.tls import TlsFiles, server_context
from edged.limits import RECORD_BYTES_MAX
from edged.manifest.problems import Problem, as_text
from edged.node.config import Listen, NodeConfig
from edged.node.joining import read_voucher
from registry.errors import RegistryError


class ConfigProblem(NamedTuple):
    """One fault.

    Attributes:
        key: what it is about, as `fleet.voucher`.
        line: of the node.toml.
        text: a clause about the key, without its full stop.
        remedy: a sentence.
    """

    key: str
    line: int
    text: str
    remedy: str


def check(config: NodeConfig) -> None:
    """
    Raises:
        NodeConfigInvalid: one line per problem, each `file:line: ...`.
    """
    problems = [Problem(line, f"`{key}`: {text}. {remedy}") for key, line, text, remedy in find(config)]
    if problems:
        raise NodeConfigInvalid(as_text(str(config.file), problems))


def find(config: NodeConfig) -> tuple[ConfigProblem, ...]:
    """The same, for whoever asks about each key: all problems that there are."""
    return tuple(problem for look in _LOOKS for problem in look(config))


def _check_folder(config: NodeConfig) -> Iterator[ConfigProblem]:
    folder = config.node.state_dir
    # Unlike `Path.exists`, this raises nothing where a folder above may not be entered.
    there = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    if not there.is_dir():
        yield _problem(config, "node.state_dir", f"{there} is not a folder", "Name another state_dir.")
    elif not os.access(there, os.W_OK | os.X_OK):
        yield _problem(
            config, "node.state_dir", f"{there} cannot be written", "Give it to the user that edged runs as."
        )


def _check_identity(config: NodeConfig) -> Iterator[ConfigProblem]:
    try:
        identity = load_identity(config.node.key, config.node.certificate)
    except (EdgedError, RegistryError) as error:
        remedy = error.remedy
        if not os.path.exists(config.node.key) and not os.path.exists(config.node.certificate):  # raise nothing either
            remedy = f"Make them: edged node init --config {config.file}"
        yield _problem(config, "node.identity", error.message, remedy)
        return
    if identity.name != config.node.name:
        yield _problem(
            config,
            "node.name",
            f"is {config.node.name!r}, but the certificate {config.node.certificate} is of {identity.name!r}",
            "Correct the name, or make another identity: edged node init.",
        )


def _check_fleet(config: NodeConfig) -> Iterator[ConfigProblem]:
    fleet = config.fleet
    if fleet.roster is not None:
        yield from _attempt(config, "fleet.roster", partial(_check_roster, config, fleet.roster))
    if has_joined(config):
        return
    if fleet.voucher is not None:
        yield from _attempt(config, "fleet.voucher", partial(_check_voucher, config, fleet.voucher))
    elif fleet.roster is None:
        yield _problem(
            config, "fleet", "this node is in no fleet", "Set fleet.voucher or fleet.roster: see docs/node.md."
        )


def _check_roster(config: NodeConfig, path: Path) -> Iterator[ConfigProblem]:
    roster = Roster.open(read_file(path, RECORD_BYTES_MAX))
    node = next((node for node in roster.nodes if node.name == config.node.name), None)
    if config.node.region not in [region.name for region in roster.regions]:
        known = ", ".join(region.name for region in roster.regions)
        yield _problem(
            config, "node.region", f"{config.node.region!r} is no region of the roster {path}", f"Name one of: {known}."
        )
    elif node is not None and node.region != config.node.region:
        yield _problem(
            config,
            "node.region",
            f"is {config.node.region!r}, but the roster {path} has this node in {node.region!r}",
            "Correct the one that is wrong.",
        )


def _check_voucher(config: NodeConfig, path: Path) -> Iterator[ConfigProblem]:
    voucher = open_voucher(read_voucher(path)).voucher
    for key, said, meant in (
        ("name", config.node.name, voucher.node),
        ("region", config.node.region, voucher.region),
    ):
        if said != meant:
            remedy = "Correct it, or ask for another voucher."
            yield _problem(config, f"node.{key}", f"is {said!r}, but the voucher {path} is for {meant!r}", remedy)


def _check_certificates(config: NodeConfig) -> Iterator[ConfigProblem]:
    for index, entry in enumerate(config.certificates):
        files = TlsFiles(entry.certificate, entry.key)
        yield from _attempt(config, f"certificate[{index}]", partial(_check_pair, files))


def _check_pair(files: TlsFiles) -> Iterator[ConfigProblem]:
    server_context(files)
    return iter(())


def _check_runtime_config(config: NodeConfig) -> Iterator[ConfigProblem]:
    path = config.runtime_config
    if path is not None:
        yield from _attempt(config, "runtime_config.file", partial(_check_loads, path))


def _check_loads(path: Path) -> Iterator[ConfigProblem]:
    runtime_config.load(path)
    return iter(())


def _check_bgp(config: NodeConfig) -> Iterator[ConfigProblem]:
    if config.bgp is None:
        return
    for index, peer in enumerate(config.bgp.peers):
        if peer.password_file is not None:
            key = f"bgp.peer[{index}].password_file"
            yield from _attempt(config, key, partial(_check_password, peer.password_file))
    # Once in the fleet, what counts is the fleet's newest roster, and this file is likely older. What a node that has
    # started before cannot announce is an alarm: it starts, and serves everything else.
    if config.fleet.roster is not None and not has_joined(config):
        try:
            roster = Roster.open(read_file(config.fleet.roster, RECORD_BYTES_MAX))
        except (EdgedError, RegistryError):
            return  # `_check_fleet` says why
        yield from _check_prefixes(config, config.bgp, roster)


def _check_password(file: Path) -> Iterator[ConfigProblem]:
    read_password(file)
    return iter(())


def _check_prefixes(config: NodeConfig, table: BgpTable, roster: Roster) -> Iterator[ConfigProblem]:
    """Whether the roster at hand allows what the node is to announce, and somebody listens there."""
    try:
        allowed = AllowList(map(parse_prefix, roster.prefixes))
    except BgpError as error:
        yield _problem(config, "fleet.roster", error.message, error.remedy)
        return
    for problem in wanted_prefixes(table, allowed).problems:
        remedy = "Correct `bgp` here, or `prefixes` of the fleet.toml, and sign it."
        yield _problem(config, "bgp.prefixes", problem, remedy)
    hosts = [each.host for each in (*config.http.listen, *config.https.listen)]
    for prefix in allowed if not table.prefixes else ():
        for address in table.addresses_of(prefix):
            if not any(covers(host, address) for host in hosts):
                remedy = "Add it to `http.listen` or `https.listen`."
                yield _problem(config, "bgp", f"nothing listens on {address}, which the roster has", remedy)


def _check_addresses(config: NodeConfig) -> Iterator[ConfigProblem]:
    wanted = [("fleet.listen", config.fleet.listen)]
    wanted += [(f"http.listen[{index}]", each) for index, each in enumerate(config.http.listen)]
    wanted += [(f"https.listen[{index}]", each) for index, each in enumerate(config.https.listen)]
    seen: dict[Listen, str] = {}
    for key, each in wanted:
        if each.port and each in seen:
            yield _problem(config, key, f"{each} is listened on already, by {seen[each]}", "Name another port.")
        seen.setdefault(each, key)


_LOOKS: tuple[Callable[[NodeConfig], Iterator[ConfigProblem]], ...] = (
    _check_folder,
    _check_identity,
    _check_fleet,
    _check_certificates,
    _check_runtime_config,
    _check_addresses,
    _check_bgp,
)


def has_joined(config: NodeConfig) -> bool:
    """Whether the node has records of a fleet, so that neither roster nor voucher is needed."""
    folder = config.node.state_dir / "records"
    try:
        return any((folder / "roster").iterdir())
    except OSError:
        return False


def _attempt(config: NodeConfig, key: str, look: Callable[[], Iterator[ConfigProblem]]) -> Iterator[ConfigProblem]:
    """What `look` finds; an error is a problem as well."""
    try:
        yield from look()
    except (EdgedError, RegistryError) as error:
        yield _problem(config, key, error.message, error.remedy)


def _problem(config: NodeConfig, key: str, text: str, remedy: str) -> ConfigProblem:
    return ConfigProblem(key, config.line(key), text, remedy)
