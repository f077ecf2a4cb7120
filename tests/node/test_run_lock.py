"""One process at a time has a state folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.errors import NodeRuns, StateFolderError
from edged.node.run_lock import alone_in


def test_one_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with alone_in(folder):
        with pytest.raises(NodeRuns), alone_in(folder):
            pass
        assert (folder / "lock").stat().st_mode & 0o777 == 0o600
    with alone_in(folder):
        pass  # whoever had it has let go


def test_it_ends_with_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), alone_in(tmp_path):
        raise ZeroDivisionError
    with alone_in(tmp_path):
        pass


def test_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateFolderError), alone_in(tmp_path / "file"):
        pass
    (tmp_path / "lock").symlink_to(tmp_path / "file")
    with pytest.raises(StateFolderError), alone_in(tmp_path):
        pass
