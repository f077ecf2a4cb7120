"""A host that answers the same every time, with everything that guests of WASI 0.2 and Spin 2 may ask for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import trio

from edged.host.http.error import HttpError
from edged.host.http.outbound import Outgoing
from edged.host.http.transport import InboundResponse, OutboundRequest, Respond
from edged.host.http_client.fetch import WholeBody
from edged.host.interface import Interface
from edged.host.llm.compute import (
    EmbeddingsResult,
    EmbeddingsUsage,
    InferencingParams,
    InferencingResult,
    InferencingUsage,
)
from edged.host.network.grant import Grant
from edged.host.redis.pool import RedisPool
from edged.host.registry import REFUSED, HostConfig, spin_interfaces, wasi_interfaces
from edged.host.sqlite.database import Database
from edged.limits import GuestLimits, MiB
from edged.manifest.outbound import AllowedHosts, parse_host
from edged.triggers.local import LocalTransport
from tests.host.key_value.memory import MemoryKeyValue
from tests.host.redis.fakes import LOCAL
from tests.wasm.component.recording import repeatable

# On a machine that is busy elsewhere a second may be short: only cases of the CPU limit have one that can be met.
LIMITS = dataclasses.replace(GuestLimits(), cpu_s_max=600.0, memory_bytes_max=128 * MiB)
ALLOWED = AllowedHosts(tuple(map(parse_host, ("http://upstream.test", "http://self", "redis://127.0.0.1:*"))))


class _Network:
    """A network with one server, `upstream.test`, which says what it was asked; /redirect leads to it, /down does not
    answer."""

    async def send(self, request: OutboundRequest, respond: Respond) -> None:
        body = b""
        while request.body is not None and (piece := await request.body.receive(1 << 16)):
            body += piece
        if request.target == "/down":
            raise HttpError("connection-refused")
        seen = [request.method, request.target, sorted((k.decode(), v.decode()) for k, v in request.headers)]
        headers = [(b"content-type", b"text/plain"), (b"x-seen", json.dumps(seen).encode())]
        if request.target == "/redirect":
            respond(InboundResponse(302, [*headers, (b"location", b"http://upstream.test/target")], WholeBody(b"")))
            return
        respond(InboundResponse(201, headers, WholeBody(body or b"from upstream")))


class _Llm:
    async def infer(self, model: str, prompt: str, params: InferencingParams) -> InferencingResult:
        await trio.lowlevel.checkpoint()
        return InferencingResult(f"{model}: {prompt} {params.max_tokens}", InferencingUsage(3, 2))

    async def embed(self, model: str, texts: Sequence[str]) -> EmbeddingsResult:
        await trio.lowlevel.checkpoint()
        return EmbeddingsResult([[0.5, -1.0, float(len(text))] for text in texts], EmbeddingsUsage(3))

    def close(self) -> None: ...


class RepeatableHost:
    """Of one app.

    Args:
        folder: for its files, which are the same for all hosts of the folder but for `database`.
        granted: the manifest allows all that there is, or nothing.

    Attributes:
        local: to the app itself; its trigger is to be set.
    """

    def __init__(
        self,
        folder: Path,
        database: str,
        nursery: trio.Nursery,
        *,
        granted: bool,
        environment: Mapping[str, str],
    ) -> None:
        note = folder / "note.txt"
        if not note.exists():
            note.write_text("a note\n")
        self.environment = {"GREETING": "good day", **environment}
        self.local = LocalTransport()
        self._redis = RedisPool(LOCAL)
        self._database = Database(folder / database)
        self._config = HostConfig(
            environment=self.environment,
            files={"/assets/note.txt": note},
            redis=self._redis,
            outgoing=Outgoing(_Network(), nursery, self.local),
            llm=_Llm(),
        )
        if granted:
            self._config = dataclasses.replace(
                self._config,
                key_value={"default": MemoryKeyValue(), "unbacked": None},
                databases={"default": self._database},
                grant=Grant(ALLOWED, LOCAL),
                models=frozenset({"a-model"}),
                variables={"region": "eu", "empty": ""},
            )

    def interfaces(self, limits: GuestLimits, *, has_spin: bool) -> Sequence[Interface]:
        """
        Args:
            has_spin: with those that `REFUSED` may stand for.
        """
        config, fakes = dataclasses.replace(self._config, limits=limits), repeatable()
        found = (*wasi_interfaces(config), *spin_interfaces(config))
        absent = () if has_spin else tuple(REFUSED)
        return [fakes.get(each.wit, each) for each in found if not each.wit.startswith(absent)]

    def close(self) -> None:
        self._redis.close()
        self._database.close()
