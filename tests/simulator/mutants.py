"""Production code, broken on purpose, to see whether the simulator finds it: `python -m tests.simulator --mutant NAME`.

Each is a mistake that somebody could make, or that a tired hand could merge. They are made in the simulator's own
process, for the time of a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bgp import gate
from bgp.prefix import parse_prefix
from edged.anycast import anycast, targets
from edged.errors import EdgedError, RecordConflict, RecordStale
from edged.fleet import checks, state
from edged.fleet.gossip import Gossip
from edged.fleet.node_calls import NodeCalls
from edged.fleet.rollout import Rollout
from edged.fleet.store import RecordStore
from edged.node import fleet_part
from edged.node.app_rollout import AppRollout
from edged.node.membership import Membership
from tests.simulator.memory_disk import MemoryDisk

Patch = tuple[object, str, Any]
"""Whose attribute is another one meanwhile."""


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """For the time of the `with`, the code has this mistake."""
    former = [(owner, attribute, getattr(owner, attribute)) for owner, attribute, _ in MUTANTS[name]]
    for owner, attribute, value in MUTANTS[name]:
        setattr(owner, attribute, value)
    try:
        yield
    finally:
        for owner, attribute, value in former:
            setattr(owner, attribute, value)


def _save_nothing(_store: RecordStore, _record: object) -> None:
    """A record counts, and is on no disk."""


_sync = MemoryDisk.sync


def _sync_no_files(disk: MemoryDisk, path: Path) -> None:
    """As if all stores had forgotten to make files durable before they rename them."""
    if disk.is_folder(path):
        _sync(disk, path)


def _sync_no_folders(disk: MemoryDisk, path: Path) -> None:
    """As if all stores had forgotten that a rename is not durable by itself."""
    if not disk.is_folder(path):
        _sync(disk, path)


_check_order = checks.check_order


def _take_what_is_old(view: Any, candidate: Any, highest: Any) -> None:
    try:
        _check_order(view, candidate, highest)
    except RecordStale:
        return


def _take_either_of_two(view: Any, candidate: Any, highest: Any) -> None:
    try:
        _check_order(view, candidate, highest)
    except checks.AlarmDue as due:
        if not isinstance(due.error, RecordConflict):
            raise


_check_signer = checks.check_signer


def _believe_anybody(view: Any, candidate: Any) -> checks.Signer:
    try:
        return _check_signer(view, candidate)
    except EdgedError:
        return checks.Signer(b"\0" * 32, "anybody")


async def _place_before_it_is_saved(rollout: AppRollout, plan: Any) -> bool:
    rollout._on_disk = plan.saved
    return True


def _leave_when_alone(membership: Membership) -> str:
    """What took a whole network off the internet in 2021: who does not hear the others announces nothing."""
    return "" if any(link.is_open for link in membership._links.states()) else "nobody else is heard of"


def _announce_all(table: Any, allowed: Any) -> targets.Wanted:
    """Whatever the table has addresses for, whether or not the roster has it."""
    found = targets.wanted_prefixes(table, allowed)
    return targets.Wanted(found.prefixes | {parse_prefix("198.51.100.0/24")}, ())


async def _compare_nothing(_gossip: Gossip, _link: object) -> None:
    """Only what is told at once gets around."""


async def _acknowledge_first(_calls: NodeCalls, _peer: object, envelope: bytes) -> dict[str, Any]:
    """The answer comes before the record is looked at."""
    return {"outcome": "accepted"}


def _forget_what_failed(rollout: Rollout, _code: str, _message: str) -> None:
    """What is taken back is not remembered, so that it is tried again, and again."""
    rollout._live = rollout._previous
    rollout._end_watch()


def _rules_without_a_fall() -> Any:
    """A prefix stays announced whatever the workers answer."""
    stays = dict(gate._RULES)
    stays["suspect"] = ((gate.Gate._cleared, None),)
    return stays


def _no_removal_held(_records: object) -> dict[str, str]:
    """However many apps were removed together, and whatever count that was signed with."""
    return {}


MUTANTS: Mapping[str, tuple[Patch, ...]] = {
    "save-nothing": ((RecordStore, "save", _save_nothing),),
    "sync-no-files": ((MemoryDisk, "sync", _sync_no_files),),
    "sync-no-folders": ((MemoryDisk, "sync", _sync_no_folders),),
    "take-what-is-old": ((state, "check_order", _take_what_is_old),),
    "take-either-of-two": ((state, "check_order", _take_either_of_two),),
    "believe-anybody": ((state, "check_signer", _believe_anybody),),
    "place-before-saved": ((AppRollout, "_save", _place_before_it_is_saved),),
    "leave-when-alone": ((Membership, "expelled", _leave_when_alone),),
    "announce-all": ((anycast, "wanted_prefixes", _announce_all),),
    "never-fall": ((gate, "_RULES", _rules_without_a_fall()),),
    "compare-nothing": ((Gossip, "compare_with", _compare_nothing),),
    "acknowledge-first": ((NodeCalls, "put_record", _acknowledge_first),),
    "remove-uncounted": ((fleet_part, "removals_held", _no_removal_held),),
    "forget-what-failed": ((Rollout, "_revert", _forget_what_failed),),
}
"""By name."""
