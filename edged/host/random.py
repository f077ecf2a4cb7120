"""`wasi:random`: random, insecure, insecure-seed.

All three are the kernel's generator. A cheaper one for `insecure` would have a state that outlives the request, and one
tenant could learn another's hash seeds from it. The request's budget pays for every byte, before it is made.
"""

from __future__ import annotations

import os
from typing import ClassVar

from edged.errors import GuestBudgetExhausted
from edged.host.interface import Interface, Invocation
from edged.limits import RANDOM_CALL_BYTES_MAX


def _random_bytes(invocation: Invocation, length: int) -> bytes:
    if length > RANDOM_CALL_BYTES_MAX:
        raise GuestBudgetExhausted(
            f"the guest asked for {length} random bytes in one call, and {RANDOM_CALL_BYTES_MAX} are the most"
        )
    invocation.budget.spend_random(length)
    return os.urandom(length)


def _random_u64(invocation: Invocation) -> int:
    invocation.budget.spend_random(8)
    return int.from_bytes(os.urandom(8), "little")


class Random(Interface):
    """`wasi:random/random`."""

    wit: ClassVar[str] = "wasi:random/random"

    def get_random_bytes(self, invocation: Invocation, length: int) -> bytes:
        """Raises GuestBudgetExhausted for more bytes than one call or one request may have."""
        return _random_bytes(invocation, length)

    def get_random_u64(self, invocation: Invocation) -> int:
        return _random_u64(invocation)


class Insecure(Interface):
    """`wasi:random/insecure`."""

    wit: ClassVar[str] = "wasi:random/insecure"

    def get_insecure_random_bytes(self, invocation: Invocation, length: int) -> bytes:
        """Raises GuestBudgetExhausted for more bytes than one call or one request may have."""
        return _random_bytes(invocation, length)

    def get_insecure_random_u64(self, invocation: Invocation) -> int:
        return _random_u64(invocation)


class InsecureSeed(Interface):
    """`wasi:random/insecure-seed`."""

    wit: ClassVar[str] = "wasi:random/insecure-seed"

    def insecure_seed(self, invocation: Invocation) -> tuple[int, int]:
        return _random_u64(invocation), _random_u64(invocation)
