from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edged.host.budget import Budget
from edged.host.command import Command
from edged.host.files.tree import build_tree
from edged.host.memory import Memory
from edged.host.preview1.module import Preview1, Preview1Session
from tests.host.fakes import invocation
from tests.host.preview1.streams import FakeSink, FakeSource

SIZE = 4096


class Guest:
    """A guest's side of the interface: memory of one page of `SIZE` bytes, and ways to put things into it."""

    def __init__(self, session: Preview1Session, stdin: FakeSource, stdout: FakeSink) -> None:
        self.call = session
        self.stdin = stdin
        self.stdout = stdout
        self.memory = session.memory
        self.stderr: Any = session.invocation.stderr
        self.budget = session.invocation.budget

    def u32(self, address: int) -> int:
        return int.from_bytes(self.memory.read(address, 4), "little")

    def u64(self, address: int) -> int:
        return int.from_bytes(self.memory.read(address, 8), "little")

    def buffers(self, *buffers: tuple[int, int], at: int = 64) -> tuple[int, int]:
        """An array of iovecs: its address and count."""
        for number, (start, length) in enumerate(buffers):
            self.memory.set_u32(at + 8 * number, start)
            self.memory.set_u32(at + 8 * number + 4, length)
        return at, len(buffers)

    def text(self, text: str | bytes, at: int = 1024) -> tuple[int, int]:
        data = text.encode() if isinstance(text, str) else text
        self.memory.write(at, data)
        return at, len(data)

    def open(self, path: str, *, fd: int = 3, flags: int = 0, rights: int = 2, fd_flags: int = 0) -> tuple[int, int]:
        """The errno of path_open, and the descriptor."""
        errno = self.call.path_open(fd, 0, *self.text(path), flags, rights, 0, fd_flags, 0)
        return errno, self.u32(0)


MakeGuest = Callable[..., Guest]


@pytest.fixture
def guest_with(tmp_path: Path) -> Iterator[MakeGuest]:
    """`guest_with(files={...}, command=True)`. What it leaves open is closed after the test."""
    sessions = []

    def make(
        files: dict[str, bytes] | None = None, *, command: bool = True, budget: Budget | None = None, **own: Any
    ) -> Guest:
        mounted = {}
        for number, (guest_path, content) in enumerate((files or {}).items()):
            host_path = tmp_path / str(number)
            host_path.write_bytes(content)
            mounted[guest_path] = host_path
        call = invocation(budget)
        stdin, stdout = FakeSource(), FakeSink()
        if command:
            call.command = Command(("program", "x=1"), {"A": "b", "EMPTY": ""}, stdin, stdout)
        module = Preview1(build_tree(mounted) if mounted else None, **own)
        session = module.open(call, Memory(memoryview(bytearray(SIZE))))
        sessions.append(session)
        return Guest(session, stdin, stdout)

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def guest(guest_with: MakeGuest) -> Guest:
    """With files /a.txt, /folder/b.txt and /folder/ü.txt."""
    return guest_with({"/a.txt": b"0123456789", "/folder/b.txt": b"b", "/folder/ü.txt": b""})
