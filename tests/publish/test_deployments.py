"""Which number the next deployment of an app has, and that nodes take it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.fleet.record import Version
from edged.limits import SEQUENCE_JUMP_MAX
from edged.publish.author import Signed
from edged.publish.deployments import Head, Wish, wished
from edged.publish.signer import Signer
from tests.fleet import kit


def head(epoch: int, sequence: int) -> Head:
    """As it is in the fleet; sequence 0 for an app that never was there."""
    if not sequence:
        return Head("shop", None)
    newest = kit.deployment(epoch=epoch, sequence=sequence)
    return Head("shop", Signed(newest, newest.digest, "operator"))


@pytest.mark.parametrize(
    ("epoch", "floor", "before", "after"),
    [
        (1, None, (1, 0), (1, 1)),
        (1, None, (1, 7), (1, 8)),
        (1, Version(1, 3), (1, 1), (1, 3)),  # head + 1 would be below the floor
        (1, Version(1, 3), (1, 2), (1, 3)),
        (1, Version(1, 3), (1, 3), (1, 4)),
        (2, None, (1, 7), (2, 8)),  # status and watch compare sequences
        (2, Version(1, 30), (1, 7), (2, 8)),  # a floor of an epoch that is over
        (2, None, (1, SEQUENCE_JUMP_MAX - 1), (2, SEQUENCE_JUMP_MAX)),
        (2, None, (1, SEQUENCE_JUMP_MAX), (2, 1)),  # a stolen key ran ahead: nodes take no such jump
        (1, Version(2, 5), (1, 5 + SEQUENCE_JUMP_MAX), (2, 5)),
    ],
)
def test_the_next_number_is_one_that_nodes_take(
    epoch: int, floor: Version | None, before: tuple[int, int], after: tuple[int, int], tmp_path: Path
) -> None:
    roster = kit.roster(epoch=epoch, floors={} if floor is None else {"shop": floor})
    author = Signer(kit.identity("operator"), roster)
    deployment = wished(author, head(*before), Wish(kit.RELEASE), ("eu", "us"), int(kit.NOW))
    assert deployment.version == after
    node = kit.state(tmp_path, epoch=epoch, floors=roster.floors)
    if floor is None and epoch == 1:
        for sequence in range(1, before[1] + 1):
            node.accept(kit.signed(sequence=sequence), kit.NOW)
    assert node.accept(author.sign_deployment(deployment), kit.NOW).kind == "accepted"
