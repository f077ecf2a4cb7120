"""Check `roster`: a node that begins a fleet waits for the roster that names it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import trio

from edged.doctor.finding import Finding, then
from edged.doctor.subject import Subject
from edged.node.check import ConfigProblem
from edged.node.config import NodeConfig


async def look(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if config is None or not subject.may_see:
        return iter(())
    problems = subject.problems_of("fleet", "fleet.roster")
    is_there = await trio.to_thread.run_sync(os.path.exists, config.fleet.roster or "", abandon_on_cancel=True)
    return judge(problems, config, is_there=is_there, again=subject.again)


def judge(problems: tuple[ConfigProblem, ...], config: NodeConfig, *, is_there: bool, again: str) -> Iterator[Finding]:
    """
    Args:
        problems: of the keys `fleet` and `fleet.roster`.
        is_there: the file that node.toml names is there.
        again: who starts the node then.
    """
    file = config.fleet.roster
    if file is not None and not is_there:
        yield Finding(
            "roster", "problem", f"there is no {file}: this node waits for the fleet to begin", _begin(config, again)
        )
        return
    for problem in problems:
        yield Finding("roster", "problem", problem.text, then(problem.remedy, again))
    if file is not None and not problems:
        yield Finding("roster", "ok", f"the roster {file} is one, and has this node's region")


def _begin(config: NodeConfig, again: str) -> str:
    node, port = config.node, config.fleet.listen.port
    return (
        f"Copy {node.certificate} of this machine to the operator's, and run there, in the fleet's folder:"
        f" `edged fleet add-node {node.name} node.crt --region {node.region} --address HOST:{port}`, where HOST is how"
        f" others reach this machine; `edged fleet sign`; then copy its roster.bin to {config.fleet.roster}. {again}"
    )
