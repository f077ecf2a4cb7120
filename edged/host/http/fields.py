"""`resource fields` of `wasi:http/types`: headers and trailers.

Names are kept in lower case and in the order given. What is checked here is never checked again: a name is a token of
RFC 9110 5.6.2, a value has no control character, and no field that belongs to the connection can be set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Self

from edged.errors import GuestBudgetExhausted
from edged.host.budget import Budget
from edged.host.interface import Err, Resource
from edged.http.exchange import Header
from edged.limits import FIELD_OVERHEAD_BYTES, FIELDS_BYTES_MAX

FORBIDDEN = frozenset(
    {
        "connection",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields of the connection, not of the message (the set that Spin's runtime forbids). A guest neither sees nor
sets them; the host of a request is its authority."""

_FORBIDDEN_BYTES = frozenset(name.encode() for name in FORBIDDEN)

NOT_IN_TRAILERS = frozenset(
    {
        "age",
        "authorization",
        "cache-control",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "date",
        "expires",
        "location",
        "max-forwards",
        "retry-after",
        "set-cookie",
        "te",
        "trailer",
        "vary",
        "www-authenticate",
    }
)
"""What RFC 9110 6.5.1 keeps out of trailers: framing, routing, authentication, controls, content handling."""

_is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_find_control = re.compile(rb"[^\t\x20-\x7e\x80-\xff]").search
_is_length = re.compile(rb"[0-9]{1,18}").fullmatch

Entry = tuple[str, bytes]


class Fields(Resource):
    """A list of fields that is mutable or not.

    Args:
        entries: checked already, names in lower case. Shared, not copied, when the fields are immutable.
        budget: of the request, which pays for what is mutable, here and in clones; None where nobody has to.
    """

    __slots__ = ("_budget", "_entries", "_size", "mutable")

    def __init__(
        self, entries: list[Entry] | None = None, *, mutable: bool = True, budget: Budget | None = None
    ) -> None:
        self._entries: list[Entry] = [] if entries is None else entries
        self._budget = budget
        self.mutable = mutable
        self._size = 0
        if mutable and self._entries:
            self._hold(sum(map(_cost, self._entries)))

    @classmethod
    def from_entries(cls, entries: Iterable[Entry], budget: Budget | None = None) -> Self:
        """Mutable fields from a guest's list. Raises as `append` does."""
        return cls([(_checked_name(name), _checked(value)) for name, value in entries], budget=budget)

    @classmethod
    def received(cls, headers: Iterable[Header], budget: Budget | None = None) -> Self:
        """Immutable fields from the network, without what belongs to the connection."""
        entries = [(name.decode("ascii"), value) for name, value in headers if name not in _FORBIDDEN_BYTES]
        return cls(entries, mutable=False, budget=budget)

    def drop(self) -> None:
        self._hold(-self._size)

    def headers(self) -> list[Header]:
        """The fields as an exchange takes them."""
        return [(name.encode(), value) for name, value in self._entries]

    def trailers(self) -> list[Header]:
        """The fields as an exchange takes trailers. What may not stand there is left out, as Spin's runtime does."""
        return [(name.encode(), value) for name, value in self._entries if name not in NOT_IN_TRAILERS]

    def view(self) -> Self:
        """Immutable fields over the same entries, which must not change any more."""
        return type(self)(self._entries, mutable=False, budget=self._budget)

    # --- methods of the resource ---

    def get(self, name: str) -> Sequence[bytes]:
        name = name.lower()
        return [value for key, value in self._entries if key == name]

    def has(self, name: str) -> bool:
        name = name.lower()
        return any(key == name for key, _ in self._entries)

    def set(self, name: str, values: Iterable[bytes]) -> None:
        """Raises Err of `header-error`, and GuestBudgetExhausted past `FIELDS_BYTES_MAX`."""
        name = self._writable(name)
        entries = [entry for entry in self._entries if entry[0] != name]
        entries += [(name, _checked(value)) for value in values]
        self._hold(sum(map(_cost, entries)) - self._size)
        self._entries = entries

    def delete(self, name: str) -> None:
        """Raises Err of `header-error`."""
        self._remove(self._writable(name))

    def append(self, name: str, value: bytes) -> None:
        """Raises Err of `header-error`, and GuestBudgetExhausted past `FIELDS_BYTES_MAX`."""
        self._add(self._writable(name), _checked(value))

    def entries(self) -> Sequence[Entry]:
        return self._entries

    def clone(self) -> Self:
        return type(self)(self._entries.copy(), budget=self._budget)

    # --- inside ---

    def _writable(self, name: str) -> str:
        if not self.mutable:
            raise Err("immutable")
        return _checked_name(name)

    def _add(self, name: str, value: bytes) -> None:
        entry = name, value
        self._hold(_cost(entry))
        self._entries.append(entry)

    def _hold(self, count_bytes: int) -> None:
        """Account for so many more bytes, or fewer."""
        if self._size + count_bytes > FIELDS_BYTES_MAX:
            raise self._too_large()
        self._size += count_bytes
        if self._budget is not None:
            self._budget.hold_fields(count_bytes)

    def _too_large(self) -> Exception:
        return GuestBudgetExhausted(f"header fields of more than {FIELDS_BYTES_MAX} bytes")

    def _remove(self, name: str) -> None:
        kept = [entry for entry in self._entries if entry[0] != name]
        if len(kept) != len(self._entries):
            self._entries = kept
            self._hold(sum(map(_cost, kept)) - self._size)


def _cost(entry: Entry) -> int:
    return len(entry[0]) + len(entry[1]) + FIELD_OVERHEAD_BYTES


def _checked_name(name: str) -> str:
    if not _is_token(name):
        raise Err("invalid-syntax")
    name = name.lower()
    if name in FORBIDDEN:
        raise Err("forbidden")
    return name


def _checked(value: bytes) -> bytes:
    if _find_control(value):
        raise Err("invalid-syntax")
    # Whitespace around a value is not part of it (RFC 9110 5.5), and HTTP/2 refuses it.
    return value.strip(b" \t")


def content_length(fields: Fields) -> int | None:
    """The one content-length of a message, in bytes, or None.

    Raises:
        ValueError: there are different ones, or it is not a number.
    """
    values = fields.get("content-length")
    if not values:
        return None
    if len({*values}) > 1 or not _is_length(values[0]):
        raise ValueError("content-length is not one decimal number")
    return int(values[0])
