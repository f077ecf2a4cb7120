"""Build commands as a developer writes them, run by a real shell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from edged.errors import BuildFailed
from edged.manifest.model import Build
from edged.up.build import run_build
from edged.up.event import Building, Built, Event


async def build(folder: Path, *commands: str) -> list[Event]:
    shown: list[Event] = []
    await run_build("hello", Build(commands, folder), shown.append, output=2)
    return shown


async def test_commands_run_in_order_in_the_folder(tmp_path: Path) -> None:
    shown = await build(tmp_path, "echo one > out", "echo two >> out")
    assert (tmp_path / "out").read_text() == "one\ntwo\n"
    assert shown[:2] == [Building("hello", "echo one > out"), Building("hello", "echo two >> out")]
    assert isinstance(shown[2], Built)


async def test_the_first_failure_ends_it(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=r"component `hello`: `exit 3` ended with status 3"):
        await build(tmp_path, "exit 3", "touch never")
    assert not (tmp_path / "never").exists()


async def test_a_command_ended_by_a_signal(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="was ended by SIGSEGV"):
        await build(tmp_path, "kill -SEGV $$")


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="which is not a folder") as caught:
        await build(tmp_path / "absent", "true")
    assert "workdir" in caught.value.remedy


async def test_output_goes_where_it_is_sent(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        await run_build("hello", Build(("echo said",), tmp_path), lambda _: None, output=log.fileno())
    assert (tmp_path / "log").read_text() == "said\n"


async def test_input_is_empty(tmp_path: Path) -> None:
    await build(tmp_path, 'test -z "$(cat)"')


@pytest.mark.parametrize("stubborn", [False, True])
async def test_cancelling_ends_the_command_and_what_it_started(
    tmp_path: Path, stubborn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stubborn:
        monkeypatch.setattr("edged.up.build.BUILD_KILL_S", 0)
    for name in ("alive", "never"):
        os.mkfifo(tmp_path / name)
    # The inner shell would outlive the outer one. Both hold `alive` open, so that its end is theirs.
    ignore = "trap '' TERM; " if stubborn else ""
    command = f"exec 3> alive; {ignore}sh -c 'echo started >&3; cat never'; true"
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(build, tmp_path, command)
            alive = await trio.to_thread.run_sync((tmp_path / "alive").open, abandon_on_cancel=True)
            with alive:
                assert await trio.to_thread.run_sync(alive.readline, abandon_on_cancel=True) == "started\n"
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    assert await trio.to_thread.run_sync(alive.read) == ""
