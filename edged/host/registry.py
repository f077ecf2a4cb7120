"""Which interfaces a component gets, and which are known but not provided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edged.host import cli, clocks, poll, random, sockets, streams, variables
from edged.host.core_module import CoreModule
from edged.host.files import filesystem
from edged.host.files.tree import build_tree
from edged.host.http import outgoing_handler
from edged.host.http import types as http_types
from edged.host.http.outbound import Outgoing
from edged.host.interface import Interface
from edged.host.key_value import interfaces as key_value
from edged.host.legacy.config import Config, Llm1
from edged.host.legacy.http import Http1
from edged.host.legacy.key_value import KeyValue1
from edged.host.legacy.outbound import Mysql1, Postgres1, Redis1
from edged.host.legacy.sqlite import Sqlite1
from edged.host.llm.compute import LlmCompute
from edged.host.llm.interfaces import Llm
from edged.host.mqtt import interfaces as mqtt
from edged.host.mqtt.publisher import Publishers
from edged.host.mysql import interfaces as mysql
from edged.host.mysql.connection import MysqlPool
from edged.host.network.grant import Grant
from edged.host.postgres import interfaces as postgres
from edged.host.postgres.connection import PostgresPool
from edged.host.preview1.module import Preview1
from edged.host.redis import interfaces as redis
from edged.host.redis.pool import RedisPool
from edged.host.sqlite import interfaces as sqlite
from edged.host.wasi3 import cli as cli3
from edged.host.wasi3 import clocks as clocks3
from edged.host.wasi3 import filesystem as filesystem3
from edged.host.wasi3 import random as random3
from edged.host.wasi3 import sockets as sockets3
from edged.host.wasi3.http import client as http_client3
from edged.host.wasi3.http import types as http_types3
from edged.limits import GuestLimits

REFUSED: Mapping[str, str] = {
    "fermyon:spin/": "Spin's own interfaces",
    "spin:": "Spin's own interfaces",
    "wasi:keyvalue/watcher": "being told of changes in key-value stores",
    "wasi:otel/": "telemetry of the guest's own",
}
"""Prefix of an imported interface's name -> what it is, for interfaces that Spin has and edged does not yet.

A component that imports one is loaded, since SDKs import more than an app uses; calling one ends the request.
"""


@dataclass(frozen=True, slots=True)
class HostConfig:
    """What one component gets from its manifest and from the operator.

    Attributes:
        environment: variables, names to values.
        arguments: argv, for commands.
        initial_cwd: a guest path.
        files: guest path -> host file. Read once; a file that appears later is not seen.
        key_value: label of a store that the component may open -> its engine, None where there is none.
        databases: name of a database that the component may open -> it, None where there is none.
        grant: what it may reach outside; nothing unless said.
        redis: what the app's components share for connections to Redis servers, None where there is nothing.
        outgoing: how HTTP requests leave, to where `grant` allows; None where they cannot.
        models: language models that the component may use.
        llm: what computes for them, None where nothing does.
        mqtt: what the app's components share for connections to brokers.
        mysql, postgres: what they share for connections to such servers, None where there is nothing.
        variables: of the component, names to values. They may be secrets and stay out of the repr.
        limits: of the app.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    initial_cwd: str | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    key_value: key_value.Stores = field(default_factory=dict)
    databases: sqlite.Databases = field(default_factory=dict)
    grant: Grant = field(default_factory=Grant)
    outgoing: Outgoing | None = None
    redis: RedisPool | None = None
    models: frozenset[str] = frozenset()
    llm: LlmCompute | None = None
    mqtt: Publishers = field(default_factory=Publishers)
    mysql: MysqlPool | None = None
    postgres: PostgresPool | None = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    limits: GuestLimits = field(default_factory=GuestLimits)


def spin_interfaces(config: HostConfig) -> list[Interface]:
    """What Spin adds to WASI, for one component."""
    return [
        key_value.SpinKeyValue(config.key_value),
        key_value.SpinKeyValue3(config.key_value),
        key_value.WasiKeyValueAtomics(),
        key_value.WasiKeyValueBatch(),
        key_value.WasiKeyValueStore(config.key_value),
        Llm(config.models, config.llm),
        mqtt.SpinMqtt(config.grant, config.mqtt),
        mqtt.SpinMqtt3(config.grant, config.mqtt),
        mysql.SpinMysql(config.grant, config.mysql),
        mysql.SpinMysql3(config.grant, config.mysql),
        postgres.SpinPostgres2(config.grant, config.postgres),
        postgres.SpinPostgres3(config.grant, config.postgres),
        postgres.SpinPostgres4(config.grant, config.postgres),
        redis.SpinRedis(config.grant, config.redis),
        redis.SpinRedis3(config.grant, config.redis),
        sqlite.SpinSqlite2(config.databases),
        sqlite.SpinSqlite3(config.databases),
        variables.ConfigStore(config.variables),
        variables.Variables(config.variables),
        variables.Variables3(config.variables),
    ]


def wasi_interfaces(config: HostConfig) -> list[Interface]:
    """All of WASI 0.2 for one component. Stateless between requests, so made once.

    Raises:
        ManifestError: `files` do not form a tree.
    """
    return [
        cli.Environment(config.environment, config.arguments, config.initial_cwd),
        cli.Exit(),
        cli.Stderr(),
        cli.Stdin(),
        cli.Stdout(),
        cli.TerminalInput(),
        cli.TerminalOutput(),
        cli.TerminalStderr(),
        cli.TerminalStdin(),
        cli.TerminalStdout(),
        clocks.MonotonicClock(),
        clocks.Timezone(),
        clocks.WallClock(),
        filesystem.FilesystemTypes(),
        filesystem.Preopens(build_tree(config.files) if config.files else None),
        http_types.HttpTypes(config.limits),
        outgoing_handler.OutgoingHandler(config.grant, config.outgoing, config.limits),
        poll.Poll(),
        random.Insecure(),
        random.InsecureSeed(),
        random.Random(),
        sockets.InstanceNetwork(),
        sockets.IpNameLookup(),
        sockets.NetworkTypes(),
        sockets.Tcp(),
        sockets.TcpCreateSocket(),
        sockets.Udp(),
        sockets.UdpCreateSocket(),
        streams.IoErrors(),
        streams.Streams(),
    ]


def wasi3_interfaces(config: HostConfig) -> list[Interface]:
    """All of WASI 0.3 for one component, which may import 0.2's beside it. Stateless between requests, so made once.

    Raises:
        ManifestError: `files` do not form a tree.
    """
    return [
        cli3.Environment(config.environment, config.arguments, config.initial_cwd),
        cli3.Exit(),
        cli3.Stderr(),
        cli3.Stdin(),
        cli3.Stdout(),
        cli3.TerminalInput(),
        cli3.TerminalOutput(),
        cli3.TerminalStderr(),
        cli3.TerminalStdin(),
        cli3.TerminalStdout(),
        clocks3.MonotonicClock(),
        clocks3.SystemClock(),
        clocks3.Timezone(),
        filesystem3.FilesystemTypes(),
        filesystem3.Preopens(build_tree(config.files) if config.files else None),
        http_client3.Client(config.grant, config.outgoing, config.limits),
        http_client3.Handler(config.grant, config.outgoing, config.limits),
        http_types3.HttpTypes(),
        random3.Insecure(),
        random3.InsecureSeed(),
        random3.Random(),
        sockets3.IpNameLookup(),
        sockets3.SocketTypes(),
    ]


def spin1_interfaces(config: HostConfig) -> list[Interface]:
    """Spin's interfaces from before they had versions, for core modules: what a number means is each instance's own."""
    return [
        Config(config.variables),
        Http1(config.grant, config.outgoing, config.limits),
        KeyValue1(config.key_value),
        Llm1(config.models, config.llm),
        Mysql1(config.grant, config.mysql),
        Postgres1(config.grant, config.postgres),
        Redis1(config.grant, config.redis),
        Sqlite1(config.databases),
    ]


def core_modules(config: HostConfig) -> list[CoreModule]:
    """What core modules may import, for one component.

    Raises:
        ManifestError: `files` do not form a tree.
    """
    root = build_tree(config.files) if config.files else None
    return [Preview1(root, config.arguments, config.environment)]
