from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edged.worker.worker import Worker, open_worker


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests, so that each guest is compiled once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
async def worker(cache_folder: Path) -> AsyncIterator[Worker]:
    async with open_worker(cache_folder) as worker:
        yield worker
