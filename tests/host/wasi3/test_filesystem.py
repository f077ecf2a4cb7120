"""wasi:filesystem 0.3: what is a stream here, and that the rest is 0.2's."""

from __future__ import annotations

import errno
import os

import pytest

from edged.host.budget import Budget
from edged.host.files.descriptor import READ
from edged.host.files.tree import build_tree
from edged.host.interface import Err, Ok
from edged.host.wasi3.filesystem import Preopens
from edged.limits import FILE_READ_BYTES_MAX, LIST_COUNT_MAX
from tests.host.fakes import err, invocation, settled, suspends
from tests.host.wasi3.guest import GuestStream

NONE = frozenset()


@pytest.fixture
def budget():
    return Budget(files=2)


@pytest.fixture
def root(tmp_path, budget):
    (tmp_path / "a").write_bytes(b"hello world")
    (tmp_path / "b").write_bytes(b"x" * (FILE_READ_BYTES_MAX + 1))
    files = {"/a": tmp_path / "a", "/d/b": tmp_path / "b"}
    ((descriptor, path),) = Preopens(build_tree(files)).get_directories(invocation(budget))
    assert path == "/"
    return descriptor


def open_file(root, path="a", flags=READ):
    return root.open_at(NONE, path, NONE, flags)


async def read_all(stream, count_max=1 << 30):
    pieces = []
    while piece := await settled(stream.read(count_max)):
        pieces.append(piece)
    return pieces


async def test_a_file_is_a_stream(root) -> None:
    stream, result = open_file(root).read_via_stream(6)
    assert suspends(result.read())
    assert await read_all(stream, 3) == [b"wor", b"ld"]
    assert await settled(result.read()) == Ok()
    assert stream.read(1) == b""


async def test_one_read_is_short(root) -> None:
    stream, _ = open_file(root, "d/b").read_via_stream(0)
    assert [len(piece) for piece in await read_all(stream)] == [FILE_READ_BYTES_MAX, 1]


async def test_past_the_end_there_is_nothing(root) -> None:
    stream, result = open_file(root).read_via_stream(1000)
    assert await read_all(stream) == []
    assert await settled(result.read()) == Ok()


async def test_an_offset_that_is_none_is_told_by_the_future(root) -> None:
    stream, result = open_file(root).read_via_stream(1 << 63)
    assert await read_all(stream) == []
    assert await settled(result.read()) == Err("invalid")


@pytest.mark.parametrize(
    ("path", "flags", "code"),
    [("a", NONE, "bad-descriptor"), ("d", READ, "bad-descriptor")],
    ids=["not-open-for-reading", "directory"],
)
async def test_what_cannot_be_read_is_told_by_the_future(root, path, flags, code) -> None:
    stream, result = open_file(root, path, flags).read_via_stream(0)
    assert await read_all(stream) == []
    assert await settled(result.read()) == Err(code)


async def test_a_file_that_cannot_be_read_any_more(root, monkeypatch) -> None:
    stream, result = open_file(root).read_via_stream(0)

    def fail(*_arguments):
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(os, "pread", fail)
    assert await read_all(stream) == []
    assert await settled(result.read()) == Err("io")


async def test_a_stream_keeps_its_file_open_and_no_longer(root, budget) -> None:
    descriptor = open_file(root)
    assert budget.files == 1
    stream, result = descriptor.read_via_stream(0)
    descriptor.drop()
    assert budget.files == 1
    assert stream.read(5) == b"hello"
    stream.close()
    assert budget.files == 2
    assert await settled(result.read()) == Ok()
    assert stream.read(5) == b""
    stream.close()
    assert budget.files == 2


async def test_a_stream_at_its_end_has_let_go_of_its_file(root, budget) -> None:
    descriptor = open_file(root)
    stream, _ = descriptor.read_via_stream(0)
    descriptor.drop()
    await read_all(stream)
    assert budget.files == 2
    stream.close()
    assert budget.files == 2


def test_a_stream_that_is_lost_lets_go_of_its_file(root, budget) -> None:
    descriptor = open_file(root)
    descriptor.read_via_stream(0)
    descriptor.drop()
    assert budget.files == 2


def test_files_open_at_once_are_bounded(root) -> None:
    files = [open_file(root), open_file(root)]
    with err("insufficient-memory"):
        open_file(root)
    files.pop().drop()
    open_file(root)


async def test_a_directory_is_a_stream_of_its_entries(root) -> None:
    stream, result = root.read_directory()
    assert await settled(stream.read(1)) == [("regular-file", "a")]
    assert await settled(stream.read(1)) == [("directory", "d")]
    assert await settled(stream.read(1)) == []
    assert await settled(result.read()) == Ok()
    stream, _ = root.read_directory()
    stream.close()
    assert await settled(stream.read(1)) == []


async def test_entries_come_in_pieces_that_are_bounded(tmp_path) -> None:
    files = {f"/{number:05}": tmp_path / "x" for number in range(LIST_COUNT_MAX + 1)}
    ((root, _),) = Preopens(build_tree(files)).get_directories(invocation())
    stream, _ = root.read_directory()
    assert [len(piece) for piece in await read_all(stream)] == [LIST_COUNT_MAX, 1]


async def test_a_file_has_no_entries(root) -> None:
    stream, result = open_file(root).read_directory()
    assert await settled(stream.read(1)) == b""
    assert await settled(result.read()) == Err("not-directory")


@pytest.mark.parametrize("path", ["a", "d"])
async def test_nothing_is_written(root, path) -> None:
    descriptor = open_file(root, path)
    data = [GuestStream(b"hello"), GuestStream(b"hello")]
    assert await settled(descriptor.write_via_stream(data[0], 0).read()) == Err("bad-descriptor")
    assert await settled(descriptor.append_via_stream(data[1]).read()) == Err("bad-descriptor")
    assert [stream.closed for stream in data] == [1, 1]


def test_the_rest_is_as_in_0_2(root) -> None:
    directory = root.open_at(NONE, "d", frozenset({"directory"}), READ)
    assert type(directory) is type(root)
    assert directory.get_type() == "directory"
    assert directory.stat_at(NONE, "b").size == FILE_READ_BYTES_MAX + 1
    assert open_file(root).is_same_object(open_file(root))
    with err("read-only"):
        root.create_directory_at("e")
    with err("not-permitted"):
        root.stat_at(NONE, "../a")
