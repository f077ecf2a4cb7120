"""Check `voucher`: what lets this machine into its fleet, and why it did not.

the file ── missing? damaged? ──> Voucher ── expired? ──┐
failure.json of the last try ── refused? nobody there? ─┴─> judge: one finding
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import trio

from edged.doctor.finding import Finding
from edged.doctor.subject import Subject
from edged.errors import EdgedError, FleetFileInvalid, FleetFileMissing, JoinFailed, VoucherInvalid, VoucherUsed
from edged.fleet.voucher import Voucher, open_voucher
from edged.node.config import NodeConfig
from edged.node.failure import Failure
from edged.node.joining import read_voucher
from edged.status.problem import duration


@dataclass(frozen=True, slots=True)
class VoucherFacts:
    """What was found.

    Attributes:
        voucher: None where the file has none, and `error` says why.
        written: when the file was, unix time, s; 0 where that is not known.
        failure: of the node's last start.
    """

    file: Path
    voucher: Voucher | None = field(repr=False)
    error: EdgedError | None = None
    written: float = 0.0
    failure: Failure | None = None


async def look(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if config is None or config.fleet.voucher is None or not subject.may_see:
        return iter(())
    if subject.joined:
        return iter((Finding("voucher", "ok", "this node has joined its fleet: its voucher does not matter any more"),))
    facts = await trio.to_thread.run_sync(_gather, config.fleet.voucher, subject.failure, abandon_on_cancel=True)
    return judge(facts, config, subject.now, again=subject.again)


def judge(facts: VoucherFacts, config: NodeConfig, now: float, *, again: str) -> Iterator[Finding]:
    """Of a node that has not joined yet: the one thing that keeps it from doing so, if any.

    Args:
        again: who starts the node once that is gone.
    """
    file, voucher, another = facts.file, facts.voucher, _another(config, facts, again)
    failure = facts.failure
    if failure is not None and (failure.code != JoinFailed.code or failure.at < facts.written):
        failure = None  # another cause; or another voucher has been put there since
    if isinstance(facts.error, FleetFileMissing):
        yield Finding("voucher", "problem", f"there is no voucher: {facts.error.message}", another)
    elif isinstance(facts.error, VoucherInvalid | FleetFileInvalid):
        yield Finding("voucher", "problem", f"{file} holds no voucher: {facts.error.message}", another)
    elif facts.error is not None:
        yield Finding("voucher", "problem", facts.error.message, f"Run: chown root:edged {file}; chmod 0440 {file}")
    elif failure is not None and f"[{VoucherUsed.code}]" in failure.message:
        yield Finding("voucher", "problem", _STOLEN.format(name=config.node.name), _stolen(config, another))
    elif voucher is not None and voucher.expires < now:
        text = f"the voucher has expired {duration(now - voucher.expires)} ago. A clock that is fast looks the same"
        yield Finding("voucher", "problem", text, another)
    elif failure is not None and f"[{VoucherInvalid.code}]" in failure.message:
        yield Finding("voucher", "problem", f"the fleet refuses the voucher: {_reasons(failure)}", another)
    elif failure is not None:
        text = f"no node of the fleet lets this one in: {_reasons(failure)}"
        yield Finding("voucher", "problem", text, f"{_UNREACHABLE} {again}")
    elif voucher is not None:
        yield Finding("voucher", "ok", f"the voucher is good for another {duration(voucher.expires - now)}")


_STOLEN = (
    "the voucher was used before, with another key: somebody else has joined as {name}, unless this machine was"
    " installed anew with its old voucher"
)

_UNREACHABLE = (
    "Look at what each says: whether edged runs there, whether this machine has a network and reaches them (TCP, the"
    " port that is shown), and whether a firewall is on the way."
)


def _stolen(config: NodeConfig, another: str) -> str:
    return (
        "If it was not this machine, take it as stolen: `edged status` has the alarm `fleet.voucher-used`,"
        f" `edged fleet admissions` shows who came as {config.node.name}. Do not sign that admission (if it is signed:"
        " take the node out of fleet.toml, `edged fleet sign --yes-remove 1`, `edged fleet publish`). Who joins with a"
        f" newer voucher takes the place of whoever joined with this one. {another}"
    )


def _another(config: NodeConfig, facts: VoucherFacts, again: str) -> str:
    """How to come to another voucher."""
    address = facts.voucher.address if facts.voucher is not None else f"HOST:{config.fleet.listen.port}"
    return (
        f"Run `edged fleet voucher {config.node.name} --region {config.node.region} --address {address}` in the fleet's"
        f" folder on the operator's machine, and write what it prints to {facts.file}. {again}"
    )


def _reasons(failure: Failure) -> str:
    """Each seed's, on one line."""
    first, *rest = failure.message.splitlines() or [""]
    return "; ".join(rest) or first


def _gather(file: Path, failure: Failure | None) -> VoucherFacts:
    try:
        envelope = read_voucher(file)
        written = os.stat(file).st_mtime
        return VoucherFacts(file, open_voucher(envelope).voucher, None, written, failure)
    except EdgedError as error:
        return VoucherFacts(file, None, error, failure=failure)
    except OSError:  # it has gone in this moment
        return VoucherFacts(file, None, FleetFileMissing(f"there is no {file}"), failure=failure)
