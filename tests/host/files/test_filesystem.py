"""wasi:filesystem"""

from __future__ import annotations

import errno
import os

import pytest

from edged.host.budget import Budget
from edged.host.files.descriptor import READ
from edged.host.files.file import ERROR_CODES, FileFailure, error_code
from edged.host.files.filesystem import FilesystemTypes, Preopens
from edged.host.files.tree import build_tree
from edged.host.streams import CLOSED, IoError
from edged.limits import FILE_READ_BYTES_MAX, FILES_OPEN_MAX
from tests.host.fakes import err, failed_with, invocation

NONE = frozenset()
WRITE = frozenset({"write"})

BIG = bytes(range(256)) * (FILE_READ_BYTES_MAX // 256) + b"!"


@pytest.fixture
def budget():
    return Budget()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello, world")
    (tmp_path / "big").write_bytes(BIG)
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


@pytest.fixture
def root(folder, budget):
    files = {"/hello": "hello", "/dir/big": "big", "/dir/empty": "empty", "/dir/sub/hello": "hello"}
    tree = build_tree({guest: folder / host for guest, host in files.items()})
    ((root, path),) = Preopens(tree).get_directories(invocation(budget))
    assert path == "/"
    yield root
    root.drop()
    assert budget.files == FILES_OPEN_MAX, "every file was closed"


@pytest.fixture
def opened(root):
    """Opens a path, and drops the descriptor in the end."""
    descriptors = []

    def open_at(path, open_flags=NONE, flags=READ, path_flags=NONE):
        descriptors.append(root.open_at(path_flags, path, open_flags, flags))
        return descriptors[-1]

    yield open_at
    for descriptor in descriptors:
        descriptor.drop()


# --- open-at ---


def test_files_and_directories_open(opened) -> None:
    assert opened("hello").get_type() == "regular-file"
    assert opened("dir").get_type() == "directory"
    assert opened(".", open_flags=frozenset({"directory"})).get_type() == "directory"
    assert opened("dir/sub/hello", path_flags=frozenset({"symlink-follow"})).get_type() == "regular-file"


def test_descriptors_tell_the_flags_they_were_opened_with(root, opened) -> None:
    assert root.get_flags() == READ
    assert opened("hello", flags=NONE).get_flags() == NONE
    assert opened("dir", flags=READ | {"file-integrity-sync"}).get_flags() == READ | {"file-integrity-sync"}


@pytest.mark.parametrize("path", ["hello", "dir", "new", "dir/new"])
@pytest.mark.parametrize(
    ("open_flags", "flags"),
    [
        (frozenset({"create"}), READ),
        (frozenset({"create", "exclusive"}), READ),
        (frozenset({"truncate"}), READ),
        (NONE, WRITE),
        (NONE, READ | WRITE),
        (NONE, frozenset({"mutate-directory"})),
    ],
)
def test_nothing_opens_for_writing(root, path, open_flags, flags) -> None:
    with err("read-only"):
        root.open_at(NONE, path, open_flags, flags)


@pytest.mark.parametrize(
    ("path", "open_flags", "code"),
    [
        ("new", NONE, "no-entry"),
        ("hello/", NONE, "not-directory"),
        ("hello", frozenset({"directory"}), "not-directory"),
        ("hello", frozenset({"exclusive"}), "exist"),
        ("/hello", NONE, "not-permitted"),
        ("../hello", NONE, "not-permitted"),
        ("\0", NONE, "invalid"),
    ],
)
def test_what_does_not_open(root, path, open_flags, code) -> None:
    with err(code):
        root.open_at(NONE, path, open_flags, READ)


def test_a_directory_opens_what_is_in_it_and_nothing_above(opened) -> None:
    inner = opened("dir")
    inner.open_at(NONE, "sub/hello", NONE, READ).drop()
    with err("not-permitted"):
        inner.open_at(NONE, "../hello", NONE, READ)


def test_nothing_opens_from_a_file(opened) -> None:
    with err("not-directory"):
        opened("hello").open_at(NONE, "x", NONE, READ)


def test_a_file_that_is_gone_does_not_open(root, folder) -> None:
    (folder / "hello").unlink()
    with err("no-entry"):
        root.open_at(NONE, "hello", NONE, READ)


def test_a_file_that_became_a_link_does_not_open(root, folder) -> None:
    (folder / "hello").unlink()
    (folder / "hello").symlink_to("/etc/passwd")
    with err("no-entry"):
        root.open_at(NONE, "hello", NONE, READ)
    with err("no-entry"):
        root.stat_at(frozenset({"symlink-follow"}), "hello")


def test_so_many_files_are_open_at_once_and_not_one_more(root, budget) -> None:
    files = [root.open_at(NONE, "hello", NONE, READ) for _ in range(FILES_OPEN_MAX)]
    with err("insufficient-memory"):
        root.open_at(NONE, "hello", NONE, READ)
    root.open_at(NONE, "dir", NONE, READ).drop()
    files.pop().drop()
    files.append(root.open_at(NONE, "hello", NONE, READ))
    for file in files:
        file.drop()


def test_a_file_that_no_guest_has_a_handle_of_is_closed(root, budget) -> None:
    """The handle table was full, or the call that was given the handle failed."""
    file = root.open_at(frozenset(), "hello", frozenset(), READ)
    stream = file.read_via_stream(0)
    descriptor = stream.source._file.descriptor
    os.fstat(descriptor)
    del file, stream
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    assert budget.files == FILES_OPEN_MAX


def test_asking_for_the_directories_again_opens_no_more_files(folder) -> None:
    guest = invocation(Budget(files=1))
    preopens = Preopens(build_tree({"/hello": folder / "hello"}))
    file = preopens.get_directories(guest)[0][0].open_at(NONE, "hello", NONE, READ)
    with err("insufficient-memory"):
        preopens.get_directories(guest)[0][0].open_at(NONE, "hello", NONE, READ)
    file.drop()


# --- reading files ---


def test_read_at_an_offset(opened) -> None:
    file = opened("hello")
    assert file.read(5, 0) == (b"hello", False)
    assert file.read(100, 7) == (b"world", False)
    assert file.read(100, 12) == (b"", True)
    assert file.read(100, 2**62) == (b"", True)
    assert file.read(0, 0) == (b"", False)
    assert opened("dir/empty").read(1, 0) == (b"", True)


def test_one_read_is_bounded(opened) -> None:
    file = opened("dir/big")
    assert file.read(FILE_READ_BYTES_MAX, 0) == (BIG[:FILE_READ_BYTES_MAX], False)
    assert file.read(2**64 - 1, 0) == (BIG[:FILE_READ_BYTES_MAX], False)


def test_an_offset_that_no_file_has_is_invalid(opened) -> None:
    with err("invalid"):
        opened("hello").read(1, 2**63)
    stream = opened("hello").read_via_stream(2**63)
    with failed_with("invalid"):
        stream.read(1)
    stream.drop()


def test_what_is_no_readable_file_is_a_bad_descriptor(opened) -> None:
    for descriptor in (opened("hello", flags=NONE), opened("dir")):
        with err("bad-descriptor"):
            descriptor.read(1, 0)
        with err("bad-descriptor"):
            descriptor.read_via_stream(0)


def test_streams_read_to_the_end_each_on_its_own(opened) -> None:
    file = opened("dir/big")
    one, other = file.read_via_stream(0), file.read_via_stream(FILE_READ_BYTES_MAX)
    assert other.blocking_read(100) == b"!"
    with err(CLOSED):
        other.read(100)
    assert one.read(2**64 - 1) == BIG[:FILE_READ_BYTES_MAX]
    assert one.skip(100) == 1
    assert one.read(0) == b""
    with err(CLOSED):
        one.read(1)
    one.drop()
    other.drop()


async def test_a_stream_outlives_its_descriptor_and_its_pollable_both(root, budget) -> None:
    file = root.open_at(NONE, "hello", NONE, READ)
    stream = file.read_via_stream(7)
    pollable = stream.subscribe()
    file.drop()
    assert budget.files == FILES_OPEN_MAX - 1
    assert stream.read(100) == b"world"
    stream.drop()
    assert budget.files == FILES_OPEN_MAX
    assert pollable.ready()
    await pollable.waitable.wait()


def test_a_failed_read_tells_its_code(opened, monkeypatch) -> None:
    def pread(*_arguments):
        raise OSError(errno.EIO, "broken")

    file = opened("hello")
    stream = file.read_via_stream(0)
    monkeypatch.setattr(os, "pread", pread)
    with err("io"):
        file.read(1, 0)
    with failed_with("io"):
        stream.read(1)
    stream.drop()


def test_the_code_of_a_stream_error() -> None:
    types = FilesystemTypes()
    assert types.filesystem_error_code(invocation(), FileFailure("io")) == "io"
    assert types.filesystem_error_code(invocation(), IoError("of another kind")) is None


# --- reading directories ---


def entries(directory):
    stream = directory.read_directory()
    found = []
    while (entry := stream.read_directory_entry()) is not None:
        found.append(entry)
    assert stream.read_directory_entry() is None
    stream.drop()
    return found


def test_directories_list_what_is_in_them(root, opened) -> None:
    assert entries(root) == [("directory", "dir"), ("regular-file", "hello")]
    assert entries(opened("dir")) == [("regular-file", "big"), ("regular-file", "empty"), ("directory", "sub")]


def test_two_listings_do_not_meet(root) -> None:
    one, other = root.read_directory(), root.read_directory()
    assert one.read_directory_entry() == other.read_directory_entry() == ("directory", "dir")


def test_a_file_has_no_entries(opened) -> None:
    with err("not-directory"):
        opened("hello").read_directory()


# --- what things are ---


def test_stat(root, opened, folder) -> None:
    os.utime(folder / "hello", ns=(1, 5_000_000_007))
    expected = ("regular-file", 1, 12, None, (5, 7), None)
    assert opened("hello").stat() == expected
    assert root.stat_at(NONE, "hello") == expected
    assert root.stat() == ("directory", 1, 0, None, None, None)
    assert root.stat_at(NONE, "dir") == ("directory", 1, 0, None, None, None)


def test_stat_of_an_open_file_survives_its_deletion(root, opened, folder) -> None:
    file = opened("hello")
    (folder / "hello").unlink()
    assert file.stat().size == 12
    assert file.read(5, 0) == (b"hello", False)
    with err("no-entry"):
        root.stat_at(NONE, "hello")
    with err("no-entry"):
        root.metadata_hash_at(NONE, "hello")


@pytest.mark.parametrize(
    ("path", "code"), [("new", "no-entry"), ("../x", "not-permitted"), ("hello/", "not-directory")]
)
def test_what_cannot_be_asked_about(root, path, code) -> None:
    for ask in (root.stat_at, root.metadata_hash_at):
        with err(code):
            ask(NONE, path)
    with err(code):
        root.readlink_at(path)


def test_nothing_is_asked_about_from_a_file(opened) -> None:
    file = opened("hello")
    for ask in (file.stat_at, file.metadata_hash_at):
        with err("not-directory"):
            ask(NONE, "x")


def test_the_hash_of_metadata_changes_with_the_file_only(root, opened, folder) -> None:
    before = root.metadata_hash_at(NONE, "hello")
    assert before == opened("hello").metadata_hash() == root.metadata_hash_at(NONE, "dir/../hello")
    assert before != root.metadata_hash_at(NONE, "dir/empty")
    os.utime(folder / "hello", ns=(1, 1))
    after = root.metadata_hash_at(NONE, "hello")
    assert after != before
    assert root.metadata_hash() == root.metadata_hash_at(NONE, "dir/..")
    assert root.metadata_hash() != opened("dir").metadata_hash() != opened("dir/sub").metadata_hash()
    assert all(0 <= half < 2**64 for half in (*before, *root.metadata_hash()))


def test_sameness(root, opened) -> None:
    assert opened("hello").is_same_object(opened("hello"))
    assert opened("hello").is_same_object(opened("dir/sub/hello")), "one file, mounted twice"
    assert not opened("hello").is_same_object(opened("dir/empty"))
    assert opened("dir/..").is_same_object(root)
    assert not opened("dir").is_same_object(root)
    assert not opened("hello").is_same_object(root)


def test_there_are_no_links(root) -> None:
    for path in ("hello", "dir"):
        with err("invalid"):
            root.readlink_at(path)


def test_advice_and_sync_are_harmless(root, opened) -> None:
    file = opened("hello")
    for advice in ("normal", "sequential", "random", "will-need", "dont-need", "no-reuse"):
        file.advise(0, 100, advice)
    with err("bad-descriptor"):
        root.advise(0, 100, "normal")
    for descriptor in (root, file):
        descriptor.sync()
        descriptor.sync_data()


# --- everything that would change something ---


def test_files_cannot_be_written(root, opened) -> None:
    for descriptor in (root, opened("hello")):
        for call in (
            lambda d: d.write(b"x", 0),
            lambda d: d.write_via_stream(0),
            lambda d: d.append_via_stream(),
            lambda d: d.set_size(0),
        ):
            with err("bad-descriptor"):
                call(descriptor)
        with err("read-only"):
            descriptor.set_times("now", ("timestamp", (0, 0)))


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda d: d.create_directory_at("new"), "read-only"),
        (lambda d: d.create_directory_at("dir"), "exist"),
        (lambda d: d.create_directory_at("."), "exist"),
        (lambda d: d.create_directory_at("new/new"), "no-entry"),
        (lambda d: d.create_directory_at("../new"), "not-permitted"),
        (lambda d: d.set_times_at(NONE, "hello", "now", "now"), "read-only"),
        (lambda d: d.set_times_at(NONE, "new", "now", "now"), "no-entry"),
        (lambda d: d.unlink_file_at("hello"), "read-only"),
        (lambda d: d.unlink_file_at("dir"), "is-directory"),
        (lambda d: d.unlink_file_at("new"), "no-entry"),
        (lambda d: d.remove_directory_at("dir"), "read-only"),
        (lambda d: d.remove_directory_at("hello"), "not-directory"),
        (lambda d: d.remove_directory_at("new"), "no-entry"),
        (lambda d: d.symlink_at("hello", "new"), "read-only"),
        (lambda d: d.symlink_at("hello", "dir"), "exist"),
        (lambda d: d.symlink_at("/etc/passwd", "new"), "not-permitted"),
        (lambda d: d.link_at(NONE, "hello", d, "new"), "read-only"),
        (lambda d: d.link_at(NONE, "hello", d, "dir"), "exist"),
        (lambda d: d.link_at(NONE, "new", d, "newer"), "no-entry"),
        (lambda d: d.link_at(NONE, "hello", d, "/new"), "not-permitted"),
        (lambda d: d.rename_at("hello", d, "new"), "read-only"),
        (lambda d: d.rename_at("hello", d, "dir/empty"), "read-only"),
        (lambda d: d.rename_at("new", d, "newer"), "no-entry"),
        (lambda d: d.rename_at("hello", d, "../new"), "not-permitted"),
    ],
)
def test_directories_cannot_be_changed(root, call, code) -> None:
    with err(code):
        call(root)


def test_nothing_is_changed_through_a_file(root, opened) -> None:
    file = opened("hello")
    for call in (
        lambda: file.create_directory_at("new"),
        lambda: file.set_times_at(NONE, "x", "now", "now"),
        lambda: file.unlink_file_at("x"),
        lambda: file.remove_directory_at("x"),
        lambda: file.symlink_at("x", "y"),
        lambda: file.link_at(NONE, "x", root, "y"),
        lambda: root.link_at(NONE, "hello", file, "y"),
        lambda: file.rename_at("x", root, "y"),
        lambda: root.rename_at("hello", file, "y"),
    ):
        with err("not-directory"):
            call()


# --- error codes ---

CODES = """access would-block already bad-descriptor busy deadlock quota exist file-too-large illegal-byte-sequence
in-progress interrupted invalid io is-directory loop too-many-links message-size name-too-long no-device no-entry
no-lock insufficient-memory insufficient-space not-directory not-empty not-recoverable unsupported no-tty
no-such-device overflow not-permitted pipe read-only invalid-seek text-file-busy cross-device"""


def test_every_error_code_has_its_errno() -> None:
    assert set(ERROR_CODES.values()) == set(CODES.split())


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOENT, "no-entry"), (errno.EACCES, "access"), (errno.EMFILE, "insufficient-memory"), (errno.EPROTO, "io")],
)
def test_errno_to_error_code(number, code) -> None:
    assert error_code(OSError(number, "")) == code


def test_an_os_error_without_a_number_is_io() -> None:
    assert error_code(OSError("?")) == "io"
