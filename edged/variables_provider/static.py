"""Values that stand in the runtime config itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StaticProvider:
    """A `Provider` of values that are there.

    Attributes:
        known: by the variables' names. They may be secrets.
    """

    known: Mapping[str, str] = field(repr=False)

    async def values(self, names: Collection[str]) -> Mapping[str, str]:
        return {name: self.known[name] for name in names if name in self.known}
