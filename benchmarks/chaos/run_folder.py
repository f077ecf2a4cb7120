"""Where the files of a run are: in a folder that is kept, or in one that goes with it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def run_folder(kept: Path | None) -> Iterator[Path]:
    """
    Args:
        kept: made here, and left as it is; None for one that is removed.
    """
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="edged-chaos-") as name:
        yield Path(name)
