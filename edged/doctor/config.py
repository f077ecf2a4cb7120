"""Check `config`: whether the node could start with its node.toml. As `edged check`, but for what other checks explain.

A key whose problem has a check of its own is left to that: `edged check` says what is wrong with the file of a voucher,
and the check `voucher` what became of the voucher.
"""

from __future__ import annotations

from collections.abc import Iterator

from edged.doctor.finding import Finding, then
from edged.doctor.subject import Subject
from edged.errors import NodeConfigMissing

ELSEWHERE = frozenset({"node.state_dir", "node.identity", "fleet", "fleet.voucher", "fleet.roster"})
"""Keys that other checks speak of."""


async def look(subject: Subject) -> Iterator[Finding]:
    return judge(subject)


def judge(subject: Subject) -> Iterator[Finding]:
    """One finding for each key that is wrong."""
    error = subject.config_error
    if error is not None:
        remedy = f"Correct it, then run `edged check --config {subject.config_file}`. {subject.again}"
        if isinstance(error, NodeConfigMissing):
            remedy = f"Put it there, or name it with --config; docs/node.md has every key. {subject.again}"
        for line in error.message.splitlines():
            yield Finding("config", "problem", line, remedy)
        return
    if not subject.may_see:
        text = (
            f"{subject.config_file} is right by itself; the files that it names are only for root and the node to see"
        )
        yield Finding("config", "unknown", text, "Run `edged doctor` as root.")
        return
    problems = [problem for problem in subject.config_problems if problem.key not in ELSEWHERE]
    for problem in problems:
        text = f"{subject.config_file}:{problem.line}: `{problem.key}`: {problem.text}"
        yield Finding("config", "problem", text, then(problem.remedy, subject.again))
    if not problems:
        yield Finding("config", "ok", f"{subject.config_file} is right")
