"""The grammar of a runtime config, as dicts from key to `Field`.

Three kinds of tables: the top one, those whose keys are always the same (`plain_tables`), and those whose `type` says
which keys they have (`typed_tables`). A type that Spin has and edged does not is `Refused`: known, and said so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edged.limits import GUEST_LIMITS_HIGHEST, GUEST_LIMITS_LOWEST, RUNTIME_CONFIG_CONNECTIONS_HIGHEST
from edged.manifest.document import Node
from edged.manifest.fields import (
    Field,
    Parse,
    array,
    boolean,
    integer,
    line,
    mapping,
    named,
    record,
    some,
    string,
    table_of,
)
from edged.manifest.names import kebab_problem, label_problem, variable_problem
from edged.manifest.problems import Problem, nearest, shown
from edged.runtime_config.model import (
    ClientTls,
    DatabaseFile,
    EnvironmentVariables,
    LibsqlDatabase,
    OutboundHttp,
    OutboundNetworking,
    RedisStore,
    RemoteLlm,
    StaticVariables,
    StoreFile,
    VaultVariables,
)
from edged.runtime_config.networks import NetworkName, parse_network


@dataclass(frozen=True, slots=True)
class Context:
    """One file while it is parsed.

    Attributes:
        folder: absolute; relative paths start from it.
        unsupported: what Spin has and edged does not, gathered here in no order.
    """

    folder: Path
    unsupported: list[Problem] = field(default_factory=list)

    def refuse(self, node: Node, text: str) -> None:
        self.unsupported.append(Problem(node.line, f"{node.label} {text}"))


@dataclass(frozen=True, slots=True)
class Kind:
    """A `type`: the keys that stand beside it, and what is made of their values."""

    fields: Mapping[str, Field]
    make: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """A `type` that edged does not have."""

    instead: str


# --- values ---


def _address(*schemes: str) -> Parse[str]:
    # The text itself stays out of messages: it may hold a password.
    def parse(node: Node) -> str:
        text = line(node)
        try:
            parts = urlsplit(text)
            valid = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
            valid = valid and text.isascii() and " " not in text
        except ValueError:
            valid = False
        if not valid:
            raise node.invalid(f"must be an address that starts with {' or '.join(f'{name}://' for name in schemes)}")
        return text

    return parse


def _token(node: Node) -> str:
    """What stands in a header, or nothing for a server that asks for none."""
    text = string(node)
    if not text.isascii() or " " in text or (text and not text.isprintable()):
        raise node.invalid("must be letters, digits and signs of ASCII, as a header can carry it")
    return text


def _token_needed(node: Node) -> str:
    line(node)
    return _token(node)


_match_name = re.compile(r"[A-Za-z0-9\-._]+").fullmatch
_http_address = _address("http", "https")
# Spin takes 0 as none at all. Who wants that leaves the destination out of `allowed_outbound_hosts`.
_connections = integer(1, RUNTIME_CONFIG_CONNECTIONS_HIGHEST)


def _network(node: Node) -> NetworkName:
    text = line(node)
    try:
        return parse_network(text)
    except ValueError as error:
        raise node.invalid(f"= {shown(text)} {error}") from None


def _host(node: Node) -> str:
    """A name or an address, as Spin compares it: whole, and with every port."""
    text = line(node)
    if _match_name(text) is None:
        try:
            IPv6Address(text.removeprefix("[").removesuffix("]"))
        except ValueError:
            raise node.invalid(f"= {shown(text)} must be one host, without scheme, port or `*`") from None
    return text


def _api_type(node: Node) -> str:
    text = string(node)
    if text not in ("default", "open_ai"):
        raise node.invalid(f"= {shown(text)} is neither `default` nor `open_ai`")
    return text


def _route(node: Node) -> str:
    """A path inside of Vault."""
    text = line(node).strip("/")
    if any(part in ("", ".", "..") for part in text.split("/")):
        raise node.invalid("must be a path, as `secret` or `apps/mine`")
    return text


# --- tables ---


def top(context: Context) -> dict[str, Field]:
    """Keys that are no tables."""

    def path(node: Node) -> Path:
        return context.folder / line(node)

    def path_or_none(node: Node) -> Path | None:
        return None if node.value == "" else path(node)

    memory = integer(GUEST_LIMITS_LOWEST.memory_bytes_max, GUEST_LIMITS_HIGHEST.memory_bytes_max)
    return {"state_dir": Field(path), "log_dir": Field(path_or_none), "max_instance_memory": Field(memory)}


def plain_tables(context: Context) -> dict[str, Kind]:
    """Tables without a `type`."""

    def path(node: Node) -> Path:
        return context.folder / line(node)

    def deprecated(node: Node) -> None:
        raise node.invalid("is Spin's old name; write `max_connections`, which is one more")

    connections = Kind({"max_connections": Field(_connections)}, lambda max_connections=None: max_connections)
    return {
        "outbound_http": Kind(
            {
                "connection_pooling": Field(boolean),
                "max_connections": Field(_connections),
                "max_concurrent_requests": Field(deprecated),
            },
            OutboundHttp,
        ),
        "outbound_redis": connections,
        "outbound_pg": connections,
        "outbound_mysql": connections,
        "outbound_mqtt": connections,
        "outbound_networking": Kind(
            {
                "block_networks": Field(array(_network)),
                "allow_networks": Field(array(_network)),
                "max_socket_connections": Field(_connections),
                "max_total_connections": Field(_connections),
            },
            OutboundNetworking,
        ),
        "client_tls": Kind(
            {
                "component_ids": Field(some(array(named(kebab_problem))), required=True),
                "hosts": Field(some(array(_host)), required=True),
                "ca_use_platform_roots": Field(boolean),
                "ca_use_webpki_roots": Field(boolean),
                "ca_roots_file": Field(path),
                "client_cert_file": Field(path),
                "client_private_key_file": Field(path),
            },
            _client_tls,
        ),
    }


def _client_tls(**values: Any) -> ClientTls:
    # Whoever names authorities of their own, or one of the sets, means no other.
    by_default = not ({"ca_roots_file", "ca_use_webpki_roots"} & values.keys())
    return ClientTls(**{"ca_use_platform_roots": by_default} | values)


def typed_tables(context: Context) -> dict[str, dict[str, Kind | Refused]]:
    """Tables with a `type`, by their name and that."""

    def path(node: Node) -> Path:
        return context.folder / line(node)

    def no_attach(node: Node) -> None:
        if boolean(node):
            context.refuse(node, "is true, but edged lets no guest attach another file")

    vault = Kind(
        {
            "url": Field(_http_address, required=True),
            "token": Field(_token_needed, required=True),
            "mount": Field(_route, required=True),
            "prefix": Field(_route),
        },
        VaultVariables,
    )
    return {
        "key_value_store": {
            "spin": Kind({"path": Field(path)}, StoreFile),
            "redis": Kind({"url": Field(_address("redis", "rediss"), required=True)}, RedisStore),
            "azure_cosmos": Refused("`spin` or `redis`"),
            "aws_dynamo": Refused("`spin` or `redis`"),
        },
        "sqlite_database": {
            "spin": Kind({"path": Field(path), "allow_attach_file": Field(no_attach)}, _database_file),
            "libsql": Kind(
                {"url": Field(_http_address, required=True), "token": Field(_token, required=True)}, LibsqlDatabase
            ),
        },
        "variables_provider": {
            "static": Kind({"values": Field(mapping(string, variable_problem), required=True)}, StaticVariables),
            "env": Kind({"prefix": Field(string), "dotenv_path": Field(path)}, EnvironmentVariables),
            "vault": vault,
            "open_bao": vault,
            "azure_key_vault": Refused("`vault`, `env` or `static`"),
        },
        "llm_compute": {
            "remote_http": Kind(
                {
                    "url": Field(_http_address, required=True),
                    "auth_token": Field(_token, required=True),
                    "api_type": Field(_api_type),
                },
                RemoteLlm,
            ),
            "spin": Refused("`remote_http`"),
        },
    }


def _database_file(path: Path | None = None, **_refused: None) -> DatabaseFile:
    return DatabaseFile(path)


# --- how they are put together ---


def document(context: Context) -> dict[str, Field]:
    """All keys of the file."""
    plain = {name: _plain(kind) for name, kind in plain_tables(context).items()}
    typed = {name: _typed(kinds, context) for name, kinds in typed_tables(context).items()}
    providers = Field(array(typed["variables_provider"]))
    return {
        **top(context),
        "key_value_store": Field(mapping(typed["key_value_store"], label_problem)),
        "sqlite_database": Field(mapping(typed["sqlite_database"], label_problem)),
        "variables_provider": providers,
        "config_provider": providers,
        "llm_compute": Field(typed["llm_compute"]),
        **{name: Field(array(parse) if name == "client_tls" else parse) for name, parse in plain.items()},
    }


def _plain(kind: Kind) -> Parse[Any]:
    parse_fields = record(kind.fields)
    return lambda node: kind.make(**parse_fields(node))


def _typed(kinds: Mapping[str, Kind | Refused], context: Context) -> Parse[Any]:
    def parse(node: Node) -> Any:
        named_by = table_of(node).get("type")
        if named_by is None:
            raise node.invalid(f"needs `type`: {', '.join(map(shown, kinds))}")
        name = string(named_by)
        match kinds.get(name):
            case None:
                guess = nearest(name, kinds) or f"; known here: {', '.join(kinds)}"
                raise named_by.invalid(f"= {shown(name)} is no type{guess}")
            case Refused(instead):
                context.refuse(node, f"is of the type `{name}`, which edged does not have; use {instead}")
                return None
            case Kind(fields, make):
                values = record({"type": Field(string), **fields})(node)
                del values["type"]
                return make(**values)

    return parse
