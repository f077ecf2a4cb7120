"""Asking the node's admin API: the real one, on a unix socket and on a port."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from edged.admin.api import Source
from edged.admin.serve import open_admin
from edged.status.view import StatusView
from edged.upgrade.admin import Admin
from edged.upgrade.serving import Serving, serving
from tests.upgrade.views import view

VIEW = view(apps={"shop": ("live", 7)}, sessions={"ams": "established"})


def source(status: Callable[[], StatusView] = lambda: VIEW) -> Source:
    return Source(status, lambda: "")


def free_port() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


@pytest.fixture(params=["socket", "port"])
def bind(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "admin.sock") if request.param == "socket" else free_port()


async def test_what_it_serves(bind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:1")  # nobody's business
    async with open_admin(source(), bind):
        assert await Admin(bind).look() == serving(VIEW)


async def test_nobody_is_there(bind: str) -> None:
    found = await Admin(bind).look()
    assert isinstance(found, str)
    assert found.startswith("the node does not answer: ")


@pytest.mark.parametrize("over", [0, 1])
async def test_as_long_as_it_may_be(bind: str, monkeypatch: pytest.MonkeyPatch, over: int) -> None:
    async with open_admin(source(), bind):
        transport = httpx.AsyncHTTPTransport(uds=bind) if "/" in bind else None
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            host = "localhost" if "/" in bind else bind
            length = len((await client.get(f"http://{host}/v1/status")).content)
        monkeypatch.setattr("edged.upgrade.admin.UPGRADE_STATUS_BYTES_MAX", length - over)
        found = await Admin(bind).look()
    assert isinstance(found, str if over else Serving)


@pytest.mark.parametrize("body", [b"", b"[", b"{}", b'{"format": 2}', b"[" * 100_000, b"\xff"], ids=repr)
async def test_what_is_no_status(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    async def said(_self: Admin, _path: str) -> bytes:
        return body

    monkeypatch.setattr(Admin, "_get", said)
    assert isinstance(await Admin("127.0.0.1:1").look(), str)
