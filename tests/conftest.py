"""What all tests share: the guests, each built the first time that a test asks for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guests import build

GuestPath = Callable[[str], Path]


@pytest.fixture(scope="session")
def guest_path() -> GuestPath:
    """`guest_path("loop")`: the `.wasm` of a guest that tests/guests/README.md lists."""
    return build.path
