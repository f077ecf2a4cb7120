"""The rosters that lead from an older one to the newest: those that changed who has to sign the next."""

from __future__ import annotations

from collections.abc import Sequence

from edged.fleet.record import open_envelope, refusing
from edged.limits import RECORD_BYTES_MAX, ROOT_KEY_COUNT_MAX
from registry import strict


def steps(former: Sequence[bytes], newest: bytes) -> tuple[bytes, ...]:
    """The signed rosters that whoever knows one of them has to see, oldest first; the newest is always among them.

    Args:
        former: accepted ones before the newest, oldest first.
    """
    held = [*former, newest]
    rules = [_root_rule(envelope) for envelope in held]
    changes = [envelope for index, envelope in enumerate(held) if index and rules[index] != rules[index - 1]]
    return tuple(changes if newest in changes else [*changes, newest])


def _root_rule(envelope: bytes) -> object:
    """By whom a roster's successor has to be signed. Of one that was accepted: only these two fields are looked at, as
    parsing the certificates of fifty rosters takes seconds."""
    with refusing():
        roster = strict.Reader(strict.decode(open_envelope(envelope).payload, RECORD_BYTES_MAX), "roster")
        return sorted(map(repr, roster.array("root_keys", ROOT_KEY_COUNT_MAX))), roster.integer("threshold")
