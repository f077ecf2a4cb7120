"""`fermyon:spin/variables`, `spin:variables/variables` and `wasi:config/store`: the variables of one component.

They are as the manifest makes them. All are known when the app is loaded, so that every function answers at once. They
may be secrets: no message has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from edged.host.interface import Err, Interface, Invocation
from edged.manifest.names import variable_problem
from edged.manifest.problems import shown


class Variables(Interface):
    """`fermyon:spin/variables@2.0.0` of one component.

    Args:
        values: by the component's own names.
    """

    wit: ClassVar[str] = "fermyon:spin/variables"
    versions: ClassVar[tuple[str, ...]] = ("2.0.0",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def get(self, _invocation: Invocation, name: str) -> str:
        """The value. Errors: `invalid-name`, `undefined`."""
        problem = variable_problem(name)
        if problem is not None:
            raise Err(("invalid-name", f"{shown(name)} {problem}"))
        if name not in self._values:
            raise Err(("undefined", f"the component has no variable {shown(name)}"))
        return self._values[name]


class Variables3(Variables):
    """`spin:variables/variables@3.0.0`: the same."""

    wit: ClassVar[str] = "spin:variables/variables"
    versions: ClassVar[tuple[str, ...]] = ("3.0.0",)


class ConfigStore(Interface):
    """`wasi:config/store@0.2.0-draft-2024-09-27`: the same variables. A name that cannot be one has no value."""

    wit: ClassVar[str] = "wasi:config/store"
    versions: ClassVar[tuple[str, ...]] = ("0.2.0-draft-2024-09-27",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def get(self, _invocation: Invocation, key: str) -> str | None:
        return self._values.get(key)

    def get_all(self, _invocation: Invocation) -> Sequence[tuple[str, str]]:
        """All of them, by name."""
        return sorted(self._values.items())
