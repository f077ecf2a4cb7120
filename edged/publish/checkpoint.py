"""A checkpoint of what one node has, signed and given to the fleet."""

from __future__ import annotations

from edged.errors import ProtocolError
from edged.fleet.checkpoint import Checkpoint, hash_of
from edged.fleet.record import Key
from edged.publish.backup import read_heads
from edged.publish.signer import Signer
from edged.publish.upload import Call


async def make_checkpoint(call: Call, author: Signer, now: float, good_for_s: float) -> Checkpoint:
    """Made, and accepted by the node that answers. It says what that node has: ask one that others talk to.

    Args:
        now: unix time, s.

    Raises:
        ProtocolError: the node has another roster than this user.
        RecordInvalid: more apps than one checkpoint has room for, or a time too long.
        EdgedError: as `call`: the key has not the role `checkpoint`, for one.
    """
    heads = await read_heads(call)
    roster = heads.get(author.roster.key)
    if roster is None or roster.version != author.roster.record_version:
        raise ProtocolError("the node has another roster than the one that it gave")
    former = heads.get(Key("checkpoint", author.fleet))
    is_same_epoch = former is not None and former.version.epoch == author.roster.epoch
    checkpoint = Checkpoint(
        fleet=author.fleet,
        epoch=author.roster.epoch,
        sequence=former.version.sequence + 1 if former is not None and is_same_epoch else 1,
        roster_version=author.roster.version,
        apps={key.name: head.version for key, head in heads.items() if key.kind == "deployment"},
        heads_hash=hash_of(heads.values()),
        issued=int(now),
        expires=int(now + good_for_s),
    )
    await call("put_record", envelope=checkpoint.seal(author.identity.key))
    return checkpoint
