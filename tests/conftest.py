"""What all tests share: guests and servers, each made the first time that a test asks for it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.guests import build
from tests.services import (
    Mosquitto,
    Service,
    SqlServer,
    mariadb_folder,
    mosquitto_server,
    postgres_folder,
    redis_server,
    sqld_server,
)

GuestPath = Callable[[str], Path]

# No test asserts on time, and a machine may be busy.
settings.register_profile("edged", deadline=None)
settings.load_profile("edged")

# Whatever a shell starts in the background ignores Ctrl-C, and so would all commands that tests send one to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """End-to-end tests first: a file of theirs takes minutes, and what is begun last decides when all have ended."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/end_to_end/"))


@pytest.fixture(scope="session")
def guest_path() -> GuestPath:
    """`guest_path("loop")`: the `.wasm` of a guest that tests/guests/README.md lists."""
    return build.path


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A Redis server without a password, for all tests of a run."""
    with redis_server(tmp_path_factory.mktemp("redis")) as service:
        yield service


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """An MQTT broker, for all tests of a run."""
    with mosquitto_server(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


@pytest.fixture(scope="session")
def postgres() -> Iterator[SqlServer]:
    """A PostgreSQL server, for all tests of a run."""
    with postgres_folder() as server, server.start():
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[SqlServer]:
    """A MariaDB server, for all tests of a run."""
    with mariadb_folder() as server, server.start():
        yield server


@pytest.fixture(scope="session")
def sqld(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A libSQL server, for all tests of a run."""
    with sqld_server(tmp_path_factory.mktemp("sqld")) as service:
        yield service
