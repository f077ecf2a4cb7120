"""Components as text: as bytes, and as plans. wasmtime reads the text and does not validate it."""

from __future__ import annotations

import wasmtime

from edged.limits import GuestLimits
from edged.wasm.plan.elaborate import build_plan
from edged.wasm.plan.plan import Plan


def binary(text: str) -> bytes:
    """The bytes of `(component {text})`."""
    return bytes(wasmtime.wat2wasm(f"(component {text})"))


def plan(text: str, limits: GuestLimits | None = None) -> Plan:
    """The plan of `(component {text})`."""
    return build_plan(binary(text), limits)
