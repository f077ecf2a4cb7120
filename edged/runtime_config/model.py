"""What a runtime config says: where an app's state is, who knows its variables, what it may reach.

Everything is immutable and checked, and paths are absolute. Whatever may be or hold a secret stays out of the repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from edged.runtime_config.networks import NetworkName

DEFAULT_LABEL = "default"
"""Of the key-value store and the database that are there without being configured."""

ENVIRONMENT_PREFIX = "SPIN_VARIABLE"

# --- [key_value_store.LABEL] ---


@dataclass(frozen=True, slots=True)
class StoreFile:
    """`spin`: an SQLite file.

    Attributes:
        path: None for the one in the state folder, which all such stores share.
    """

    type: ClassVar[str] = "spin"
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class RedisStore:
    """`redis`: a Redis or Valkey server.

    Attributes:
        url: `redis://` or `rediss://`, maybe with a password.
    """

    type: ClassVar[str] = "redis"
    url: str = field(repr=False)


Store = StoreFile | RedisStore

# --- [sqlite_database.LABEL] ---


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """`spin`: an SQLite file.

    Attributes:
        path: None for one of its own in the state folder.
    """

    type: ClassVar[str] = "spin"
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class LibsqlDatabase:
    """`libsql`: a server that speaks libSQL's HTTP protocol.

    Attributes:
        url: `http://` or `https://`.
    """

    type: ClassVar[str] = "libsql"
    url: str = field(repr=False)
    token: str = field(repr=False)


Database = DatabaseFile | LibsqlDatabase

# --- [[variables_provider]] ---


@dataclass(frozen=True, slots=True)
class StaticVariables:
    """`static`: values written in the runtime config itself."""

    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class EnvironmentVariables:
    """`env`: the environment of the process.

    Attributes:
        prefix: joined to the variable's name in capitals with `_`; empty for the name alone.
        dotenv_path: a file of `NAME=value` lines, for names that the environment does not have.
    """

    prefix: str = ENVIRONMENT_PREFIX
    dotenv_path: Path | None = None


@dataclass(frozen=True, slots=True)
class VaultVariables:
    """`vault`: the KV engine, version 2, of HashiCorp Vault or OpenBao.

    Attributes:
        url: `http://` or `https://`, of the server.
        mount: path of the engine, without slashes around it.
        prefix: put before each variable's name with a slash; empty for the name alone.
    """

    url: str = field(repr=False)
    token: str = field(repr=False)
    mount: str
    prefix: str = ""


VariablesProvider = StaticVariables | EnvironmentVariables | VaultVariables

# --- [llm_compute] ---


@dataclass(frozen=True, slots=True)
class RemoteLlm:
    """`remote_http`: a server that runs models.

    Attributes:
        api_type: `default` for the API of Spin's cloud GPUs, `open_ai` for OpenAI's.
    """

    url: str = field(repr=False)
    auth_token: str = field(repr=False)
    api_type: Literal["default", "open_ai"] = "default"


# --- connections to the outside ---


@dataclass(frozen=True, slots=True)
class OutboundHttp:
    """`[outbound_http]`

    Attributes:
        connection_pooling: keep connections for later requests.
        max_connections: of the app, at once; None for edged's own limit.
    """

    connection_pooling: bool = True
    max_connections: int | None = None


@dataclass(frozen=True, slots=True)
class OutboundNetworking:
    """`[outbound_networking]`

    Attributes:
        block_networks: never reached. They win over `allow_networks`; `private` stands for all that is not public.
        allow_networks: reached although they are not public. A key of edged's own.
        max_socket_connections: of guests' own sockets, at once.
        max_total_connections: of all kinds, at once.
    """

    block_networks: tuple[NetworkName, ...] = ()
    allow_networks: tuple[NetworkName, ...] = ()
    max_socket_connections: int | None = None
    max_total_connections: int | None = None


@dataclass(frozen=True, slots=True)
class ClientTls:
    """An entry of `[[client_tls]]`: how these components speak TLS to these hosts.

    Attributes:
        hosts: names or addresses, exactly as in a URL.
        ca_use_platform_roots, ca_use_webpki_roots: trust the system's, or Mozilla's, certificate authorities.
        ca_roots_file: PEM file of further authorities.
        client_cert_file, client_private_key_file: PEM files with which the app proves who it is; both or none.
    """

    component_ids: tuple[str, ...]
    hosts: tuple[str, ...]
    ca_use_platform_roots: bool = True
    ca_use_webpki_roots: bool = False
    ca_roots_file: Path | None = None
    client_cert_file: Path | None = None
    client_private_key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """A whole runtime config; as it is made, one that says nothing.

    Attributes:
        state_dir, log_dir: None where it does not say.
        max_instance_memory: bytes; None where it does not say.
        variables_providers: in order, the first one that knows a variable counts.
        outbound_redis, outbound_pg, outbound_mysql, outbound_mqtt: `max_connections` of that kind, of the app, at
            once; None for edged's own limit.
    """

    state_dir: Path | None = None
    log_dir: Path | None = None
    max_instance_memory: int | None = None
    key_value_stores: Mapping[str, Store] = field(default_factory=dict)
    sqlite_databases: Mapping[str, Database] = field(default_factory=dict)
    variables_providers: tuple[VariablesProvider, ...] = ()
    llm_compute: RemoteLlm | None = None
    outbound_http: OutboundHttp = field(default_factory=OutboundHttp)
    outbound_redis: int | None = None
    outbound_pg: int | None = None
    outbound_mysql: int | None = None
    outbound_mqtt: int | None = None
    outbound_networking: OutboundNetworking = field(default_factory=OutboundNetworking)
    client_tls: tuple[ClientTls, ...] = ()
