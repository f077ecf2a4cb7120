"""`failure.json`: why a node ended, written whole, read within bounds, gone once it is ready. Without secrets."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
import structlog

from bgp.errors import MetadataInvalid
from edged.errors import JoinFailed
from edged.limits import FAILURE_BYTES_MAX, FAILURE_TEXT_CHARS_MAX
from edged.node.config_file import load
from edged.node.failure import NAME, Failure, clear_failure, read_failure, write_failure
from edged.node.node import run_node
from registry.errors import ReleaseInvalid


def test_there_and_back(tmp_path: Path) -> None:
    write_failure(tmp_path, JoinFailed("nobody let it in\n192.0.2.1:7400: no", remedy="Do this."), 12.5)
    assert read_failure(tmp_path) == Failure(
        12.5, "node.join-failed", "nobody let it in\n192.0.2.1:7400: no", "Do this."
    )
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert json.loads((tmp_path / NAME).read_text())["v"] == 1
    clear_failure(tmp_path)
    assert os.listdir(tmp_path) == []
    assert read_failure(tmp_path) is None
    clear_failure(tmp_path)


def test_no_link_is_followed_and_no_pipe_waited_for(tmp_path: Path) -> None:
    """`edged doctor` reads it as root, in a folder of the node's user."""
    write_failure(tmp_path, JoinFailed("no"), 1.0)
    (tmp_path / NAME).rename(tmp_path / "elsewhere")
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    assert read_failure(tmp_path) is None
    (tmp_path / NAME).unlink()
    os.mkfifo(tmp_path / NAME)
    assert read_failure(tmp_path) is None


@pytest.mark.parametrize("at", ["NaN", "Infinity", "-1", "1e400", "1" + "0" * 400])
def test_times_that_are_none(at: str, tmp_path: Path) -> None:
    text = f'{{"v":1,"at":{at},"code":"a","message":"b","remedy":"c"}}'
    (tmp_path / NAME).write_text(text)
    assert read_failure(tmp_path) is None
    (tmp_path / NAME).write_text(text.replace(at, "0"))
    assert read_failure(tmp_path) == Failure(0.0, "a", "b", "c")


@pytest.mark.parametrize("error", [MetadataInvalid("no session"), ReleaseInvalid("no release"), JoinFailed("no")])
def test_errors_of_all_packages_keep_code_and_remedy(error: Exception, tmp_path: Path) -> None:
    write_failure(tmp_path, error)
    found = read_failure(tmp_path)
    assert found is not None
    assert (found.code, found.message, found.remedy) == (error.code, error.message, error.remedy)  # type: ignore[attr-defined]


def test_an_error_in_a_group_is_found(tmp_path: Path) -> None:
    write_failure(tmp_path, ExceptionGroup("two", [ValueError("x"), JoinFailed("no")]))
    found = read_failure(tmp_path)
    assert found is not None
    assert found.code == "node.join-failed"


def test_what_is_not_ours_leaves_only_its_name(tmp_path: Path) -> None:
    write_failure(tmp_path, ValueError("password=hunter2"))
    assert "hunter2" not in (tmp_path / NAME).read_text()
    found = read_failure(tmp_path)
    assert found is not None
    assert (found.code, found.message) == ("internal", "a mistake in edged: ValueError")


def test_texts_at_their_limit_and_one_over(tmp_path: Path) -> None:
    for count, kept in ((FAILURE_TEXT_CHARS_MAX, "x"), (FAILURE_TEXT_CHARS_MAX + 1, "…")):
        write_failure(tmp_path, JoinFailed("x" * count, remedy="\x01" * count))
        found = read_failure(tmp_path)
        assert found is not None
        assert (len(found.message), found.message[-1]) == (FAILURE_TEXT_CHARS_MAX, kept)


def test_a_file_at_the_limit_and_one_over(tmp_path: Path) -> None:
    write_failure(tmp_path, JoinFailed("no"), 1.0)
    data = (tmp_path / NAME).read_bytes()
    for count, is_read in ((FAILURE_BYTES_MAX, True), (FAILURE_BYTES_MAX + 1, False)):
        (tmp_path / NAME).write_bytes(data.ljust(count))
        assert (read_failure(tmp_path) is not None) == is_read


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 60_000,
        b'{"v":2,"at":1,"code":"a","message":"b","remedy":"c"}',
        b'{"v":1,"at":"1","code":"a","message":"b","remedy":"c"}',
        b'{"v":1,"at":1,"code":"a","message":"b"}',
    ],
)
def test_what_is_no_failure_is_none(data: bytes, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(data)
    assert read_failure(tmp_path) is None


def test_a_folder_that_is_not_there_does_not_hide_the_error(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as lines:
        write_failure(tmp_path / "not" / "here", JoinFailed("no"))
    assert [line["event"] for line in lines] == ["node.failure-not-kept"]
    assert read_failure(tmp_path / "not" / "here") is None


async def test_a_node_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    file = tmp_path / "node.toml"
    file.write_text('[node]\nname = "n1"\nregion = "eu"\nstate_dir = "state"\n[http]\nlisten = ["127.0.0.1:8080"]\n')
    with pytest.raises(Exception, match=r"node\.crt"):
        await run_node(load(file), {})
    found = read_failure(tmp_path / "state")
    assert found is not None
    assert found.code == "node-config.invalid"
    assert "edged node init" in found.message
