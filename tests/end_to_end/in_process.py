"""A guest of an SDK in the test's own process, so that the test can play the network around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from edged import manifest
from edged.app import LoadOptions, component
from edged.host.registry import HostConfig
from edged.triggers.http import HttpTrigger
from edged.triggers.target import GuestTarget
from edged.wasm.cache import AotCache
from edged.wasm.engine import Engine, PoolConfig, fingerprint
from tests.end_to_end.conftest import CACHE
from tests.host.fakes import FakeExchange, head

Ask = Callable[[str, bytes], Awaitable[tuple[int | None, str]]]
"""POST a body to a path: the answer's status and text."""

_MANIFEST = """
spin_manifest_version = 2
[application]
name = "in-process"
[[trigger.http]]
route = "/..."
component = "guest"
[component.guest]
source = "{}"
"""
_POOL = PoolConfig()  # as `edged up`, whose artefacts are used


@contextmanager
def running_engine() -> Iterator[Engine]:
    """One for all tests of a module: each reserves a lot of address space."""
    engine = Engine(_POOL)
    engine.start_ticking()
    yield engine
    engine.close()


@asynccontextmanager
async def serving(engine: Engine, guest: Path, host: HostConfig) -> AsyncIterator[Ask]:
    """Serve a guest with what `host` gives it until the block ends."""
    app = manifest.parse(_MANIFEST.format(guest).encode(), guest.parent / "spin.toml")
    served = await component.load(
        app,
        app.components["guest"],
        {"http"},
        host=host,
        engine=engine,
        cache=AotCache(CACHE / "aot", fingerprint(_POOL)),
        options=LoadOptions(sources=CACHE / "sources"),
    )
    trigger = HttpTrigger(app, [("/...", GuestTarget(served))])

    async def ask(path: str, body: bytes) -> tuple[int | None, str]:
        exchange = FakeExchange(head(method="POST", target=path), body)
        await trigger.handle(exchange)
        return exchange.status, exchange.body.decode()

    try:
        yield ask
    finally:
        served.close()
