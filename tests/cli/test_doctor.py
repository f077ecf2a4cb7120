"""`edged doctor`: what a person reads in ten seconds, what a program reads, and the exit status."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from edged.cli.doctor import doctor
from edged.cli.doctor_terminal import print_findings
from edged.doctor.finding import Finding

BROKEN = (
    Finding("disk", "ok", "the disk has room"),
    Finding("clock", "warning", "nothing keeps the clock right", "Run timedatectl."),
    Finding("binary", "problem", "there is no edged here", "Bring it."),
    Finding("start", "note", "it ends (follows from `binary`)"),
    Finding("firewall", "unknown", "only root sees it", "Run it as root."),
)


def lines(findings: Sequence[Finding], *, verbose: bool = False, width: int = 80) -> list[str]:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, color_system=None, width=width, highlight=False, _environ={})
    print_findings(findings, verbose=verbose, console=console)
    return [line.rstrip() for line in written.getvalue().splitlines()]


def test_problems_first_each_with_its_remedy_and_the_rest_in_a_line() -> None:
    assert lines(BROKEN) == [
        "✗ 1 problem",
        "  ✗ binary   there is no edged here",
        "             -> Bring it.",
        "  ! clock    nothing keeps the clock right",
        "             -> Run timedatectl.",
        "  ? firewall only root sees it",
        "             -> Run it as root.",
        "  all else is well: 1 looked at, 1 note (-v shows them)",
    ]


def test_all_of_it() -> None:
    found = lines(BROKEN, verbose=True)
    assert found[-2:] == ["  · start    it ends (follows from `binary`)", "  ✓ disk     the disk has room"]


def test_all_is_well() -> None:
    assert lines(BROKEN[:1] * 3) == ["✓ no problem", "  all else is well: 3 looked at (-v shows them)"]
    assert lines(BROKEN[1:2])[0] == "! no problem, but something to look at"


def test_a_long_line_goes_on_below_its_beginning() -> None:
    found = lines([Finding("config", "problem", "word " * 30, "Correct it.")], width=60)
    assert all(line.startswith("           word") for line in found[2:-1])
    assert max(map(len, found)) <= 60


def test_what_others_wrote_does_not_steer_the_terminal() -> None:
    (_, line) = lines([Finding("metadata", "problem", "\x1b[2Jgone\nnew line")])
    assert line == "  ✗ metadata \\x1b[2Jgone\\nnew line"


def test_exit_status_and_json(tmp_path: Path) -> None:
    result = CliRunner().invoke(doctor, ["--config", str(tmp_path / "node.toml"), "--json"])
    assert result.exit_code == 1
    shape = json.loads(result.output)
    assert shape["problems"] == sum(finding["state"] == "problem" for finding in shape["findings"]) > 0
    assert all(set(finding) == {"check", "state", "message", "remedy"} for finding in shape["findings"])
    result = CliRunner().invoke(doctor, ["--config", str(tmp_path / "node.toml")])
    assert result.exit_code == 1
    assert result.output.startswith(f"✗ {shape['problems']} problem")


_AS_NOBODY = """
import os, pathlib, sys, trio
import edged.cli.doctor
from edged.cli import main
from edged.doctor.doctor import examine
trio.run(examine, pathlib.Path(sys.argv[3]))  # all is imported by that: nobody may not read the checkout
os.setgroups([]); os.setgid(65534); os.setuid(65534)
main()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="being another user takes root")
def test_a_user_who_may_see_nothing() -> None:
    """A node's folder is closed to others: they are told that, and not that all of it is broken."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to others
        os.chmod(folder, 0o755)
        state = Path(folder, "state")
        state.mkdir(mode=0o700)
        file = Path(folder, "node.toml")
        file.write_text(
            '[node]\nname = "n1"\nregion = "eu"\nstate_dir = "state"\n[http]\nlisten = ["127.0.0.1:8080"]\n'
        )
        file.chmod(0o644)
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, "doctor", "--config", str(file), "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stderr == ""
    found = {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert found["config"]["state"] == "unknown"
    assert found["node"]["state"] == "unknown"
    assert found["config"]["remedy"] == "Run `edged doctor` as root."
    assert done.returncode == 0
