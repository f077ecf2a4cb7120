"""Check `identity`: whether the node has its key and certificate, and for how long they are good."""

from __future__ import annotations

import os
from collections.abc import Iterator

import trio

from edged.doctor.finding import Finding, then
from edged.doctor.subject import Subject
from edged.errors import EdgedError
from edged.fleet.certificate import days_left, read_certificate
from edged.limits import CERTIFICATE_DAYS_WARNED
from edged.node.check import ConfigProblem
from edged.node.config import NodeConfig


async def look(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if config is None or not subject.may_see:  # the check `config` says so
        return iter(())
    certificate = await trio.to_thread.run_sync(_certificate, config, abandon_on_cancel=True)
    days = None if certificate is None else days_left(certificate, subject.now)
    is_made_by_unit = subject.is_provisioned and not any(
        map(os.path.exists, (config.node.key, config.node.certificate))
    )
    return judge(
        subject.problems_of("node.identity"), days, config, is_made_by_unit=is_made_by_unit, again=subject.again
    )


def judge(
    problems: tuple[ConfigProblem, ...], days: float | None, config: NodeConfig, *, is_made_by_unit: bool, again: str
) -> Iterator[Finding]:
    """
    Args:
        problems: of the key `node.identity`.
        days: that the certificate is still good; None: it cannot be read.
        is_made_by_unit: there is neither key nor certificate, and the unit will make them.
        again: who starts the node then.
    """
    if is_made_by_unit:
        yield Finding("identity", "note", "this node has no key yet: the unit makes it at its first start")
        return
    for problem in problems:
        yield Finding("identity", "problem", problem.text, then(problem.remedy, again))
    if problems or days is None:
        return
    name, file = config.node.name, config.node.certificate
    renew = (
        f"Move {config.node.key} and {file} away, run `edged node init --config {config.file}` as the node's user, give"
        f" the new certificate to the fleet (`edged fleet add-node {name} CERTIFICATE --region {config.node.region}"
        " --address HOST:PORT`, `edged fleet sign`, `edged fleet publish`), then restart the node."
    )
    if days < 0:
        text = f"the certificate of {name} has expired {-days:.0f} days ago: no other node talks to it"
        yield Finding("identity", "problem", f"{text}. A wrong clock looks the same", renew)
    elif days < CERTIFICATE_DAYS_WARNED:
        yield Finding("identity", "warning", f"the certificate of {name} expires in {days:.0f} days", renew)
    else:
        yield Finding("identity", "ok", f"the certificate of {name} is good for {days:.0f} days")


def _certificate(config: NodeConfig) -> bytes | None:
    try:
        return read_certificate(config.node.certificate)
    except EdgedError:
        return None  # `edged check` has said why
