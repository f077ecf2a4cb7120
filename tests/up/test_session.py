"""Whole sessions on real sockets: serving, swapping and stopping."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from dataclasses import replace as replace_field
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from edged.errors import BuildFailed, ComponentInvalid, HostTaken, ListenError, ManifestError, SourceMissing
from edged.http.listener import ListenOptions
from edged.up.event import (
    Building,
    Changed,
    Listening,
    Loading,
    ReloadFailed,
    Stopped,
    Stopping,
    Swapped,
    Warned,
)
from edged.up.options import UpOptions
from edged.up.trigger import Route
from tests.conftest import GuestPath
from tests.up.apps import MANIFEST, built_app, replace, write_app
from tests.up.running import Running, Upload, free_port, running

ONE_CLIENT_REQUESTS = 20


@pytest.fixture
def options_for(cache_folder: Path) -> Any:
    def make(folder: Path, **given: Any) -> UpOptions:
        return UpOptions(paths=(folder,), cache_folder=cache_folder, build_output=2, **given)

    return make


@pytest.fixture
def hallo(guest_path: GuestPath) -> bytes:
    """`hello` that answers another word."""
    return guest_path("hello").read_bytes().replace(b"hello", b"hallo")


async def test_it_serves(tmp_path: Path, options_for: Any, guest_path: GuestPath) -> None:
    async with running(options_for(write_app(tmp_path, guest_path("hello")))) as it:
        assert await it.get("/any/path") == "hello"
        assert await it.get("/.well-known/spin/health") == "OK"


async def test_it_says_which_routes_there_are(tmp_path: Path, options_for: Any, guest_path: GuestPath) -> None:
    more = '[[trigger.http]]\nroute = "/static"\nstatic_response = { body = "x" }\n'
    more += '[[trigger.http]]\nroute = { private = true }\ncomponent = "hello"\n'
    folder = write_app(tmp_path, guest_path("hello"), MANIFEST.replace("[component", more + "[component", 1))
    port = free_port()
    it = Running()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.start, options_for(folder, listen=ListenOptions("127.0.0.1", port)))
        listening = await it.wait_for(Listening)
        it.stop(signal.SIGTERM)
    url = f"http://127.0.0.1:{port}"
    routes = (
        Route("app", "/...", f"{url}/...", "hello"),
        Route("app", "/static", f"{url}/static", None, None),
        Route("app", None, "http://hello.spin.internal/...", "hello"),
    )
    assert listening == Listening((url,), routes, (), False)


@pytest.mark.parametrize("host", ["::", "0.0.0.0"])
async def test_all_interfaces_are_shown_as_this_machine(
    tmp_path: Path, options_for: Any, guest_path: GuestPath, host: str
) -> None:
    options = options_for(write_app(tmp_path, guest_path("hello")), listen=ListenOptions(host, 0))
    async with running(options, wait=False) as it:
        listening = await it.wait_for(Listening)
        port = listening.urls[0].rpartition(":")[2]
        assert listening.routes[0].url == f"http://localhost:{port}/..."


async def test_a_request_that_comes_before_the_app_is_loaded(
    tmp_path: Path, options_for: Any, guest_path: GuestPath
) -> None:
    folder = built_app(tmp_path / "app", {"hello": guest_path("hello")})
    (folder / "choice").write_text("hello")
    port = free_port()
    text = (folder / "spin.toml").read_text()
    (folder / "spin.toml").write_text(text.replace("cp guests", "cat gate; cp guests"))
    os.mkfifo(folder / "gate")
    options = options_for(folder, build=True, listen=ListenOptions("127.0.0.1", port))
    async with running(options, wait=False) as it, trio.open_nursery() as nursery:
        await it.wait_for(Building)
        it.url = f"http://127.0.0.1:{port}"
        answers: list[str] = []

        async def ask() -> None:
            answers.append(await it.get())

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == []
        await trio.to_thread.run_sync((folder / "gate").write_text, "open\n")
        await it.wait_listening()
        nursery.cancel_scope.deadline = trio.current_time() + 120
    assert answers == ["hello"]


# --- several apps ---


def two_apps(folder: Path, guest_path: GuestPath) -> tuple[Path, Path]:
    first, second = MANIFEST.replace('"app"', '"First App"'), MANIFEST.replace('"app"', '"second"')
    return (
        write_app(folder / "1", guest_path("hello"), first),
        write_app(folder / "2", guest_path("counter"), second),
    )


async def test_several_apps_by_their_names(
    tmp_path: Path, options_for: Any, guest_path: GuestPath, hallo: bytes
) -> None:
    folders = two_apps(tmp_path, guest_path)
    options = replace_field(options_for(folders[0]), paths=folders, watch=True, listen=ListenOptions("127.0.0.1", 0))
    async with running(options, wait=False) as it:
        listening = await it.wait_for(Listening)
        it.url, port = listening.urls[0], listening.urls[0].rpartition(":")[2]
        assert [route.url for route in listening.routes] == [
            f"http://first-app.localhost:{port}/...",
            f"http://second.localhost:{port}/...",
        ]
        assert await it.get(host="first-app.localhost") == "hello"
        assert await it.get(host="second.localhost") == "1"
        assert await it.get() == "hello"
        replace(folders[0] / "app.wasm", hallo)
        assert (await it.wait_for(Swapped)).app == "First App"
        assert await it.get() == "hallo"
        assert await it.get(host="second.localhost") == "1"


async def test_several_apps_keep_their_state_apart(tmp_path: Path, options_for: Any, guest_path: GuestPath) -> None:
    grant = '\nkey_value_stores = ["default"]'
    folders = [
        write_app(tmp_path / name, guest_path("key-value"), MANIFEST.replace('"app"', f'"{name}"') + grant)
        for name in "ab"
    ]
    options = replace_field(options_for(folders[0]), paths=tuple(folders), state_folder=tmp_path / "state")
    async with running(options) as it:
        assert await it.get(host="b.localhost") == "1"
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["a", "b"]


async def test_two_apps_of_one_name(tmp_path: Path, options_for: Any, guest_path: GuestPath) -> None:
    folders = tuple(write_app(tmp_path / name, guest_path("hello")) for name in "ab")
    with pytest.raises(HostTaken, match=r"app\.localhost"):
        await Running().start(replace_field(options_for(folders[0]), paths=folders))


# --- swapping ---


async def test_a_swap_under_load_loses_no_request(
    tmp_path: Path, options_for: Any, guest_path: GuestPath, hallo: bytes
) -> None:
    folder = write_app(tmp_path, guest_path("hello"))
    versions = {b"hello": guest_path("hello").read_bytes(), b"hallo": hallo}
    answers: list[tuple[int, bytes]] = []
    stop = False

    async def load(url: str) -> None:
        async with httpx.AsyncClient() as client:
            while not stop:
                response = await client.get(url)
                answers.append((response.status_code, response.content))

    async with running(options_for(folder, watch=True)) as it, trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(load, it.url)
        for word in (b"hallo", b"hello", b"hallo"):
            replace(folder / "app.wasm", versions[word])
            await it.wait_for(Swapped)
            before = len(answers)
            while len(answers) < before + ONE_CLIENT_REQUESTS:
                await trio.lowlevel.checkpoint()
            # Four were under way at the swap, and may still have met the app from before.
            assert {answer for _, answer in answers[before + 4 :]} == {word}
        stop = True
    assert {status for status, _ in answers} == {200}
    assert {answer for _, answer in answers} == {b"hello", b"hallo"}


async def test_a_request_under_way_is_ended_by_the_app_it_began_with(
    tmp_path: Path, options_for: Any, guest_path: GuestPath
) -> None:
    folder = write_app(tmp_path, guest_path("upload"))
    async with running(options_for(folder, watch=True)) as it, Upload.begin(it.url, 6) as upload:
        await upload.send(b"abc")
        replace(folder / "app.wasm", guest_path("hello").read_bytes())
        await it.wait_for(Swapped)
        assert await it.get() == "hello"
        await upload.send(b"def")
        assert (await upload.response()).endswith(b"\r\n\r\n6")


async def test_a_failed_build_keeps_the_old_app(tmp_path: Path, options_for: Any, guest_path: GuestPath) -> None:
    folder = built_app(tmp_path / "app", {name: guest_path(name) for name in ("hello", "counter")})
    (folder / "choice").write_text("hello")
    async with running(options_for(folder, build=True, watch=True)) as it:
        (folder / "choice").write_text("absent")
        assert (await it.wait_for(Changed)).paths == ("choice",)
        assert isinstance((await it.wait_for(ReloadFailed)).error, BuildFailed)
        assert await it.get() == "hello"
        (folder / "choice").write_text("counter")
        await it.wait_for(Swapped)
        assert await it.get() == "1"


async def test_a_broken_manifest_or_component_keeps_the_old_app(
    tmp_path: Path, options_for: Any, guest_path: GuestPath, hallo: bytes
) -> None:
    folder = write_app(tmp_path, guest_path("hello"))
    async with running(options_for(folder, watch=True)) as it:
        replace(folder / "app.wasm", hallo[:1000])
        assert isinstance((await it.wait_for(ReloadFailed)).error, ComponentInvalid)
        (folder / "spin.toml").write_text("nonsense")
        assert isinstance((await it.wait_for(ReloadFailed)).error, ManifestError)
        (folder / "app.wasm").unlink()
        assert isinstance((await it.wait_for(ReloadFailed)).error, ManifestError)
        (folder / "spin.toml").write_text(MANIFEST)
        assert isinstance((await it.wait_for(ReloadFailed)).error, SourceMissing)
        assert await it.get() == "hello"
        replace(folder / "app.wasm", hallo)
        await it.wait_for(Swapped)
        assert await it.get() == "hallo"


async def test_routes_change_with_a_swap(tmp_path: Path, options_for: Any, guest_path: GuestPath) -> None:
    folder = write_app(tmp_path, guest_path("hello"))
    async with running(options_for(folder, watch=True)) as it:
        (folder / "spin.toml").write_text(MANIFEST.replace("/...", "/only"))
        swapped = await it.wait_for(Swapped)
        assert [route.route for route in swapped.routes] == ["/only"]
        assert await it.get("/only") == "hello"


async def test_when_folders_cannot_be_watched_it_serves_all_the_same(
    tmp_path: Path, options_for: Any, guest_path: GuestPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("OS file watch limit reached.")

    monkeypatch.setattr("watchfiles._rust_notify.RustNotify", refuse)
    async with running(options_for(write_app(tmp_path, guest_path("hello")), watch=True)) as it:
        assert "watch limit" in (await it.wait_for(Warned)).message
        assert await it.get() == "hello"


# --- without HTTP ---

CRON = """spin_manifest_version = 2
[application]
name = "app"
[[trigger.cron]]
cron_expression = "0 0 0 1 1 *"
component = "clock"
[component.clock]
source = "clock.wasm"
"""


async def test_an_app_without_http_listens_nowhere(tmp_path: Path, options_for: Any, guest_path: GuestPath) -> None:
    (tmp_path / "spin.toml").write_text(CRON)
    shutil.copy(guest_path("cron"), tmp_path / "clock.wasm")
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listeners[0]:
        taken = ListenOptions("127.0.0.1", listeners[0].socket.getsockname()[1])
        async with running(options_for(tmp_path, listen=taken), wait=False) as it:
            listening = await it.wait_for(Listening)
            assert (listening.urls, listening.routes) == ((), ())
            assert [trigger.type for trigger in listening.triggers] == ["cron"]
            it.stop()
            assert (await it.wait_for(Stopping)).requests_active == 0
            assert (await it.wait_for(Stopped)).requests_served == 0


async def test_it_listens_once_an_app_has_http(tmp_path: Path, options_for: Any, guest_path: GuestPath) -> None:
    folder = write_app(tmp_path, guest_path("hello"), CRON)
    shutil.copy(guest_path("cron"), tmp_path / "clock.wasm")
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    options = options_for(folder, watch=True, listen=ListenOptions("127.0.0.1", port))
    async with running(options, wait=False) as it:
        await it.wait_for(Listening)
        async with listeners[0]:
            (folder / "spin.toml").write_text(MANIFEST)
            assert isinstance((await it.wait_for(ReloadFailed)).error, ListenError)
        (folder / "spin.toml").write_text(MANIFEST.replace("/...", "/only"))
        swapped = await it.wait_for(Swapped)
        it.url = f"http://127.0.0.1:{port}"
        assert [route.url for route in swapped.routes] == [f"{it.url}/only"]
        assert await it.get("/only") == "hello"


# --- failing and stopping ---


async def test_an_error_of_the_first_load_ends_it_as_itself(tmp_path: Path, options_for: Any) -> None:
    (tmp_path / "spin.toml").write_text(MANIFEST)
    with pytest.raises(SourceMissing):
        await Running().start(options_for(tmp_path))


async def test_an_address_that_is_taken_ends_it_before_anything_is_loaded(tmp_path: Path, options_for: Any) -> None:
    (tmp_path / "spin.toml").write_text(MANIFEST)
    listener = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener[0]:
        port = listener[0].socket.getsockname()[1]
        it = Running()
        with pytest.raises(ListenError):
            await it.start(options_for(tmp_path, listen=ListenOptions("127.0.0.1", port)))
        with pytest.raises(AssertionError, match="ended without Loading"):
            await it.wait_for(Loading)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_lets_requests_end(
    tmp_path: Path, options_for: Any, guest_path: GuestPath, number: signal.Signals
) -> None:
    options = options_for(write_app(tmp_path, guest_path("upload")), watch=True)
    async with running(options) as it, Upload.begin(it.url, 3) as upload:
        await upload.send(b"a")
        await wait_accepted(it)
        it.stop(number)
        assert (await it.wait_for(Stopping)).requests_active == 1
        with pytest.raises(OSError, match="all attempts to connect"):
            await connect_until_refused(it.url)
        await upload.send(b"bc")
        assert (await upload.response()).endswith(b"\r\n\r\n3")
        assert (await it.wait_for(Stopped)).requests_served == 2


async def test_the_second_signal_cuts_requests(tmp_path: Path, options_for: Any, guest_path: GuestPath) -> None:
    options = options_for(write_app(tmp_path, guest_path("upload")))
    async with running(options) as it, Upload.begin(it.url, 3) as upload:
        await wait_accepted(it)
        it.stop()
        await it.wait_for(Stopping)
        it.stop()
        await it.wait_for(Stopped)
        with suppress(trio.BrokenResourceError):  # a reset says it as well
            assert await upload.response() == b""


async def test_a_signal_during_the_first_load_ends_it(tmp_path: Path, options_for: Any, guest_path: GuestPath) -> None:
    text = MANIFEST + '[component.hello.build]\ncommand = "cat never"\n'
    folder = write_app(tmp_path, guest_path("hello"), text)
    os.mkfifo(folder / "never")
    async with running(options_for(folder, build=True), wait=False) as it:
        await it.wait_for(Building)
        it.stop()
        await it.wait_for(Stopped)


async def wait_accepted(it: Running) -> None:
    """Return when a request that was sent before is under way: one of another connection comes after it."""
    async with httpx.AsyncClient() as client:
        await client.post(it.url, content=b"x")


async def connect_until_refused(url: str) -> None:
    """The listener closes its sockets in a task of its own, so that a connection may still get in."""
    host, _, port = url.removeprefix("http://").partition(":")
    while True:
        stream = await trio.open_tcp_stream(host, int(port))
        await stream.aclose()
