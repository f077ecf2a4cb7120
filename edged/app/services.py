"""What the components of one app share between requests: stores, databases, and connections to the outside.

    manifest, runtime config ── open_services ── Services ── host_config ── one component's HostConfig

Nothing here is shared with another app.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

import trio

from edged.app.options import LoadOptions
from edged.errors import RuntimeConfigError
from edged.host.http.outbound import Outgoing
from edged.host.http_client.client import ComponentClient, HttpClient
from edged.host.http_client.client_tls import ClientTlsSettings, open_client_tls
from edged.host.initial_state import set_initial_state
from edged.host.llm.compute import RemoteLlm
from edged.host.mqtt.publisher import Publishers
from edged.host.mysql.connection import MysqlPool, mysql_pool
from edged.host.network.configured import configured_gate
from edged.host.network.dialer import Dialer
from edged.host.network.grant import Grant
from edged.host.network.refusals import Refusals
from edged.host.network.room import Room
from edged.host.network.trust import system_roots, system_roots_http
from edged.host.postgres.connection import PostgresPool, postgres_pool
from edged.host.redis.pool import RedisPool
from edged.host.registry import HostConfig
from edged.host.remote_state import RemoteState
from edged.host.state import State, open_state
from edged.limits import (
    HTTP_CLIENT_CONNECTION_COUNT_MAX,
    MQTT_CONNECTION_COUNT_MAX,
    REDIS_CONNECTION_COUNT_MAX,
    SQL_CONNECTION_COUNT_MAX,
    GuestLimits,
)
from edged.manifest import component_values
from edged.manifest.model import Component
from edged.manifest.outbound import allowed_hosts
from edged.runtime_config.model import RemoteLlm as LlmConfig
from edged.triggers.local import LocalTransport


@dataclass(frozen=True, slots=True)
class Services:
    """See the module. Made by `open_services`.

    Attributes:
        values: of the app's variables. They may be secrets and stay out of the repr.
        dialer: makes all connections to the outside but those that the operator's own settings ask for.
        client_tls: of its components, for HTTP.
        local: carries requests between the app's components; its trigger is set once they are loaded.
        nursery: where work runs that guests have begun; it outlives them.
    """

    values: Mapping[str, str]
    environment: Mapping[str, str]
    limits: GuestLimits
    nursery: trio.Nursery
    state: State
    refusals: Refusals
    dialer: Dialer
    local: LocalTransport
    http: HttpClient
    client_tls: ClientTlsSettings
    redis: RedisPool
    mqtt: Publishers
    postgres: PostgresPool
    mysql: MysqlPool
    llm: RemoteLlm | None
    remote: RemoteState

    def __repr__(self) -> str:
        return "Services(...)"

    def host_config(self, component: Component) -> HostConfig:
        """What one component gets, but its files.

        Raises:
            VariableError: a value that makes no host.
        """
        allowed = allowed_hosts(component.id, component.allowed_outbound_hosts, self.values)
        http = ComponentClient(self.http, self.client_tls.context_of(component.id))
        return HostConfig(
            environment={**component.environment, **self.environment},
            key_value={label: self.state.key_value.get(label) for label in component.key_value_stores},
            databases={name: self.state.databases.get(name) for name in component.sqlite_databases},
            grant=Grant(allowed, self.dialer, component.id, self.refusals),
            outgoing=Outgoing(http, self.nursery, self.local),
            redis=self.redis,
            mqtt=self.mqtt,
            postgres=self.postgres,
            mysql=self.mysql,
            models=frozenset(component.ai_models),
            llm=self.llm,
            variables=component_values(component, self.values),
            limits=self.limits,
        )

    async def run(self) -> None:
        """Close connections that nobody has used for long, until cancelled."""
        async with trio.open_nursery() as nursery:
            for pool in (self.http, self.redis, self.postgres, self.mysql, self.remote):
                nursery.start_soon(pool.run)

    def close(self) -> None:
        """Call it when no guest of the app is at work."""
        for each in (self.state, self.remote, self.http, self.redis, self.postgres, self.mysql, self.llm):
            if each is not None:
                each.close()


async def open_services(
    app: str, components: Collection[Component], values: Mapping[str, str], options: LoadOptions, nursery: trio.Nursery
) -> Services:
    """Open what these components of an app may use.

    Raises:
        RuntimeConfigError: an address in it is none, or a file that it names is not what it should be.
        StateFolderError, RuntimeConfigUnsupported: see `edged.host.state.open_state`.
        InitialStateFailed: see `edged.host.initial_state`.
    """
    config, initial = options.runtime_config, options.initial
    labels = {label for component in components for label in component.key_value_stores} | initial.stores
    databases = {name for component in components for name in component.sqlite_databases} | initial.databases
    llm = _open_llm(config.llm_compute)
    client_tls = await trio.to_thread.run_sync(open_client_tls, config.client_tls)
    if any(component.allowed_outbound_hosts for component in components):
        # So that no first connection holds the loop for it.
        for roots in (system_roots, system_roots_http):
            await trio.to_thread.run_sync(roots, "")
    remote = RemoteState(app)
    open_all = partial(open_state, options.state_folder, labels, databases, config, openers=remote.openers)
    state = await trio.to_thread.run_sync(open_all)
    try:
        await set_initial_state(initial, state)
    except BaseException:
        state.close()
        remote.close()
        raise
    refusals = Refusals(app)
    gate = configured_gate(config.outbound_networking, allowed=options.networks_allowed, closed=options.networks_closed)
    room = Room(config.outbound_networking.max_total_connections)
    dialer = Dialer(gate, refused=refusals.by_address, has_room=room.has_room)
    http = HttpClient(
        dialer,
        connection_pooling=config.outbound_http.connection_pooling,
        connections_max=config.outbound_http.max_connections or HTTP_CLIENT_CONNECTION_COUNT_MAX,
    )
    redis = RedisPool(dialer, config.outbound_redis or REDIS_CONNECTION_COUNT_MAX)
    mqtt = Publishers(config.outbound_mqtt or MQTT_CONNECTION_COUNT_MAX)
    postgres = postgres_pool(dialer, config.outbound_pg or SQL_CONNECTION_COUNT_MAX)
    mysql = mysql_pool(dialer, config.outbound_mysql or SQL_CONNECTION_COUNT_MAX)
    room.pools = (http, redis, mqtt, postgres, mysql)
    return Services(
        values=values,
        environment=options.environment,
        limits=options.limits,
        nursery=nursery,
        state=state,
        refusals=refusals,
        dialer=dialer,
        local=LocalTransport(),
        http=http,
        client_tls=client_tls,
        redis=redis,
        mqtt=mqtt,
        postgres=postgres,
        mysql=mysql,
        llm=llm,
        remote=remote,
    )


def _open_llm(config: LlmConfig | None) -> RemoteLlm | None:
    try:
        return None if config is None else RemoteLlm(config.url, config.auth_token, config.api_type)
    except ValueError as error:
        raise RuntimeConfigError(f"the `url` of [llm_compute] {error}") from None
