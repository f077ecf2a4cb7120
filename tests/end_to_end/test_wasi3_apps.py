"""Guests of every age in one app, which call each other, and in a fleet, which moves them like any other app."""

from __future__ import annotations

import json
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import GuestPath
from tests.end_to_end.conftest import CACHE
from tests.end_to_end.server import Server, edged_up
from tests.fleets import Fleet, app_folder
from tests.guests import wat

ROUTES = {
    "/...": "spin1",
    "/echo/...": "echo3",
    "/hello3.spin.internal/...": "fetch",  # which sends what its path says
    "/proxy/...": "proxy3",
}
GUESTS = [*ROUTES.values(), "echo", "hello3", "streaming-c-module"]
ROUNDS = 20
"""More than one instance serves at once."""


def manifest() -> str:
    text = 'spin_manifest_version = 2\n[application]\nname = "ages"\n'
    for route, component in ROUTES.items():
        text += f'[[trigger.http]]\nroute = "{route}"\ncomponent = "{component}"\n'
    for guest in GUESTS:
        if guest not in ROUTES.values():
            text += f'[[trigger.http]]\nroute = {{ private = true }}\ncomponent = "{guest}"\n'
        text += f'[component.{guest}]\nsource = "{guest}.wasm"\n'
        text += 'allowed_outbound_hosts = ["http://*.spin.internal", "http://self"]\n'
    return text


@pytest.fixture(scope="module")
def ages(guest_path: GuestPath, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ages")
    for guest in GUESTS:
        shutil.copy(guest_path(guest), folder / f"{guest}.wasm")
    (folder / "spin.toml").write_text(manifest())
    with edged_up(folder, "--cache-dir", str(CACHE)) as server:
        yield server


@pytest.mark.parametrize(
    ("path", "url", "answer"),
    [
        ("/proxy/", "http://echo.spin.internal/", "a body"),
        ("/proxy/", "http://echo3.spin.internal/", "a body"),
        ("/proxy/", "http://streaming-c-module.spin.internal/echo", "a body"),
        ("/proxy/", "http://self/echo/", "a body"),
        ("/proxy/", "http://self/hello3.spin.internal/", "hello"),
        ("/fetch", "http://echo3.spin.internal/", "a body"),
        ("/fetch", "http://self/echo/", "a body"),
        ("/hello3.spin.internal/", "", "hello"),
    ],
    ids=[
        "0.3 calls 0.2",
        "0.3 calls 0.3",
        "0.3 calls a core module",
        "0.3 calls a route",
        "0.3 calls 0.2 calls 0.3",
        "a core module calls 0.3",
        "a core module calls a route",
        "0.2 calls 0.3",
    ],
)
def test_guests_of_every_age_call_each_other(ages: Server, path: str, url: str, answer: str) -> None:
    with httpx.Client(timeout=60) as client:
        answers = [client.post(ages.url + path, headers={"url": url}, content="a body") for _ in range(ROUNDS)]
    assert {each.status_code for each in answers} == {200}
    assert all(each.text.endswith(answer) for each in answers)


def test_a_guest_that_traps_takes_its_instance_and_no_more(ages: Server) -> None:
    """`proxy3` has no URL to go to when it calls itself, and traps: in the instance that its caller is in."""
    with httpx.Client(timeout=60) as client:
        trapped = client.get(f"{ages.url}/proxy/", headers={"url": "http://proxy3.spin.internal/"})
        assert (trapped.status_code, trapped.json()["code"]) == (500, "guest.trap")
        after = client.post(f"{ages.url}/proxy/", headers={"url": "http://echo3.spin.internal/"}, content="a body")
    assert (after.status_code, after.text) == (200, "a body")


# --- a stream under way ---


class Stream:
    """A request to `echo3` whose body comes piece by piece."""

    def __init__(self, connection: socket.socket, host: str, path: str) -> None:
        self._connection = connection
        self._answer = b""
        head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())

    def send(self, piece: bytes) -> None:
        """Send a piece; an empty one is the end."""
        self._connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))

    def wait_for(self, piece: bytes) -> None:
        """Until it has come back."""
        while piece not in self._answer:
            received = self._connection.recv(65536)
            assert received, self._answer
            self._answer += received


@contextmanager
def streaming(address: tuple[str, int], host: str, path: str) -> Iterator[Stream]:
    with socket.create_connection(address, timeout=60) as connection:
        yield Stream(connection, host, path)


def test_a_stream_goes_on_through_a_reload(guest_path: GuestPath, tmp_path: Path) -> None:
    shutil.copy(guest_path("echo3"), tmp_path / "guest.wasm")
    (tmp_path / "spin.toml").write_text(
        'spin_manifest_version = 2\n[application]\nname = "one"\n'
        '[[trigger.http]]\nroute = "/..."\ncomponent = "guest"\n[component.guest]\nsource = "guest.wasm"\n'
    )
    with edged_up(tmp_path, "--cache-dir", str(CACHE), "--watch") as server:
        url = httpx.URL(server.url)
        with streaming((url.host, url.port or 80), "one", "/") as stream:
            stream.send(b"before")
            stream.wait_for(b"before")
            shutil.copy(guest_path("hello3"), tmp_path / "guest.wasm")
            assert server.process.stdout is not None
            assert any(json.loads(line)["event"] == "swapped" for line in server.process.stdout)
            assert httpx.get(server.url, timeout=60).text == "hello"
            stream.send(b"after")
            stream.wait_for(b"after")
            stream.send(b"")
            stream.wait_for(b"\r\n0\r\n\r\n")
        server.process.terminate()
        said = [json.loads(line) for line in server.process.stdout]
        assert [each["event"] for each in said] == ["stopping", "stopped"]
        assert (said[0]["requests_active"], said[1]["requests_served"]) == (0, 2)
        assert server.process.wait() == 0


# --- in a fleet ---


def counts(fleet: Fleet, app: str) -> set[bytes]:
    """What `counter3` answers, by turns of all workers of all nodes."""
    host = f"{app}.edged.localhost"
    answers = {node.get(host=host) for node in fleet.nodes.values() for _ in range(6)}
    assert {status for status, _ in answers} == {200}
    return {body for _, body in answers}


def test_reuse_of_instances_is_a_limit_that_travels_with_a_release(fleet: Fleet, tmp_path: Path) -> None:
    app = app_folder(tmp_path, "counting", wat.text("counter3"), edged_table="limits = { instance_requests = 1 }")
    assert fleet.push(app).last["regions"] == {"eu": "live", "us": "live", "ap": "live"}
    assert counts(fleet, "counting") == {b"1"}
    fleet.push(app, "--limit", "instance_requests_max=1000")
    assert counts(fleet, "counting") >= {b"1", b"2", b"3"}
    fleet.run("rollback", "counting", "1", "--yes", "--json")
    assert counts(fleet, "counting") == {b"1"}


def test_a_core_module_in_a_fleet(fleet: Fleet, guest_path: GuestPath, tmp_path: Path) -> None:
    app = app_folder(tmp_path, "aged", "")
    shutil.copy(guest_path("spin1"), tmp_path / "guest.wasm")
    (app / "spin.toml").write_text((app / "spin.toml").read_text().replace("guest.wat", "guest.wasm"))
    assert fleet.push(app).last["regions"] == {"eu": "live", "us": "live", "ap": "live"}
    answers = {node.get("/status/418", host="aged.edged.localhost")[0] for node in fleet.nodes.values()}
    assert answers == {418}


def test_a_stream_ends_well_before_its_node_does(fleet: Fleet, tmp_path: Path) -> None:
    fleet.push(app_folder(tmp_path, "lasting", wat.text("echo3"), edged_table='regions = ["ap"]'))
    node = fleet["ap-1"]
    with streaming((node.host, 8080), "lasting.edged.localhost", "/") as stream:
        stream.send(b"before")
        stream.wait_for(b"before")
        mark = node.mark()
        assert node.process is not None
        node.process.send_signal(signal.SIGTERM)
        node.wait_for(lambda event: event.get("event") == "node.stopping", since=mark)
        stream.send(b"after")
        stream.wait_for(b"after")
        stream.send(b"")
        stream.wait_for(b"\r\n0\r\n\r\n")
    assert node.process.wait(60) == 0
    assert node.stop() == 0
    node.start()
    fleet.wait_status(lambda status: all(each["state"] == "up" for each in status["nodes"]))
