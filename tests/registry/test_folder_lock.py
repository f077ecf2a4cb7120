"""One at a time: threads, processes, and whoever comes after one that was killed."""

from __future__ import annotations

import fcntl
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from registry.folder_lock import FolderLock

HOLD = """
import sys
from pathlib import Path
from registry.folder_lock import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def is_free(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_held_and_let_go(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "lock")
    with lock:
        assert not is_free(tmp_path / "lock")
    assert is_free(tmp_path / "lock")
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert is_free(tmp_path / "lock")


def test_threads_take_turns(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "lock")
    inside = 0
    seen: list[int] = []

    def work() -> None:
        nonlocal inside
        for _ in range(200):
            with lock:
                inside += 1
                seen.append(inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 800


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        assert not is_free(path)
        child.kill()
    assert is_free(path)
    with FolderLock(path):
        assert not is_free(path)


def test_its_file_is_closed_with_it(tmp_path: Path) -> None:
    def opened() -> int:
        links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
        return sum(os.path.exists(link) and os.path.samefile(link, tmp_path / "lock") for link in links)

    lock = FolderLock(tmp_path / "lock")
    assert opened() == 1
    del lock
    gc.collect()
    assert opened() == 0
