"""A component that triggers call: linked, with its pool and its log.

trigger -> TriggerComponent -> pool -> a fresh instance -> the guest
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edged.errors import EdgedError, GuestReturnedError
from edged.host.budget import Budget
from edged.host.chain import Chain
from edged.host.guest_log import GuestLog
from edged.host.interface import Err, Invocation, Ok
from edged.triggers.exports import Entry
from edged.wasm.pool import Pool


@dataclass(frozen=True, slots=True)
class TriggerComponent:
    """One component of an app.

    Attributes:
        pool: of a component, or of a core module with the exports of one.
        exports: type of trigger -> where it enters.
    """

    id: str
    pool: Pool[Any]
    log: GuestLog
    exports: Mapping[str, Entry] = field(default_factory=dict)
    # Unique in this process and hard to guess outside of it, and cheap: a request has 200 us in all.
    _id_prefix: str = field(default_factory=lambda: secrets.token_hex(6))
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def invocation(self, chain: Chain | None = None) -> Invocation:
        """What one call may use. Close it when the call has ended.

        Args:
            chain: the call's place among calls of guests; None for one from outside.
        """
        return start_invocation(self.log, f"{self._id_prefix}{next(self._ids):010x}", chain)

    async def call(self, export: Any, *arguments: Any) -> Any:
        """Call a function of a fresh instance; values as in `edged.host.interface`.

        Raises:
            EdgedError: with the request's id; GuestReturnedError for the error case of a result.
        """
        invocation = self.invocation()
        try:
            instance = await self.pool.acquire(invocation)
            try:
                answer = await instance.call(export, *arguments)
            finally:
                self.pool.release(instance)
            if isinstance(answer, Err):
                raise GuestReturnedError("the guest's handler returned an error")
            return answer.value if isinstance(answer, Ok) else answer
        except EdgedError as error:
            error.request_id = invocation.request_id
            raise
        finally:
            invocation.close()

    def close(self) -> None:
        """Free what is kept between calls. Call it when none is under way."""
        self.pool.close()
        self.log.close()


def start_invocation(log: GuestLog, request_id: str, chain: Chain | None = None) -> Invocation:
    """An invocation whose output goes to a component's log."""
    budget = Budget()
    return Invocation(
        request_id,
        log.output("stdout", request_id, budget),
        log.output("stderr", request_id, budget),
        budget,
        chain or Chain(),
    )
