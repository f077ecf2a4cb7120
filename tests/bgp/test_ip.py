"""What ip(8) says and how it fails, by a program of that name that says what a test wants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bgp.errors import NetworkSettingFailed, NetworkSettingForbidden
from bgp.ip import ip, ip_json
from bgp.limits import IP_OUTPUT_BYTES_MAX

Says = Callable[[str], None]


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def make(script: str) -> None:
        (tmp_path / "ip").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "ip").chmod(0o755)

    return make


async def test_what_it_prints(says: Says) -> None:
    says('echo "$LC_ALL $@"')
    assert await ip("route", "show") == b"C route show\n"


@pytest.mark.parametrize(("output", "shown"), [("", []), ("[ ]", []), ('[{"dev":"lo"}]', [{"dev": "lo"}])])
async def test_json(says: Says, output: str, shown: object) -> None:
    says(f"echo '{output}'")
    assert await ip_json("route") == shown


@pytest.mark.parametrize("output", ["{}", "[1]", "[", "no", "\\0377"])
async def test_no_json(says: Says, output: str) -> None:
    says(f"printf '{output}'")
    with pytest.raises(NetworkSettingFailed, match="did not answer with JSON objects"):
        await ip_json("route")


async def test_refused(says: Says) -> None:
    says("echo 'RTNETLINK answers: File exists' >&2; exit 2")
    with pytest.raises(NetworkSettingFailed, match="`ip a b`: RTNETLINK answers: File exists"):
        await ip("a", "b")
    says("exit 1")
    with pytest.raises(NetworkSettingFailed, match="ended with 1"):
        await ip("a")
    says("echo 'RTNETLINK answers: Operation not permitted' >&2; exit 2")
    with pytest.raises(NetworkSettingForbidden):
        await ip("a")


async def test_it_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NetworkSettingFailed) as raised:
        await ip("a")
    assert raised.value.remedy == "Install iproute2."


async def test_it_cannot_be_started(says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says("")
    (tmp_path / "ip").write_bytes(b"\x7fELF")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NetworkSettingFailed, match="cannot be started"):
        await ip("a")


async def test_it_does_not_end(says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bgp.ip.IP_TIMEOUT_S", 0.1)
    says("exec sleep 600")
    with pytest.raises(NetworkSettingFailed, match=r"did not end in 0\.1 s"):
        await ip("a")


@pytest.mark.parametrize(("extra", "fits"), [(0, True), (1, False)])
async def test_as_much_as_it_may_say(says: Says, extra: int, fits: bool) -> None:
    says(f"head -c {IP_OUTPUT_BYTES_MAX + extra} /dev/zero")
    if fits:
        assert len(await ip("a")) == IP_OUTPUT_BYTES_MAX
    else:
        with pytest.raises(NetworkSettingFailed, match="said more than"):
            await ip("a")
