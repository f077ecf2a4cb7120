"""`fermyon:spin/config` and `fermyon:spin/llm` without a version: what are variables now, and models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from edged.host.interface import Err, Interface, Invocation
from edged.host.llm.interfaces import Llm
from edged.host.variables import Variables

_CASES = {"invalid-name": "invalid-key", "undefined": "provider"}


class Config(Interface):
    """`fermyon:spin/config` of one component.

    Args:
        values: its variables, by its own names.
    """

    wit: ClassVar[str] = "fermyon:spin/config"
    versions: ClassVar[tuple[str, ...]] = ("",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._variables = Variables(values)

    def get_config(self, invocation: Invocation, key: str) -> str:
        """The value. Errors, as in Spin: `invalid-key`, and `provider` for one that there is not."""
        try:
            return self._variables.get(invocation, key)
        except Err as err:
            case, message = err.value
            raise Err((_CASES[case], message)) from None


class Llm1(Llm):
    """`fermyon:spin/llm`, which version 2 did not change."""

    versions: ClassVar[tuple[str, ...]] = ("",)
