"""`edged node` ends when its loop stands still. In processes of their own; `tests/node/test_node.py` has the rest."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

_PROGRAM = """
import time
from functools import partial
from types import SimpleNamespace

import trio

import edged.cli.node as command
from edged.errors import JoinFailed
from registry.errors import ReleaseInvalid

async def hangs(settings, environment):
    await trio.sleep(0.1)
    time.sleep(600)

async def ends(settings, environment):
    await trio.sleep(0.1)

async def fails(settings, environment):
    raise JoinFailed("nobody let it in")

async def fails_elsewhere(settings, environment):
    raise ReleaseInvalid("of no use")

command.load = lambda path: SimpleNamespace(log_level="info")
command.run_deadman = partial(command.run_deadman, 0.5)
command.run_node = {node}
try:
    command.node(["--config", "node.toml"], standalone_mode=False)
except Exception as error:
    print(type(error).__name__)
else:
    time.sleep(1.0)
    print("ended by itself")
"""
run = partial(subprocess.run, capture_output=True, text=True, check=False, timeout=60)


def test_a_supervisor_whose_loop_stands_still_ends_and_says_where(tmp_path: Path) -> None:
    done = run([sys.executable, "-c", _PROGRAM.format(node="hangs")], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "in hangs" in done.stderr


@pytest.mark.parametrize(
    ("node", "said"), [("ends", "ended by itself"), ("fails", "JoinFailed"), ("fails_elsewhere", "ReleaseInvalid")]
)
def test_one_that_ends_in_another_way_ends_as_it_did(node: str, said: str, tmp_path: Path) -> None:
    done = run([sys.executable, "-c", _PROGRAM.format(node=node)], cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{said}\n", "")
