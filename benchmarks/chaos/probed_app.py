"""Apps that are probed before they are swapped in, so that nodes can be killed meanwhile."""

from __future__ import annotations

from pathlib import Path

from tests.fleets import app_folder

PROBE = "/"


def probed_app(folder: Path, name: str, guest: str, *, files: str = "") -> Path:
    """As `app_folder`."""
    return app_folder(folder, name, guest, edged_table=f'probe = "{PROBE}"', files=files)
