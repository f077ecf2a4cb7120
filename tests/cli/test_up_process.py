"""`edged up` as a process of its own, as a shell starts it."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trustme

from tests.conftest import GuestPath
from tests.edged_command import edged_command
from tests.guests import wat
from tests.up.apps import MANIFEST, write_app

TEST_S_MAX = 120


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


class Lines:
    """The lines of a pipe."""

    def __init__(self, pipe: trio.abc.ReceiveStream) -> None:
        self._pipe = pipe
        self._rest = b""

    async def next(self) -> str | None:
        while b"\n" not in self._rest:
            piece = await self._pipe.receive_some()
            if not piece:
                return None
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    async def find(self, *parts: str) -> str:
        """The next line with all these parts in it."""
        while (line := await self.next()) is not None:
            if all(part in line for part in parts):
                return line
        raise AssertionError(f"the output ended without {parts}")

    async def event(self, name: str) -> dict[str, Any]:
        """The next JSON line of an event."""
        found: dict[str, Any] = json.loads(await self.find(f'"event": "{name}"'))
        return found


class Command:
    def __init__(self, process: trio.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self.out = Lines(process.stdout)
        self.err = Lines(process.stderr)

    async def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return await self.process.wait()


@asynccontextmanager
async def edged(cache_folder: Path, *arguments: object, cwd: Path | None = None) -> AsyncIterator[Command]:
    """`edged up ARGUMENTS` on any free port."""
    usual = ["up", "--listen", "127.0.0.1:0", "--cache-dir", str(cache_folder)]
    line = edged_command(*usual, *arguments)
    # Output is buffered, as it is for its users.
    unset = ("SPIN_HTTP_LISTEN_ADDR", "PYTHONUNBUFFERED")
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    with trio.fail_after(TEST_S_MAX):
        process = await trio.lowlevel.open_process(
            line, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            yield Command(process)
        finally:
            with trio.CancelScope(shield=True):
                process.kill()
                await process.wait()
                await process.stdout.aclose()
                await process.stderr.aclose()


async def get(url: str, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(**options) as client:
        return await client.get(url)


async def test_json_from_start_to_ctrl_c(tmp_path: Path, cache_folder: Path, guest_path: GuestPath) -> None:
    app = write_app(tmp_path, guest_path("stderr"))
    async with edged(cache_folder, "--json", "--log-dir", tmp_path / "logs", app) as command:
        for name in ("loading", "compiling", "loaded"):
            await command.out.event(name)
        url = (await command.out.event("listening"))["urls"][0]
        assert (await get(f"{url}/2")).text == "2"
        line = await command.err.event("guest.stderr")
        assert (line["app"], line["component"], line["level"]) == ("app", "hello", "info")
        assert line["text"].isprintable()
        assert len((tmp_path / "logs" / "hello_stderr.txt").read_text().splitlines()) == 2
        assert await command.stop() == 0
        assert (await command.out.event("stopped"))["requests_served"] == 1


async def test_a_person_without_a_terminal(tmp_path: Path, cache_folder: Path, guest_path: GuestPath) -> None:
    write_app(tmp_path, guest_path("hello"))
    async with edged(cache_folder, cwd=tmp_path) as command:
        line = await command.out.find("http://127.0.0.1:", "hello")
        url = line.split()[0].removesuffix("...")
        assert (await get(url)).text == "hello"
        await command.out.find("Ctrl-C stops.")
        assert await command.stop(signal.SIGTERM) == 0
        await command.out.find("stopped after 1 request")


async def test_a_failed_request_is_one_log_line(tmp_path: Path, cache_folder: Path, guest_path: GuestPath) -> None:
    async with edged(cache_folder, "--json", write_app(tmp_path, guest_path("trap"))) as command:
        url = (await command.out.event("listening"))["urls"][0]
        answer = await get(url)
        assert answer.status_code == 500
        line = await command.err.event("request.failed")
        assert line["code"] == answer.json()["code"] == "guest.trap"
        assert line["request_id"] == answer.json()["request_id"]


async def test_quiet_leaves_guests_out(tmp_path: Path, cache_folder: Path, guest_path: GuestPath) -> None:
    write_app(tmp_path, guest_path("stderr"))
    (tmp_path / "trap.wasm").write_bytes(guest_path("trap").read_bytes())
    more = '[[trigger.http]]\nroute = "/trap"\ncomponent = "trap"\n[component.trap]\nsource = "trap.wasm"\n'
    (tmp_path / "spin.toml").write_text(MANIFEST + more)
    async with edged(cache_folder, "--quiet", tmp_path) as command:
        url = await command.out.next()
        assert url is not None
        await get(f"{url}/1")
        await get(f"{url}/trap")
        assert "request.failed" in (await command.err.next() or "")


async def test_what_a_build_prints_is_not_between_the_json_lines(
    tmp_path: Path, cache_folder: Path, guest_path: GuestPath
) -> None:
    text = MANIFEST + '[component.hello.build]\ncommand = "echo said; echo sighed >&2"\n'
    async with edged(cache_folder, "--json", "--build", write_app(tmp_path, guest_path("hello"), text)) as command:
        names = []
        while "listening" not in names:
            line = await command.out.next()
            assert line is not None
            names.append(json.loads(line)["event"])
        assert names[:3] == ["loading", "building", "built"]
        assert [await command.err.next(), await command.err.next()] == ["said", "sighed"]


async def test_the_error_is_told_on_both(tmp_path: Path, cache_folder: Path) -> None:
    async with edged(cache_folder, "--json", tmp_path) as command:
        assert (await command.out.event("error"))["code"] == "manifest.missing"
        await command.err.find("error: ", "spin.toml cannot be read")
        assert await command.process.wait() == 66


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_during_a_build(
    tmp_path: Path, cache_folder: Path, guest_path: GuestPath, number: signal.Signals
) -> None:
    os.mkfifo(tmp_path / "never")
    text = MANIFEST + '[component.hello.build]\ncommand = "cat never"\n'
    async with edged(cache_folder, "--json", "--build", write_app(tmp_path, guest_path("hello"), text)) as command:
        await command.out.event("building")
        assert await command.stop(number) == 0


async def test_a_signal_during_a_compilation(tmp_path: Path, guest_path: GuestPath) -> None:
    async with edged(tmp_path / "cache", "--json", write_app(tmp_path / "app", guest_path("hello"))) as command:
        await command.out.event("compiling")
        assert await command.stop() == 0
    assert list((tmp_path / "cache" / "aot").glob("*.tmp")) == []


async def test_a_reader_that_went_away_ends_nothing(tmp_path: Path, cache_folder: Path, guest_path: GuestPath) -> None:
    async with edged(cache_folder, "--json", "--watch", write_app(tmp_path, guest_path("hello"))) as command:
        url = (await command.out.event("listening"))["urls"][0]
        for pipe in (command.process.stdout, command.process.stderr):
            assert pipe is not None
            await pipe.aclose()
        hallo = guest_path("hello").read_bytes().replace(b"hello", b"hallo")
        (tmp_path / "app.wasm").write_bytes(hallo)
        while (await get(url)).text != "hallo":
            await trio.lowlevel.checkpoint()
        assert await command.stop() == 0


async def test_tls_and_http_2(tmp_path: Path, cache_folder: Path, guest_path: GuestPath) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    files: Sequence[object] = ("--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with edged(cache_folder, "--json", *files, write_app(tmp_path, guest_path("hello"))) as command:
        url = (await command.out.event("listening"))["urls"][0]
        assert url.startswith("https://")
        answer = await get(url, verify=context, http2=True)
        assert (answer.http_version, answer.text) == ("HTTP/2", "hello")
        assert (await get(url, verify=context)).http_version == "HTTP/1.1"


async def test_webassembly_text_is_a_source(tmp_path: Path, cache_folder: Path) -> None:
    (tmp_path / "spin.toml").write_text(MANIFEST.replace("app.wasm", "app.wat"))
    (tmp_path / "app.wat").write_text(wat.text("hello"))
    async with edged(cache_folder, "--json", tmp_path) as command:
        url = (await command.out.event("listening"))["urls"][0]
        assert (await get(url)).text == "hello"


async def test_find_free_port(tmp_path: Path, cache_folder: Path, guest_path: GuestPath) -> None:
    app = write_app(tmp_path, guest_path("hello"))
    async with edged(cache_folder, "--json", app) as first:
        taken = (await first.out.event("listening"))["urls"][0]
        address = taken.removeprefix("http://")
        async with edged(cache_folder, "--json", "--listen", address, "--find-free-port", app) as second:
            url = (await second.out.event("listening"))["urls"][0]
            assert int(url.rpartition(":")[2]) > int(taken.rpartition(":")[2])
            assert (await get(url)).text == "hello"
