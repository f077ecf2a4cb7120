"""The whole of the interface: every function is there and takes what it should; no number from a guest does harm."""

from __future__ import annotations

import inspect
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import GuestBudgetExhausted, GuestExit
from edged.host.files.tree import build_tree
from edged.host.memory import Memory
from edged.host.preview1.abi import Errno
from edged.host.preview1.module import Preview1, Preview1Session
from tests.host.fakes import invocation, suspends

SIZE = 1024
NAMES = sorted(Preview1.functions)


def test_there_are_all_46_functions() -> None:
    assert len(NAMES) == 46
    for name, (params, result) in Preview1.functions.items():
        method = getattr(Preview1Session, name)
        assert len(inspect.signature(method).parameters) == 1 + len(params), name
        assert result == ("" if name == "proc_exit" else "i"), name


def test_only_these_may_suspend() -> None:
    suspending = [name for name in NAMES if hasattr(getattr(Preview1Session, name), "may_suspend")]
    assert suspending == ["fd_read", "fd_write", "poll_oneoff"]


NUMBER = st.integers(0, 40) | st.integers(SIZE - 64, SIZE + 8) | st.integers(0, 2**32 - 1) | st.just(2**32 - 1)
WIDE = NUMBER | st.integers(0, 2**64 - 1)
CONTENT = st.binary(min_size=SIZE, max_size=SIZE) | st.just(bytes(SIZE)) | st.just(b"a/\1\0\0\0" * 170 + bytes(4))


@settings(max_examples=1_500, deadline=None)
@given(data=st.data(), content=CONTENT)
async def test_any_numbers_are_answered_with_an_errno(data: st.DataObject, content: bytes) -> None:
    root = build_tree({"/a/b": Path(__file__), "/c": Path("/nonexistent")})
    session = Preview1(root, ["x"], {"y": "z"}).open(invocation(), Memory(memoryview(bytearray(content))))
    try:
        for name in data.draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6)):
            params, _ = Preview1.functions[name]
            numbers = [data.draw(NUMBER if letter == "i" else WIDE) for letter in params]
            try:
                answer = getattr(session, name)(*numbers)
            except (GuestExit, GuestBudgetExhausted):
                continue
            if not suspends(answer):
                assert answer in set(Errno), (name, answer)
    finally:
        session.close()
    assert session.invocation.budget.files == type(session.invocation.budget)().files
