from __future__ import annotations

import os
import stat
from pathlib import Path

import httpx
import pytest

from edged.admin.api import Source
from edged.admin.serve import open_admin
from edged.errors import ListenError
from edged.status.view import StatusView


def source(status: StatusView) -> Source:
    return Source(lambda: status, lambda: "")


async def get(path: Path, url: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=os.fspath(path))) as client:
        return await client.request(method, f"http://node{url}")


async def test_it_answers_on_a_socket_that_others_cannot_open(tmp_path: Path, well: StatusView) -> None:
    path = tmp_path / "run" / "admin.sock"
    async with open_admin(source(well), str(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert (await get(path, "/v1/status")).json()["answered_by"] == "ams1"
        head = await get(path, "/", "HEAD")
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 1000
        assert "default-src 'none'" in head.headers["content-security-policy"]
    assert not path.exists()


async def test_a_socket_left_behind_is_replaced_one_in_use_is_not(tmp_path: Path, well: StatusView) -> None:
    path = tmp_path / "admin.sock"
    async with open_admin(source(well), str(path)):
        with pytest.raises(ListenError, match="another node listens"):
            async with open_admin(source(well), str(path)):
                raise AssertionError("two of them")
        os.link(path, tmp_path / "left")
    os.rename(tmp_path / "left", path)
    async with open_admin(source(well), str(path)):
        assert (await get(path, "/healthz")).text == "ok\n"


async def test_a_file_in_the_way_is_left_alone(tmp_path: Path, well: StatusView) -> None:
    path = tmp_path / "admin.sock"
    path.write_text("precious")
    with pytest.raises(ListenError, match="in the way"):
        async with open_admin(source(well), str(path)):
            raise AssertionError("it listens")
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("folder", "said"), [("s" * 120, "shorter state folder"), ("a-file", "who owns its folder")], ids=["long", "a file"]
)
async def test_a_socket_that_cannot_be_made(tmp_path: Path, well: StatusView, folder: str, said: str) -> None:
    (tmp_path / "a-file").touch()
    with pytest.raises(ListenError) as error:
        async with open_admin(source(well), str(tmp_path / folder / "admin.sock")):
            raise AssertionError("it listens")
    assert said in error.value.remedy


async def test_a_port_that_is_taken_is_said(well: StatusView) -> None:
    with pytest.raises(ListenError):
        async with open_admin(source(well), "192.0.2.1:1"):
            raise AssertionError("it listens")
