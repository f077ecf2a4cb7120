"""Which edged this is."""

from __future__ import annotations

from pathlib import Path

VERSION = "0.1.0"  # pyproject.toml says the same, which a test looks at; asking importlib.metadata takes 20 ms


def _commit() -> str:
    """What `make binary` puts beside this module. A checkout has changes of its own, and says no commit."""
    try:
        return Path(__file__).with_name("commit").read_text("ascii").strip()
    except FileNotFoundError:
        return ""


COMMIT = _commit()
"""The git commit it was built from, 12 hex digits; empty in a checkout, or where there were changes to the commit."""


def full() -> str:
    """`0.1.0 (commit 0123456789ab)`, or `0.1.0`."""
    return f"{VERSION} (commit {COMMIT})" if COMMIT else VERSION
