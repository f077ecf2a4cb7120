"""What systemctl says, as a record; what it is asked is seen in tests/cli/test_upgrade.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.errors import UpgradeImpossible
from edged.upgrade.unit import UnitState, check_program, parse_state

SHOWN = """MainPID=4711
NRestarts=2
ExecStart={ path=/usr/local/bin/edged ; argv[]=/usr/local/bin/edged node --config /etc/edged/node.toml ; \
ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
LoadState=loaded
ActiveState=active
"""
"""As systemd 252 prints it."""


def test_as_systemd_prints_it() -> None:
    assert parse_state("edged.service", SHOWN) == UnitState("active", 4711, 2, "/usr/local/bin/edged")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("LoadState=loaded", "LoadState=not-found", "no unit edged.service on this machine: not-found"),
        ("LoadState=loaded", "LoadState=masked", "masked"),
        ("LoadState=loaded\n", "", "no unit"),
        ("MainPID=4711", "MainPID=", "something else"),
        ("ActiveState=active\n", "", "something else"),
    ],
)
def test_no_such_unit(old: str, new: str, message: str) -> None:
    assert old in SHOWN
    with pytest.raises(UpgradeImpossible, match=message):
        parse_state("edged.service", SHOWN.replace(old, new))


def test_a_unit_that_runs_something_else() -> None:
    check_program("edged.service", parse_state("edged.service", SHOWN), Path("/usr/local/bin/edged"))
    with pytest.raises(UpgradeImpossible, match="runs /usr/local/bin/edged, and not /opt/edged"):
        check_program("edged.service", parse_state("edged.service", SHOWN), Path("/opt/edged"))
    nothing = parse_state("edged.service", "\n".join(line for line in SHOWN.split("\n") if "ExecStart" not in line))
    with pytest.raises(UpgradeImpossible, match="nothing that could be told"):
        check_program("edged.service", nothing, Path("/usr/local/bin/edged"))
