"""Releases that keep coming: what `edged push` does up to the acknowledgement, again and again, without a process each.

A thread of its own publishes, at one node or another; a node that is away fails one try and no more.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import trio

from edged import manifest
from edged.errors import EdgedError
from edged.event import Event
from edged.fleet.record import Key, Version
from edged.publish.context import ContextStore
from edged.publish.deployments import Wish, publish, read_head, wished
from edged.publish.fleet import connector, signer_of
from edged.publish.pace import ALL_AT_ONCE, Pace
from edged.publish.packing import package
from edged.publish.signer import Signer
from edged.publish.upload import Upload
from registry.digest import Digest
from registry.errors import RegistryError
from tests.fleets import Fleet, app_folder, saying

_NOISE_BYTES = 150_000
_TRY_S = 20.0


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A record that a node took and said so.

    Attributes:
        node: to whom it was given.
        at: when the answer was here, on the monotonic clock.
    """

    key: Key
    version: Version
    digest: Digest
    node: str
    at: float


class Releases:
    """Published while the block lasts.

    Args:
        folder: for the apps; made if it is not there.
        apps: names; each release is of one of them.
        pause_s: between two.

    Attributes:
        acknowledged: in the order in which the answers came.
        refused: tries that came to nothing, by code.
    """

    def __init__(self, fleet: Fleet, folder: Path, apps: Sequence[str], *, seed: int, pause_s: float) -> None:
        self.acknowledged: list[Acknowledged] = []
        self.refused: Counter[str] = Counter()
        self._fleet = fleet
        self._folder = folder
        self._apps = apps
        self._rng = random.Random(seed)
        self._pause_s = pause_s
        self._stop = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._thread = threading.Thread(target=trio.run, args=(self._run,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Publish no more; what is under way is waited for."""
        if self._thread.is_alive() and self._token is not None:
            self._token.run_sync_soon(self._stop.set)
        self._thread.join()

    def newest(self, node: str = "") -> dict[Key, Version]:
        """The highest version that was acknowledged of each record, by one node or by any."""
        found: dict[Key, Version] = {}
        for each in list(self.acknowledged):
            if node in ("", each.node):
                found[each.key] = max(each.version, found.get(each.key, each.version))
        return found

    async def _run(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        context = ContextStore(self._fleet.home / "config" / "edged").load()
        signer = await trio.to_thread.run_sync(signer_of, context)
        number = 0
        while not self._stop.is_set():
            number += 1
            try:
                with trio.fail_after(_TRY_S):
                    await self._one(signer, number)
            except (EdgedError, RegistryError) as error:
                self.refused[error.code] += 1
            except trio.TooSlowError:
                self.refused["too slow"] += 1
            with trio.move_on_after(self._pause_s):
                await self._stop.wait()

    async def _one(self, signer: Signer, number: int) -> None:
        app, node = self._rng.choice(self._apps), self._rng.choice(list(self._fleet.nodes.values()))
        folder = app_folder(self._folder / app, app, saying(f"{number % 3:04}"), files='["noise"]')
        (folder / "noise").write_bytes(self._rng.randbytes(_NOISE_BYTES))
        made, _ = await package(manifest.load(folder), signer, self._folder / "cache", _ignore)
        async with connector(signer)(node.address) as client:
            head = await read_head(client.call, signer, app)
            regions = [region.name for region in signer.roster.regions]
            wish = Wish(made.digest, pace=self._rng.choice((ALL_AT_ONCE, Pace(soak_s=0))))
            deployment = wished(signer, head, wish, regions, int(time.time()))
            await Upload(client.call, made.frames, made.chunks, made.digest, _ignore).run()
            await client.call("put_release", envelope=made.envelope)
            await publish(client.call, signer, deployment, head)
        key, version = Key("deployment", app), Version(deployment.epoch, deployment.sequence)
        self.acknowledged.append(Acknowledged(key, version, deployment.digest, node.name, time.monotonic()))


def _ignore(_event: Event) -> None:
    return
