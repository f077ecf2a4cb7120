"""Which prefixes a fleet's rosters let its nodes announce.

It is what the newest roster says, unless that takes away too many at once: the last one, or more than one, without
`allow_removal`. Such a roster changes no prefix; what the rosters before it came to stays. The daemon and its speaker's
child compute this each for itself, from the signed rosters on disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bgp.errors import BgpError
from bgp.prefix import AllowList, Network, parse_prefix
from edged.errors import RecordInvalid
from edged.fleet.record import Key, check_signed, open_envelope, refusing
from edged.fleet.roster import PAYLOAD_TYPE, Roster
from edged.fleet.store import RecordStore
from edged.limits import PREFIX_COUNT_MAX, RECORD_BYTES_MAX, ROOT_KEY_COUNT_MAX
from registry import strict
from registry.disk import Disk
from registry.dsse import Envelope
from registry.keys import PublicKey

_PREFIX_BYTES_MAX = 64


@dataclass(frozen=True, slots=True)
class RosterPrefixes:
    """Of one roster: the fields that matter here. Parsing all certificates of fifty rosters takes seconds."""

    envelope: Envelope
    root_keys: tuple[PublicKey, ...]
    threshold: int
    prefixes: frozenset[Network]
    allow_removal: int


@dataclass(frozen=True, slots=True)
class AllowedPrefixes:
    """Attributes:
    allow_list: what may be announced.
    refused: why the newest roster does not count in this, a sentence; "" if it does.
    """

    allow_list: AllowList
    refused: str = ""


def allowed_prefixes(rosters: Iterable[tuple[frozenset[Network], int]]) -> AllowedPrefixes:
    """
    Args:
        rosters: prefixes and `allow_removal` of each, oldest first.
    """
    held: frozenset[Network] | None = None
    refused = ""
    for prefixes, allow_removal in rosters:
        gone = frozenset() if held is None else held - prefixes
        is_mass = len(gone) > 1 or (bool(gone) and not prefixes)
        if is_mass and len(gone) > allow_removal:
            refused = (
                f"the roster would take away {len(gone)} prefixes, and says that {allow_removal} may go: "
                "no prefix was changed. Put them back, or say so by allow_removal in fleet.toml, and sign again"
            )
            continue
        held, refused = prefixes, ""
    return AllowedPrefixes(AllowList(held or ()), refused)


def refused_prefixes(signed: Iterable[bytes], drafted: Roster) -> str:
    """Why nodes would refuse what a roster takes away, before it is signed; "" if they would not.

    Args:
        signed: records of the rosters before it, oldest first.

    Raises:
        RecordInvalid: one of them is none.
    """
    before = [(one.prefixes, one.allow_removal) for one in map(_parse, signed)]
    return allowed_prefixes([*before, (_prefixes(drafted.prefixes), drafted.allow_removal)]).refused


def read_allowed(state_dir: Path, *, disk: Disk | None = None) -> AllowedPrefixes:
    """From the rosters that a node keeps, each signed as the one before demands. Blocks.

    Args:
        disk: another one than the real one, for tests.

    Raises:
        RecordsUnusable: the folder, or one of the rosters, cannot be read now: an older one would say something else.
        RecordInvalid, RecordForbidden: a roster is not what was accepted, or there are those of several fleets.
    """
    store = RecordStore(state_dir / "records", disk=disk)
    names = store.names("roster")
    if len(names) > 1:
        raise RecordInvalid(f"{state_dir} has rosters of several fleets: {', '.join(names[:3])}")
    chain: list[RosterPrefixes] = []
    for name in names:
        chain = [_parse(stored.envelope) for stored in reversed(store.history(Key("roster", name), is_complete=True))]
    for former, newer in pairwise(chain):
        check_signed(newer.envelope, former.root_keys, former.threshold, "the roster")
    return allowed_prefixes((one.prefixes, one.allow_removal) for one in chain)


def _parse(data: bytes) -> RosterPrefixes:
    envelope = open_envelope(data)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise RecordInvalid("a record of a roster is none")
    with refusing():
        fields = strict.decode(envelope.payload, RECORD_BYTES_MAX)
        reader = strict.Reader(fields, "roster")
        keys = reader.array("root_keys", ROOT_KEY_COUNT_MAX)
        threshold = reader.integer("threshold", 1, ROOT_KEY_COUNT_MAX)
        texts = reader.texts("prefixes", PREFIX_COUNT_MAX, _PREFIX_BYTES_MAX)
        is_there = isinstance(fields, dict) and "allow_removal" in fields
        removal = reader.integer("allow_removal", 1, PREFIX_COUNT_MAX) if is_there else 0
        publics = tuple(PublicKey(key) for key in keys if isinstance(key, bytes))
    return RosterPrefixes(envelope, publics, threshold, _prefixes(texts), removal)


def _prefixes(texts: Iterable[str]) -> frozenset[Network]:
    return frozenset(found for found in map(_prefix, texts) if found is not None)


def _prefix(text: str) -> Network | None:
    """None for what a roster may say and nobody announces: a default route."""
    try:
        return parse_prefix(text)
    except BgpError:
        return None
