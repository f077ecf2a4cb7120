"""What a node answers out of its records, releases, chunks and board.

Handlers get checked arguments (see `calls`). Whatever blocks (signatures, zstd, disks) is done in threads; chunks in a
few of their own, so that many peers who fetch do not keep a publisher's record waiting; and so do strangers who join.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import trio

from edged.errors import CallForbidden, NotHere
from edged.fleet.beats import Beat, encode_beats
from edged.fleet.board import Board
from edged.fleet.calls import Handler, check_may_change
from edged.fleet.certificate import Identity
from edged.fleet.deployment import Deployment
from edged.fleet.peer import Peer
from edged.fleet.record import Key
from edged.fleet.report import NodeReport
from edged.fleet.servable import Servable
from edged.fleet.state import FleetState
from edged.fleet.sync import Answers
from edged.fleet.uploads import Uploads
from edged.limits import (
    FRAME_BYTES_MAX,
    JOIN_THREAD_COUNT_MAX,
    REPORTS_BYTES_MAX,
    SERVE_THREAD_COUNT_MAX,
    SYNC_THREAD_COUNT_MAX,
    KiB,
)
from registry.blob import Chunk
from registry.chunk_store import ChunkStore
from registry.digest import Digest
from registry.dsse import Envelope
from registry.errors import BlobMissing, ReleaseMissing
from registry.release import RELEASE_TYPE
from registry.release_store import ReleaseStore, open_release

_ANSWER_BYTES_MAX = FRAME_BYTES_MAX - 64 * KiB  # envelopes of one answer; the rest is for what stands around them


class NodeCalls:
    """The handlers of one node.

    Args:
        state, releases, chunks, board: what it knows and has.
        identity: the node's; signs admissions.
        servable: what of that it gives away.
        clock: unix time, s.
        monotonic: the board's clock, s.
    """

    def __init__(
        self,
        state: FleetState,
        releases: ReleaseStore,
        chunks: ChunkStore,
        board: Board,
        *,
        identity: Identity,
        servable: Servable,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = trio.current_time,
    ) -> None:
        self._identity = identity
        self._state = state
        self._releases = releases
        self._chunks = chunks
        self._board = board
        self._servable = servable
        self._clock = clock
        self._monotonic = monotonic
        self._answers = Answers(state)
        self._uploads = Uploads(servable.named)
        self._threads = trio.CapacityLimiter(SERVE_THREAD_COUNT_MAX)
        self._comparing = trio.CapacityLimiter(SYNC_THREAD_COUNT_MAX)
        self._joining = trio.CapacityLimiter(JOIN_THREAD_COUNT_MAX)

    def handlers(self) -> Mapping[str, Handler]:
        """For the dispatcher, which also gets `status`, `watch` and `logs` from elsewhere."""
        return {
            "heads": self.heads,
            "buckets": self.buckets,
            "records": self.records,
            "offer": self.offer,
            "release": self.release,
            "chunk": self.chunk,
            "reports": self.reports,
            "beats": self.beats,
            "missing": self.missing,
            "put_chunk": self.put_chunk,
            "put_release": self.put_release,
            "put_record": self.put_record,
            "head": self.head,
            "history": self.history,
            "apps": self.apps,
            "roster": self.roster,
            "alarms": self.alarms,
            "keys": self.keys,
            "join": self.join,
            "removed": self.removed,
        }

    # --- between nodes ---

    async def heads(self, _peer: Peer, hash_: bytes) -> dict[str, Any]:
        """First question of a comparison of records."""
        return await trio.to_thread.run_sync(self._answers.heads, hash_, limiter=self._comparing)

    async def buckets(self, _peer: Peer, indexes: Sequence[int]) -> dict[str, Any]:
        """Second question."""
        return await trio.to_thread.run_sync(self._answers.buckets, indexes, limiter=self._comparing)

    async def records(self, peer: Peer, keys: Sequence[Key]) -> dict[str, Any]:
        """Records that the peer wants."""
        if peer.kind == "key":
            keys = [key for key in keys if key.kind != "deployment" or peer.may_change(key.name)]
        return await trio.to_thread.run_sync(self._answers.records, keys, limiter=self._comparing)

    async def offer(self, _peer: Peer, records: Sequence[bytes]) -> dict[str, Any]:
        """Records that the peer has. Answers with what became of each."""
        outcomes = await trio.to_thread.run_sync(self._answers.offer, records, self._clock(), limiter=self._comparing)
        return {"outcomes": [outcome.kind for outcome in outcomes]}

    async def release(self, peer: Peer, digest: Digest) -> dict[str, Any]:
        """The envelope of a release."""
        if not self._servable.has_release(digest):
            raise NotHere(f"no record here names the release {digest}")
        try:
            stored = await trio.to_thread.run_sync(self._releases.get, digest)
        except ReleaseMissing as error:
            raise NotHere(error.message) from None
        if peer.kind == "key":
            check_may_change(peer, stored.release.app)
        return {"envelope": stored.envelope}

    async def chunk(self, peer: Peer, digest: Digest) -> dict[str, Any]:
        """A chunk, compressed."""
        if peer.kind == "key" and "*" not in peer.apps:
            raise CallForbidden(f"the key {peer.name} may not deploy every app, so it gets chunks of none")
        if not await self._servable.has_chunk(digest):
            raise NotHere(f"no release that is given away has the chunk {digest}")
        try:
            return {"frame": await trio.to_thread.run_sync(self._chunks.frame_of, digest, limiter=self._threads)}
        except BlobMissing as error:
            raise NotHere(error.message) from None

    async def reports(self, peer: Peer, reports: Sequence[NodeReport]) -> dict[str, Any]:
        """What a peer knows of all nodes, for what this one knows."""
        self._board.merge(reports, peer.name, self._monotonic())
        return {"reports": [report.encode() for report in self._board.fitting(REPORTS_BYTES_MAX)]}

    async def beats(self, peer: Peer, beats: Sequence[Beat], reports: Sequence[NodeReport]) -> dict[str, Any]:
        """Of whom a peer heard, its own report and others' news, for the same of this one and what reports it lacks."""
        now = self._monotonic()
        self._board.merge(reports, peer.name, now)
        self._board.hear(beats, now)
        lacking = self._board.lacking(beats, REPORTS_BYTES_MAX)
        return {"beats": encode_beats(self._board.beats()), "reports": [report.encode() for report in lacking]}

    # --- from publishers ---

    async def missing(self, peer: Peer, digests: Sequence[Digest], lease: str) -> list[Digest]:
        """Which chunks are not here. For a publisher they are leased, so that those which are here stay."""
        if peer.kind == "key":
            await trio.to_thread.run_sync(self._lease, peer.fingerprint, lease, digests)
        return await trio.to_thread.run_sync(self._chunks.missing, digests)

    def _lease(self, key: str, lease: str, digests: Sequence[Digest]) -> None:
        self._chunks.lease(*self._uploads.announce(key, lease, digests, self._clock()))

    async def put_chunk(self, peer: Peer, chunk: Chunk, frame: bytes) -> None:
        """A chunk of an upload. Stored when this answers."""
        await trio.to_thread.run_sync(self._put_chunk, peer.fingerprint, chunk, frame, limiter=self._threads)

    def _put_chunk(self, key: str, chunk: Chunk, frame: bytes) -> None:
        self._uploads.admit(key, chunk, self._clock())
        self._chunks.put_frame(chunk, frame)

    async def put_release(self, peer: Peer, envelope: bytes) -> dict[str, Any]:
        """A release whose chunks are here. Stored when this answers."""
        return await trio.to_thread.run_sync(self._put_release, peer, envelope)

    def _put_release(self, peer: Peer, envelope: bytes) -> dict[str, Any]:
        stored = open_release(envelope)
        check_may_change(peer, stored.release.app)
        self._state.keyring().verify(Envelope.parse(envelope), RELEASE_TYPE, "deploy", stored.release.app)
        chunks = frozenset(chunk.digest for chunk in stored.release.chunks())
        with self._uploads.releasing(peer.fingerprint, stored.digest, len(envelope), chunks, self._clock()):
            self._releases.put(envelope)
        trio.from_thread.run_sync(partial(self._servable.allow, stored.digest, chunks, is_upload=True))
        return {"digest": stored.digest}

    async def put_record(self, _peer: Peer, envelope: bytes) -> dict[str, Any]:
        """A signed record: whoever brings it, who signed it counts.

        Raises:
            EdgedError: why it is not accepted.
        """
        outcome = await trio.to_thread.run_sync(self._state.accept, envelope, self._clock())
        if outcome.error is not None:
            raise outcome.error
        if outcome.record is not None and isinstance(outcome.record.value, Deployment):
            await trio.to_thread.run_sync(self._uploads.named, outcome.record.value.regions.values())
        return {"outcome": outcome.kind}

    async def head(self, _peer: Peer, app: str) -> dict[str, Any]:
        """The newest deployment of an app, variables included: see `calls` for who may ask."""
        record = self._state.head(app)
        roster = self._state.roster
        return {
            "envelope": None if record is None else record.envelope,
            "roster_version": 0 if roster is None else roster.version,
        }

    async def history(self, _peer: Peer, app: str) -> dict[str, Any]:
        """The deployments of an app, newest first, as many as fit into an answer."""
        records = await trio.to_thread.run_sync(self._state.history, app)
        return {"envelopes": _fitting([record.envelope for record in records])}

    async def apps(self, _peer: Peer) -> dict[str, Any]:
        """All apps, without their variables."""
        return {"apps": [_app(deployment) for _, deployment in sorted(self._state.deployments().items())]}

    async def roster(self, _peer: Peer) -> dict[str, Any]:
        """The roster, after those that lead to it, oldest first; and who came since with a voucher."""
        chain = list(self._state.roster_chain())
        admissions = [
            record.envelope
            for record in self._state.view.records.values()
            if record.head.key.kind == "admission" and not record.is_orphaned
        ]
        return {"envelopes": chain, "admissions": _fitting([*chain, *admissions])[len(chain) :]}

    async def keys(self, _peer: Peer) -> dict[str, Any]:
        """When each key last signed a deployment."""
        uses = await trio.to_thread.run_sync(self._state.last_uses)
        return {"keys": [{"key_id": key_id, "used_at": used_at} for key_id, used_at in sorted(uses.items())]}

    async def alarms(self, _peer: Peer) -> dict[str, Any]:
        """What somebody must look at; the records that prove it stay here."""
        return {
            "alarms": [
                {key: value for key, value in asdict(alarm).items() if key != "proof"} for alarm in self._state.alarms()
            ]
        }

    # --- from new nodes ---

    async def join(self, _peer: Peer, voucher: bytes, certificate: bytes, proof: bytes) -> dict[str, Any]:
        """Let in who has a voucher. What else it must know, it gets as a node."""
        admission = await trio.to_thread.run_sync(
            self._state.admit, voucher, certificate, proof, self._identity, self._clock(), limiter=self._joining
        )
        return {"admission": admission, "rosters": list(self._state.roster_chain())}

    # --- from those that the roster may have no more ---

    async def removed(self, _peer: Peer, certificate: bytes, proof: bytes, version: int) -> dict[str, Any]:
        """The rosters since a version, for who proves that it was in the fleet once."""
        rosters = await trio.to_thread.run_sync(
            self._state.rosters_for, certificate, proof, self._identity.fingerprint, version, limiter=self._joining
        )
        return {"rosters": _fitting(rosters)}


def _app(deployment: Deployment) -> dict[str, Any]:
    return {
        "app": deployment.app,
        "epoch": deployment.epoch,
        "sequence": deployment.sequence,
        "regions": dict(deployment.regions),
        "hosts": list(deployment.hosts),
        "issued": deployment.issued,
        "message": deployment.message,
    }


def _fitting(envelopes: Sequence[bytes]) -> list[bytes]:
    """The first ones that go into one answer."""
    fitting: list[bytes] = []
    size = 0
    for envelope in envelopes:
        size += len(envelope)
        if size > _ANSWER_BYTES_MAX:
            break
        fitting.append(envelope)
    return fitting
