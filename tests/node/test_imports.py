"""What a node has to import before it starts its workers, which delays its first answer."""

from __future__ import annotations

import subprocess
import sys

import pytest

_GUESTS = {"edged.app", "edged.host", "edged.triggers", "edged.wasm", "edged.worker.worker", "wasmtime"}
"""What runs guests: a third of all there is to import."""


@pytest.mark.parametrize(("command", "needed"), [("node", set()), ("worker", _GUESTS)])
def test_only_workers_import_what_runs_guests(command: str, needed: set[str]) -> None:
    assert _GUESTS & imported(f"edged.cli.{command}") == needed


def imported(module: str) -> set[str]:
    """Names of all modules of a process that imported this one."""
    code = f"import sys, {module}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())
