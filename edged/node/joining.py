"""How a node comes into the fleet: by a roster that names it, or by a voucher that lets it in.

    roster file ─────────────────────────────────────────────> FleetState.begin
    voucher ── join, at each seed in turn ── admission, rosters ──> begin, accept

Both only matter until the node knows the fleet: a roster on disk that is newer than the file wins, and so does one that
a peer has.
"""

from __future__ import annotations

import time
from pathlib import Path

import structlog
import trio

from edged.errors import EdgedError, JoinFailed
from edged.fleet.certificate import Identity
from edged.fleet.client import Connect, connect
from edged.fleet.files import read_file
from edged.fleet.peer import Anchors
from edged.fleet.roster import Node
from edged.fleet.session import Hello
from edged.fleet.state import FleetState
from edged.fleet.voucher import Seed, Voucher, open_voucher, parse_token, prove
from edged.limits import RECORD_BYTES_MAX, VOUCHER_BYTES_MAX

log = structlog.get_logger()

_ROSTER_COUNT_MAX = 64
"""Of one answer: only those that changed the root keys are in it, and the last."""


def own_node(state: FleetState, identity: Identity) -> Node | None:
    """This node as the fleet has it; None if the fleet does not."""
    return next((node for node in state.nodes() if node.certificate == identity.certificate), None)


def take_roster(state: FleetState, file: Path, now: float) -> None:
    """Take a roster that the operator put there, if it is news. Blocks.

    Raises:
        FleetFileMissing, FleetFileError, FleetFileInvalid: the file cannot be read.
        EdgedError: why the roster is not accepted. An old one is no error.
    """
    outcome = state.begin(read_file(file, RECORD_BYTES_MAX), now)
    if outcome.error is not None and outcome.kind != "stale":
        raise outcome.error


def read_voucher(file: Path) -> bytes:
    """The signed voucher in a file. Blocks.

    Raises:
        FleetFileMissing, FleetFileError, FleetFileInvalid, VoucherInvalid
    """
    data = read_file(file, 2 * VOUCHER_BYTES_MAX)
    return parse_token(data.decode("ascii", "replace"))


async def join(
    state: FleetState, identity: Identity, envelope: bytes, *, version: str, connect: Connect = connect
) -> None:
    """Join by a signed voucher: the first seed that answers decides.

    Args:
        version: of edged.
        connect: another way to the seeds, for tests.

    Raises:
        JoinFailed: no seed could be asked, or one refused; the message has each one's reason.
    """
    voucher = open_voucher(envelope).voucher
    reasons = []
    for seed in voucher.seeds:
        try:
            await _join_at(seed, state, identity, voucher, envelope, version=version, connect=connect)
        except EdgedError as error:
            reasons.append(f"{seed.address}: {error.message} [{error.code}]")
        else:
            log.info("node.joined", node=voucher.node, region=voucher.region, seed=seed.address)
            return
    raise JoinFailed("\n".join(["no node of the fleet let this one in", *reasons]))


async def _join_at(
    seed: Seed,
    state: FleetState,
    identity: Identity,
    voucher: Voucher,
    envelope: bytes,
    *,
    version: str,
    connect: Connect,
) -> None:
    anchors = Anchors.of_nodes([(seed.address, seed.certificate)])
    hello = Hello(fleet=voucher.fleet, name=voucher.node, edged=version)
    async with connect(seed.address, None, anchors, hello=hello) as client:
        answer = await client.call(
            "join",
            voucher=envelope,
            certificate=identity.certificate,
            proof=prove(envelope, identity),
        )
    match answer:
        case {"admission": bytes(admission), "rosters": [bytes(), *_] as rosters} if len(rosters) <= _ROSTER_COUNT_MAX:
            await trio.to_thread.run_sync(_take, state, voucher, rosters, admission)
        case _:
            raise JoinFailed("an answer without an admission and a roster")


def _take(state: FleetState, voucher: Voucher, rosters: list[object], admission: bytes) -> None:
    now = time.time()
    for position, record in enumerate([*rosters, admission]):
        if not isinstance(record, bytes):
            raise JoinFailed("an answer with something that is no record")
        # Whoever gave the voucher to the operator also said which root keys count.
        outcome = state.begin(record, now, voucher.root_keys) if position == 0 else state.accept(record, now)
        if outcome.error is not None and outcome.kind != "stale":
            raise outcome.error
