"""The second fence: every core function that is called or given without a check has the signature it is called with.

wasmtime validates the component that a plan is made of. But calls of exports through the C API check nothing, and a
wrong signature or a missing item there is a crash of the process and not an error. So all of it is checked once more,
on the plan itself, before anything is instantiated.

Source: component model, `design/mvp/CanonicalABI.md`, "canon lift", "canon lower" and the built-ins.
"""

from __future__ import annotations

from collections.abc import Sequence

from edged.limits import GuestLimits
from edged.wasm.component.module import ModuleTypes
from edged.wasm.component.plan import Plan


def verify(plan: Plan, modules: Sequence[ModuleTypes], limits: GuestLimits | None = None) -> None:
    """
    Args:
        modules: types of the plan's core modules, by number.
        limits: if given, what the app may have of core instances, memories and tables.

    Raises:
        ComponentInvalid: a core item that is not there, or of another type than the canonical ABI asks for.
        ComponentUnsupported: a memory of 64 bits, or a shared one.
        ComponentTooLarge: more than `limits` allow.
    """
