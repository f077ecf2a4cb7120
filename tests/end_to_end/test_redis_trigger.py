"""The redis trigger as a user has it: a guest of the Python SDK, its manifest, and a real server."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
import trio
import trio.lowlevel

from edged import manifest
from edged.app import LoadOptions
from edged.host.redis.address import parse_address
from edged.host.redis.connection import Connection, connect
from edged.triggers.redis import RedisTrigger
from edged.worker.worker import Served, open_worker
from tests.conftest import GuestPath
from tests.end_to_end.conftest import CACHE
from tests.host.redis.fakes import LOCAL
from tests.services import Service

MANIFEST = """
spin_manifest_version = 2
[application]
name = "messages"
[application.trigger.redis]
address = "redis://127.0.0.1:{{ port }}"
[variables]
port = { required = true }
[[trigger.redis]]
channel = "questions"
component = "guest"
[component.guest]
source = "guest.wasm"
allowed_outbound_hosts = ["redis://127.0.0.1:{{ port }}"]
key_value_stores = ["default"]
"""


@asynccontextmanager
async def running(folder: Path, guest: Path, port: int) -> AsyncIterator[RedisTrigger]:
    """The app, served, and its trigger."""
    shutil.copy(guest, folder / "guest.wasm")
    model = manifest.parse(MANIFEST.encode(), folder / "spin.toml")
    options = LoadOptions(
        sources=folder / "sources",
        variables={"port": str(port)},
        environment={"ANSWER": f"redis://127.0.0.1:{port}"},
        networks_allowed=["loopback"],
        state_folder=folder / "state",
    )
    async with open_worker(CACHE) as worker:
        loaded = await worker.load(model, options)
        worker.set([Served(loaded)])
        [trigger] = loaded.background.own
        assert isinstance(trigger, RedisTrigger)
        yield trigger
        await worker.drain()


@pytest.fixture
async def client(redis: Service) -> AsyncIterator[Connection]:
    connection = await connect(parse_address(f"redis://127.0.0.1:{redis.port}"), LOCAL.dial)
    yield connection
    connection.close()


async def publish(client: Connection, message: bytes) -> None:
    with trio.fail_after(60):
        while await client.command("PUBLISH", "questions", message) == 0:  # nobody has subscribed yet
            await trio.lowlevel.checkpoint()


async def test_a_message_reaches_the_guest_and_its_answer_the_server(
    redis: Service, client: Connection, tmp_path: Path, guest_path: GuestPath
) -> None:
    listener = await connect(client.address, LOCAL.dial)
    await listener.command("SUBSCRIBE", "answers")
    async with running(tmp_path, guest_path("python-redis-trigger"), redis.port) as trigger:
        for message in (b"one", b"\0\xff" * 5_000):
            await publish(client, message)
            assert await listener.receive(60) == [b"message", b"answers", message]
        await trigger.counts.wait_idle()
        assert trigger.counts.served == 2
    listener.close()


async def test_a_guest_that_fails_gets_the_next_message_all_the_same(
    redis: Service, client: Connection, tmp_path: Path, guest_path: GuestPath
) -> None:
    listener = await connect(client.address, LOCAL.dial)
    await listener.command("SUBSCRIBE", "answers")
    with structlog.testing.capture_logs() as logs:
        async with running(tmp_path, guest_path("python-redis-trigger"), redis.port) as trigger:
            for message in (b"fail", b"trap", b"well"):
                await publish(client, message)
            assert await listener.receive(60) == [b"message", b"answers", b"well"]
            await trigger.counts.wait_idle()
            assert (trigger.counts.served, trigger.counts.failed) == (1, 2)
    failed = {line["code"] for line in logs if line["event"] == "message.failed"}
    assert failed == {"guest.returned-error", "guest.trap"}
    listener.close()
