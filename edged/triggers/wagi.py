"""A component with the executor `wagi`: a program that is run for each request and speaks CGI.

It is a core module with `_start` over WASI preview 1, or a component with `wasi:cli/run`: both read stdin and write
stdout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edged.errors import ComponentUnsupported, EdgedError, GuestExit
from edged.host.chain import Chain
from edged.host.command import Command
from edged.host.http.cgi_call import CgiCall
from edged.http.cgi import arguments, variables
from edged.http.exchange import ClientGone, Exchange
from edged.http.router import RouteMatch
from edged.triggers.component import TriggerComponent
from edged.triggers.exports import Entry
from edged.wasm.core.program import CoreProgram

ENTRY_POINT = "_start"


def find_entry_point(program: CoreProgram) -> Entry:
    """What is run of a core module.

    Raises:
        ComponentUnsupported: it exports no `_start` that takes and gives nothing.
    """
    export = program.export(ENTRY_POINT)
    if export is None or export.signature != ("", ""):
        raise ComponentUnsupported(
            f"the module exports no function {ENTRY_POINT} without parameters and results",
            remedy="Build it as a program (a command) for wasm32-wasip1.",
        )
    return Entry(export)


@dataclass(frozen=True, slots=True)
class WagiTarget:
    """A program behind a route.

    Args:
        argv: the manifest's template.
        environment: of the component.
    """

    guest: TriggerComponent
    argv: str
    environment: Mapping[str, str] = field(repr=False)

    @property
    def component(self) -> str:
        return self.guest.id

    async def handle(self, exchange: Exchange, match: RouteMatch[Any], chain: Chain | None) -> None:
        guest, request = self.guest, exchange.request
        call, invocation = CgiCall(exchange, guest.pool.limits), guest.invocation(chain)
        try:
            # A client chooses the names of `HTTP_` variables, and must not replace one of the component's own.
            environment = {**variables(request, match, call.body_length), **self.environment}
            invocation.command = Command(arguments(self.argv, request), environment, call.stdin, call)
            instance = await guest.pool.acquire(invocation, call.settle)
            try:
                await instance.call(guest.exports["wagi"].export)
            except GuestExit as ended:
                if ended.status:
                    raise
            finally:
                guest.pool.release(instance)  # a client that reads slowly holds no instance
            call.returned()
            await call.finish()
        except EdgedError as error:
            if call.client_gone:
                raise ClientGone from error
            error.request_id = invocation.request_id
            raise
        finally:
            invocation.close()
