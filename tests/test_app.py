"""Loading an app: what can be wrong is an error now, not at the first request. Sources are in tests/cli."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edged import manifest
from edged.app import LoadOptions
from edged.errors import (
    ComponentInvalid,
    ComponentUnsupported,
    EdgedError,
    GuestMemoryExhausted,
    GuestTrap,
    RuntimeConfigError,
    SourceMissing,
    Unsupported,
    VariableError,
)
from edged.host.http_client.client import ComponentClient
from edged.host.network.trust import system_roots_http
from edged.limits import GuestLimits
from edged.runtime_config.model import ClientTls, OutboundNetworking, RuntimeConfig
from edged.wasm.engine import PoolConfig
from edged.worker.worker import Worker, open_worker
from tests.conftest import GuestPath
from tests.guests import wat
from tests.host.fakes import FakeExchange, head

APP = """
spin_manifest_version = 2
[application]
name = "app"
[variables]
host = { required = true }
[[trigger.http]]
route = "/..."
component = "hello"
[component.hello]
source = "hello.wat"
"""


SMALL = PoolConfig(instances=10, core_instances=100, memories=50, tables=50)


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    (tmp_path / "hello.wat").write_text(wat.text("hello"))
    async with open_worker(tmp_path / "cache", SMALL) as worker:
        yield worker


def app(folder: Path, more: str = "") -> manifest.App:
    return manifest.parse((APP + more).encode(), folder / "spin.toml")


def options(folder: Path, **changes: object) -> LoadOptions:
    return LoadOptions(sources=folder / "sources", **{"variables": {"host": "example.com"}, **changes})  # type: ignore[arg-type]


async def test_an_app_loads(worker: Worker, tmp_path: Path) -> None:
    loaded = await worker.load(app(tmp_path, 'variables = { a = "{{ host }}" }\n'), options(tmp_path))
    assert list(loaded.components) == ["hello"]
    assert worker.statistics().instances == 0, "the one it was tried with is gone"
    loaded.close()


async def test_a_missing_variable(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(VariableError, match="host"):
        await worker.load(app(tmp_path), options(tmp_path, variables={}))


async def test_a_variable_that_makes_no_host(worker: Worker, tmp_path: Path) -> None:
    model = app(tmp_path, 'allowed_outbound_hosts = ["https://{{ host }}"]\n')
    with pytest.raises(VariableError, match="hello"):
        await worker.load(model, options(tmp_path, variables={"host": "no host at all/"}))
    (await worker.load(model, options(tmp_path))).close()


async def test_client_tls_of_a_component_that_is_not_there(worker: Worker, tmp_path: Path) -> None:
    config = RuntimeConfig(client_tls=(ClientTls(("helo",), ("a.test",)),))
    with pytest.raises(RuntimeConfigError, match="`helo`, which app does not, did you mean `hello`"):
        await worker.load(app(tmp_path), options(tmp_path, runtime_config=config))


async def test_client_tls_with_a_file_that_is_not_there(worker: Worker, tmp_path: Path) -> None:
    entry = ClientTls(("hello",), ("a.test",), ca_roots_file=tmp_path / "none.pem")
    with pytest.raises(RuntimeConfigError, match=r"none\.pem cannot be read"):
        await worker.load(app(tmp_path), options(tmp_path, runtime_config=RuntimeConfig(client_tls=(entry,))))


async def test_settings_of_connections_reach_those_who_follow_them(worker: Worker, tmp_path: Path) -> None:
    config = RuntimeConfig(
        outbound_networking=OutboundNetworking(max_total_connections=1),
        client_tls=(ClientTls(("hello",), ("a.test",)),),
    )
    model = app(tmp_path)
    loaded = await worker.load(model, options(tmp_path, runtime_config=config))
    services = loaded.services
    outgoing = services.host_config(model.components["hello"]).outgoing
    assert outgoing is not None
    assert isinstance(outgoing.network, ComponentClient)
    assert outgoing.network.client is services.http
    assert outgoing.network.context_of("a.test") is not system_roots_http("a.test")
    assert outgoing.network.context_of("b.test") is system_roots_http("b.test")
    assert services.dialer.has_room()
    services.mqtt.free -= 1
    assert services.dialer.has_room()
    services.mqtt.free -= 1
    assert not services.dialer.has_room()
    services.mqtt.free += 2
    loaded.close()


async def test_what_is_not_supported_is_named(worker: Worker, tmp_path: Path) -> None:
    more = '[[trigger.sqs]]\nqueue = "q"\ncomponent = "hello"\n'
    with pytest.raises(Unsupported, match=r"spin\.toml:\d+: .*sqs"):
        await worker.load(app(tmp_path, more), options(tmp_path))


async def test_a_guest_that_cannot_start_under_its_limits(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(GuestMemoryExhausted, match="component `hello`"):
        await worker.load(app(tmp_path), options(tmp_path, limits=GuestLimits(memory_bytes_max=1)))


async def test_files_that_are_not_there(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="missing"):
        await worker.load(app(tmp_path, 'files = [{ source = "missing", destination = "/m" }]\n'), options(tmp_path))


ODD_HANDLER = """(component
  (core module $m (func (export "handle") (param i32)))
  (core instance $i (instantiate $m))
  (func $handle (param "request" u32) (canon lift (core func $i "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ODD_HANDLER, "and should be func"),
        (
            ODD_HANDLER.replace("@0.2.0", "@0.2.0-rc-2023-11-10"),
            r"no wasi:http/incoming-handler@0\.2 or .*; it exports",
        ),
        ("(component)", r"no wasi:http/incoming-handler@0\.2 or .*inbound-http$"),
    ],
    ids=["signature", "pre-release", "nothing"],
)
async def test_a_component_without_the_handler(worker: Worker, tmp_path: Path, text: str, message: str) -> None:
    model = app(tmp_path)
    (tmp_path / "hello.wat").write_text(text)
    with pytest.raises(ComponentUnsupported, match=message):
        await worker.load(model, options(tmp_path))


WAGI = """
spin_manifest_version = 2
[application]
name = "app"
[[trigger.http]]
route = "/site/..."
component = "site"
executor = { type = "wagi", argv = "site ${ARGS}" }
[component.site]
source = "SOURCE"
environment = { GREETING = "hello" }
files = [{ source = "a.txt", destination = "/b.txt" }]
"""


@pytest.mark.parametrize("guest", ["wagi", "wagi-component"])
async def test_a_program_loads_and_answers(worker: Worker, tmp_path: Path, guest_path: GuestPath, guest: str) -> None:
    (tmp_path / "a.txt").write_text("content")
    model = manifest.parse(WAGI.replace("SOURCE", str(guest_path(guest))).encode(), tmp_path / "spin.toml")
    loaded = await worker.load(model, options(tmp_path, variables={}))
    for target, body in (
        ("/site/args?x", b"site\nx\n"),
        ("/site/read/b.txt", b"content"),
        ("/site/env", b"GREETING=hello\n"),
    ):
        exchange = FakeExchange(head(target=target))
        await loaded.http.handle(exchange)
        assert exchange.status == 200
        assert body in exchange.body
    loaded.close()
    assert worker.statistics().instances == 0


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ('(module (func (export "_initialize")))', ComponentUnsupported, "exports no function _start"),
        ('(module (import "env" "f" (func)) (func (export "_start")))', ComponentUnsupported, "env#f"),
        ("(component)", ComponentUnsupported, r"no wasi:cli/run@0\.2$"),
        ("(module", ComponentInvalid, "valid WAT text"),
        ('(module (func $s unreachable) (start $s) (func (export "_start")))', GuestTrap, "unreachable"),
    ],
    ids=["no program", "unknown import", "component", "syntax", "start traps"],
)
async def test_what_is_no_program(
    worker: Worker, tmp_path: Path, text: str, error: type[EdgedError], message: str
) -> None:
    (tmp_path / "site.wat").write_text(text)
    (tmp_path / "a.txt").write_text("")
    model = manifest.parse(WAGI.replace("SOURCE", "site.wat").encode(), tmp_path / "spin.toml")
    with pytest.raises(error, match=message) as raised:
        await worker.load(model, options(tmp_path, variables={}))
    assert "component `site`" in raised.value.message


async def test_a_program_that_is_not_there(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    model = manifest.parse(WAGI.replace("SOURCE", "site.wasm").encode(), tmp_path / "spin.toml")
    with pytest.raises(SourceMissing):
        await worker.load(model, options(tmp_path, variables={}))


async def test_a_core_module_is_a_program_only_for_wagi(worker: Worker, tmp_path: Path) -> None:
    """The same file behind both executors: the other one needs a component."""
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "site.wat").write_text('(module (func (export "_start")))')
    more = '[[trigger.http]]\nroute = "/"\ncomponent = "site"\n'
    model = manifest.parse((WAGI + more).replace("SOURCE", "site.wat").encode(), tmp_path / "spin.toml")
    with pytest.raises(ComponentUnsupported, match="is a core module"):
        await worker.load(model, options(tmp_path, variables={}))
