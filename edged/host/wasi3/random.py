"""`wasi:random` 0.3: random, insecure, insecure-seed. As 0.2's, but one call may give fewer bytes than asked for."""

from __future__ import annotations

from typing import ClassVar

from edged.host import random
from edged.host.interface import Invocation
from edged.host.wasi3 import VERSIONS
from edged.limits import RANDOM_CALL_BYTES_MAX


class Random(random.Random):
    """`wasi:random/random`."""

    versions: ClassVar[tuple[str, ...]] = VERSIONS

    def get_random_bytes(self, invocation: Invocation, length: int) -> bytes:
        """At most `RANDOM_CALL_BYTES_MAX`. Raises GuestBudgetExhausted past what one request may have."""
        return super().get_random_bytes(invocation, min(length, RANDOM_CALL_BYTES_MAX))


class Insecure(random.Insecure):
    """`wasi:random/insecure`."""

    versions: ClassVar[tuple[str, ...]] = VERSIONS

    def get_insecure_random_bytes(self, invocation: Invocation, length: int) -> bytes:
        """At most `RANDOM_CALL_BYTES_MAX`. Raises GuestBudgetExhausted past what one request may have."""
        return super().get_insecure_random_bytes(invocation, min(length, RANDOM_CALL_BYTES_MAX))


class InsecureSeed(random.InsecureSeed):
    """`wasi:random/insecure-seed`."""

    versions: ClassVar[tuple[str, ...]] = VERSIONS

    def get_insecure_seed(self, invocation: Invocation) -> tuple[int, int]:
        return self.insecure_seed(invocation)
