"""A checkpoint: what the fleet had at a moment, signed, and good for a while only.

A peer can withhold records, and a node that hears of nothing new cannot tell that from a quiet day. So somebody with
the role `checkpoint` says every now and then what there is. A node whose newest checkpoint has expired, or that lacks
for longer than CHECKPOINT_GRACE_S what it names, raises an alarm, and serves on: nothing else ever follows from one.

It names every app with its version, and has a hash of all those records' digests: so a node can tell that it is ahead,
behind, or was given another record under the same number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edged.errors import RecordInvalid
from edged.fleet.names import check_app, check_label
from edged.fleet.record import VERSION, Head, Key, Version, refusing, seal
from edged.limits import CHECKPOINT_S_MAX, EPOCH_MAX, RECORD_BYTES_MAX, RECORD_COUNT_MAX
from registry import strict
from registry.keys import SigningKey

PAYLOAD_TYPE = "application/vnd.edged.checkpoint.v1+msgpack"

ROLE = "checkpoint"
"""Of the keys that may sign one."""

_TEXT_BYTES_MAX = 512
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What there was.

    Attributes:
        epoch: of the roster.
        sequence: from 1 on; the highest wins.
        roster_version: of the newest roster.
        apps: app -> version of its newest deployment.
        heads_hash: `hash_of` all these deployments.
        issued, expires: unix time, s.
    """

    fleet: str
    epoch: int
    sequence: int
    roster_version: int
    apps: Mapping[str, Version]
    heads_hash: bytes
    issued: int
    expires: int

    @property
    def key(self) -> Key:
        return Key("checkpoint", self.fleet)

    @property
    def version(self) -> Version:
        return Version(self.epoch, self.sequence)

    def encode(self) -> bytes:
        """The payload: the same for equal checkpoints."""
        return strict.encode(
            {
                "v": VERSION,
                "fleet": self.fleet,
                "epoch": self.epoch,
                "sequence": self.sequence,
                "roster_version": self.roster_version,
                "apps": {app: list(version) for app, version in self.apps.items()},
                "heads_hash": self.heads_hash,
                "issued": self.issued,
                "expires": self.expires,
            }
        )

    def seal(self, key: SigningKey) -> bytes:
        """The signed record.

        Raises:
            RecordInvalid: it says something that no node would accept, or names more apps than a record has room for.
        """
        with refusing():
            payload = self.encode()
        Checkpoint.parse(payload)
        return seal(PAYLOAD_TYPE, payload, [key])

    @staticmethod
    def parse(payload: bytes) -> Checkpoint:
        """The checkpoint of a payload.

        Raises:
            RecordInvalid
        """
        with refusing():
            reader = strict.Reader(strict.decode(payload, RECORD_BYTES_MAX), "checkpoint")
            reader.integer("v", VERSION, VERSION)
            checkpoint = Checkpoint(
                fleet=check_label(reader.line("fleet", _TEXT_BYTES_MAX), "fleet"),
                epoch=reader.integer("epoch", 1, EPOCH_MAX),
                sequence=reader.integer("sequence", 1),
                roster_version=reader.integer("roster_version", 1),
                apps=MappingProxyType(_apps(reader)),
                heads_hash=reader.bytes_("heads_hash", _HASH_BYTES, bytes_min=_HASH_BYTES),
                issued=reader.integer("issued"),
                expires=reader.integer("expires"),
            )
            reader.end()
        if not 0 < checkpoint.expires - checkpoint.issued <= CHECKPOINT_S_MAX:
            raise RecordInvalid(f"a checkpoint is good for at most {CHECKPOINT_S_MAX // 86_400} days")
        return checkpoint


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a node finds when it compares itself with a checkpoint.

    Attributes:
        expired_s: how long ago it expired; 0 while it is good.
        missed: what is not here, or older here: "roster", or names of apps. Sorted.
        differs: all that it names is here, in the very versions, and is something else.
    """

    expired_s: float
    missed: tuple[str, ...]
    differs: bool


def compare(checkpoint: Checkpoint, heads: Iterable[Head], roster: Version, now: float) -> Verdict:
    """
    Args:
        heads: of all records here.
        roster: version of the roster here.
        now: unix time, s.
    """
    named = [head for head in heads if head.key.kind == "deployment" and head.key.name in checkpoint.apps]
    here = {head.key.name: head.version for head in named}
    missed = [app for app, version in checkpoint.apps.items() if app not in here or here[app] < version]
    is_roster_old = roster < Version(checkpoint.epoch, checkpoint.roster_version)
    is_same = not missed and all(here[app] == version for app, version in checkpoint.apps.items())
    return Verdict(
        expired_s=max(0.0, now - checkpoint.expires),
        missed=(*(["roster"] if is_roster_old else []), *sorted(missed)),
        differs=is_same and hash_of(named) != checkpoint.heads_hash,
    )


def hash_of(heads: Iterable[Head]) -> bytes:
    """Of deployments, in whatever order: 32 bytes."""
    lines = sorted([*head.key, *head.version, head.digest] for head in heads if head.key.kind == "deployment")
    return hashlib.sha256(strict.encode(lines)).digest()


def _apps(reader: strict.Reader) -> dict[str, Version]:
    apps = {}
    for app, value in reader.mapping("apps", RECORD_COUNT_MAX).items():
        if not isinstance(value, list) or len(value) != 2:
            raise RecordInvalid("checkpoint.apps: each is an epoch and a sequence")
        numbers = strict.Reader({"epoch": value[0], "sequence": value[1]}, "checkpoint.apps")
        apps[check_app(app)] = Version(numbers.integer("epoch", 1, EPOCH_MAX), numbers.integer("sequence", 1))
    return apps
