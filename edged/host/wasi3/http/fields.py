"""`resource fields` of `wasi:http/types` 0.3: 0.2's, with two more methods and an error for what is too large."""

from __future__ import annotations

from collections.abc import Sequence

from edged.host.http import fields
from edged.host.http.fields import Entry
from edged.host.interface import Err


class Fields(fields.Fields):
    """Headers or trailers."""

    __slots__ = ()

    def get_and_delete(self, name: str) -> Sequence[bytes]:
        """Raises Err of `header-error`."""
        values = self.get(name)
        self.delete(name)
        return values

    def copy_all(self) -> Sequence[Entry]:
        return self.entries()

    def _too_large(self) -> Exception:
        # Only fields that a guest makes can be: what is received and then cloned is held to less.
        return Err("size-exceeded")
