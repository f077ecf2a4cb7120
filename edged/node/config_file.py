"""A node.toml on disk -> `NodeConfig`. The grammar is a table: `TABLES` has every key, as docs/node.md has.

file -> bytes, bounded -> parse_document -> record(TABLES) -> NodeConfig
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from edged.bundle.guest_limit import LimitInvalid, parse_limit
from edged.errors import NodeConfigInvalid, NodeConfigMissing, RecordInvalid, UsageError
from edged.fleet.names import check_label
from edged.http.bind import parse_address
from edged.limits import (
    FETCH_RATE_BYTES_S_HIGHEST,
    FETCH_RATE_BYTES_S_LOWEST,
    FLEET_PORT,
    NODE_CONFIG_BYTES_MAX,
    NODE_STORAGE_BYTES,
    NODE_STORAGE_BYTES_HIGHEST,
    NODE_STORAGE_BYTES_LOWEST,
    NODE_WORKER_COUNT_MAX,
    GuestLimits,
    MiB,
)
from edged.manifest.document import Node, parse_document
from edged.manifest.fields import Field, Parse, array, boolean, integer, line, named, record, some, string, table_of
from edged.manifest.problems import Invalid, Problems, as_text, nearest, shown
from edged.node import config_bgp
from edged.node.config import CertificateTable, FleetTable, HttpsTable, HttpTable, Listen, NodeConfig, NodeTable
from edged.runtime_config.networks import NetworkName, parse_network

Fields = dict[str, Field]

LIMITS = tuple(each.name for each in fields(GuestLimits))

_LEVELS = ("debug", "info", "warning")
_UNITS = {"MiB": MiB, "GiB": 1024 * MiB, "TiB": 1024 * 1024 * MiB}
_size = re.compile(r"([0-9]{1,12}) ?(MiB|GiB|TiB)").fullmatch


@dataclass(frozen=True, slots=True)
class Context:
    """One file while it is parsed; relative paths start from its folder, which is absolute."""

    folder: Path

    def path(self, node: Node) -> Path:
        return self.folder / line(node)

    def admin(self, node: Node) -> str:
        """A path has a slash or no colon in it."""
        text = line(node)
        return str(_listen(node)) if "/" not in text and ":" in text else str(self.path(node))


def load(file: Path) -> NodeConfig:
    """Read a node.toml and check everything that it says by itself. Touches no other file. Blocks.

    Raises:
        NodeConfigMissing: there is none, or it cannot be read.
        NodeConfigInvalid: it is none; one line per problem, each `file:line: ...`.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(NODE_CONFIG_BYTES_MAX + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise NodeConfigMissing(f"{file} cannot be read: {reason}") from error
    return parse(data, file)


def parse(data: bytes, file: Path) -> NodeConfig:
    """As `load`, from the bytes of the file."""
    if len(data) > NODE_CONFIG_BYTES_MAX:
        raise NodeConfigInvalid(f"{file}:1: a node.toml has at most {NODE_CONFIG_BYTES_MAX} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise NodeConfigInvalid(f"{file}:{number}: not UTF-8") from None
    context = Context(file.absolute().parent)
    try:
        root = parse_document(text)
        values = record(document(context))(root)
        _check(root, values)
    except Invalid as invalid:
        raise NodeConfigInvalid(as_text(str(file), invalid.problems)) from None
    return _config(file, root, values)


# --- values ---


def _label(text: str) -> str | None:
    try:
        check_label(text, "")
    except RecordInvalid:
        return "must be lower-case letters, digits and hyphens, at most 63"
    return None


def _listen(node: Node) -> Listen:
    text = line(node)
    try:
        return Listen(*parse_address(text))
    except UsageError:
        raise node.invalid(f"= {shown(text)} is no address: write 0.0.0.0:80 or [::]:80") from None


def _host(text: str) -> str | None:
    name = text.removeprefix("*.")
    if name and name == name.lower() and name.isascii() and not set(name) & set("*/: ") and name.isprintable():
        return None
    return "is no host: write shop.example.com, or *.example.com for all below it"


def _bytes_within(lowest: int, highest: int) -> Parse[int]:
    within = integer(lowest, highest)

    def parse_size(node: Node) -> int:
        if not isinstance(node.value, str):
            return within(node)
        match = _size(node.value)
        if match is None:
            raise node.invalid(f"= {shown(node.value)} is no size: write 64GiB, or a number of bytes")
        return within(replace(node, value=int(match[1]) * _UNITS[match[2]]))

    return parse_size


_storage = _bytes_within(NODE_STORAGE_BYTES_LOWEST, NODE_STORAGE_BYTES_HIGHEST)
_some_rate = _bytes_within(FETCH_RATE_BYTES_S_LOWEST, FETCH_RATE_BYTES_S_HIGHEST)


def _rate(node: Node) -> int:
    return 0 if node.value == 0 and not isinstance(node.value, bool) else _some_rate(node)


def _network(node: Node) -> NetworkName:
    text = line(node)
    try:
        return parse_network(text)
    except ValueError as error:
        raise node.invalid(f"= {shown(text)} {error}") from None


def _level(node: Node) -> str:
    text = string(node)
    if text not in _LEVELS:
        raise node.invalid(f"= {shown(text)} is no level{nearest(text, _LEVELS) or ': ' + ', '.join(_LEVELS)}")
    return text


def _limit(name: str) -> Parse[float]:
    def parse_one(node: Node) -> float:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise node.invalid(f"must be a number or a text as `64MiB`, not {node.kind}")
        try:
            return parse_limit(name, str(value))[1]
        except LimitInvalid as error:
            raise node.invalid(f"= {shown(str(value))} {error.reason}. {error.remedy}") from None

    return parse_one


# --- tables ---


def tables(context: Context) -> dict[str, Fields]:
    """Every table and its keys; a table within another as `bgp.peer`."""
    path = context.path
    identity: Fields = {"key": Field(path, required=True), "certificate": Field(path, required=True)}
    return {
        "node": {
            "name": Field(named(_label), required=True),
            "region": Field(named(_label), required=True),
            "state_dir": Field(path, required=True),
            "identity": Field(record(identity)),
            "workers": Field(integer(0, NODE_WORKER_COUNT_MAX)),
        },
        "fleet": {
            "listen": Field(_listen),
            "roster": Field(path),
            "voucher": Field(path),
            "rate_bytes_s": Field(_rate),
        },
        "http": {"listen": Field(some(array(_listen)), required=True)},
        "https": {"listen": Field(some(array(_listen)), required=True), "http3": Field(boolean)},
        "certificate": {
            "hosts": Field(some(array(named(_host))), required=True),
            "certificate": Field(path, required=True),
            "key": Field(path, required=True),
        },
        "admin": {"listen": Field(context.admin, required=True)},
        "storage": {"bytes_max": Field(_storage)},
        "limits": {name: Field(_limit(name)) for name in LIMITS},
        "runtime_config": {"file": Field(path, required=True)},
        "network": {"allow": Field(array(_network))},
        "log": {"level": Field(_level)},
        "install": {"listen": Field(_listen, required=True)},
        **config_bgp.tables(path),
    }


def document(context: Context) -> Fields:
    """The whole file."""
    whole = {name: keys for name, keys in tables(context).items() if "." not in name}  # others are inside of them
    found = {name: Field(record(keys), required=name == "node") for name, keys in whole.items()}
    return found | {"certificate": Field(array(found["certificate"].parse))}


def _check(root: Node, values: Mapping[str, Any]) -> None:
    """What no single key says."""
    keys = table_of(root)
    problems = Problems()
    if "http" not in values and "https" not in values:
        problems.add(1, "the file needs [http] or [https] with `listen`")
    if "https" in values and not values.get("certificate"):
        problems.add(keys["https"].line, "[https] needs a [[certificate]]")
    if "certificate" in values and "https" not in values:
        problems.add(keys["certificate"].line, "[[certificate]] needs [https]")
    seen: dict[str, int] = {}
    for entry, node in zip(values.get("certificate", ()), _items(keys.get("certificate")), strict=True):
        for host in entry["hosts"]:
            if host in seen:
                problems.add(node.line, f"the host {shown(host)} has a certificate already, on line {seen[host]}")
            seen.setdefault(host, node.line)
    config_bgp.check_bgp(root, values, problems)
    problems.check()


def _items(node: Node | None) -> list[Node]:
    return node.value if node is not None and isinstance(node.value, list) else []


def _config(file: Path, root: Node, values: Mapping[str, Any]) -> NodeConfig:
    node: dict[str, Any] = {"workers": 0, **values["node"]}
    identity = node.pop("identity", None) or {
        "key": node["state_dir"] / "identity" / "node.key",
        "certificate": node["state_dir"] / "identity" / "node.crt",
    }
    fleet = {"listen": Listen("0.0.0.0", FLEET_PORT)} | values.get("fleet", {})  # noqa: S104 - peers are elsewhere
    return NodeConfig(
        file=file,
        node=NodeTable(**node, **identity),
        fleet=FleetTable(**fleet),
        admin=values.get("admin", {}).get("listen", str(node["state_dir"] / "admin.sock")),
        http=HttpTable(**values.get("http", {})),
        https=HttpsTable(**values.get("https", {})),
        certificates=tuple(CertificateTable(**entry) for entry in values.get("certificate", ())),
        storage_bytes_max=values.get("storage", {}).get("bytes_max", NODE_STORAGE_BYTES),
        limits=values.get("limits", {}),
        runtime_config=values.get("runtime_config", {}).get("file"),
        networks_allowed=values.get("network", {}).get("allow", ()),
        log_level=values.get("log", {}).get("level", "info"),
        bgp=config_bgp.bgp_table(values["bgp"]) if "bgp" in values else None,
        install=values.get("install", {}).get("listen"),
        lines=dict(_lines(root)),
    )


def _lines(node: Node) -> Iterator[tuple[str, int]]:
    """Path and line of everything below, at most `MANIFEST_DEPTH_MAX` deep."""
    children = node.value.values() if isinstance(node.value, dict) else _items(node)
    for child in children:
        yield child.path, child.line
        yield from _lines(child)
