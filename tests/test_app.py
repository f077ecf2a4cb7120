"""Loading an app: what can be wrong is an error now, not at the first request. Sources are in tests/cli."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edged import manifest
from edged.app import LoadOptions
from edged.errors import ComponentUnsupported, GuestMemoryExhausted, SourceMissing, Unsupported, VariableError
from edged.limits import GuestLimits
from edged.wasm.engine import PoolConfig
from edged.worker import Worker, open_worker
from tests.guests import wat

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


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    (tmp_path / "hello.wat").write_text(wat.text("hello"))
    async with open_worker(tmp_path / "cache", PoolConfig(instances=10, core_instances=100)) as worker:
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
            r"no wasi:http/incoming-handler@0\.2 handler \(it exports",
        ),
        ("(component)", r"no wasi:http/incoming-handler@0\.2 handler$"),
    ],
    ids=["signature", "pre-release", "nothing"],
)
async def test_a_component_without_the_handler(worker: Worker, tmp_path: Path, text: str, message: str) -> None:
    model = app(tmp_path)
    (tmp_path / "hello.wat").write_text(text)
    with pytest.raises(ComponentUnsupported, match=message):
        await worker.load(model, options(tmp_path))
