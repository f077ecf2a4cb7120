"""The tree of a component's files, and how paths are resolved in it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import ManifestError
from edged.host.files.tree import Directory, HostFile, build_tree, resolve, resolve_parent
from edged.host.interface import Err
from edged.limits import PATH_BYTES_MAX, PATH_COMPONENT_BYTES_MAX
from tests.host.fakes import err

FILES = {"/a": "/host/a", "/d/b": "/host/b", "/d/e/c": "/host/c"}
ROOT = build_tree(FILES)


def where(node):
    return node.path if isinstance(node, Directory) else node.host_path


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (".", "/"),
        ("./", "/"),
        ("a", "/host/a"),
        ("./a", "/host/a"),
        (".//a", "/host/a"),
        ("d", "/d"),
        ("d/", "/d"),
        ("d/.", "/d"),
        ("d/b", "/host/b"),
        ("d//b", "/host/b"),
        ("d/./b", "/host/b"),
        ("d/e/c", "/host/c"),
        ("d/e/../b", "/host/b"),
        ("d/..", "/"),
        ("d/../d/e/../../a", "/host/a"),
    ],
)
def test_paths_that_lead_somewhere(path, place) -> None:
    assert where(resolve(ROOT, path)) == place


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", "no-entry"),
        ("x", "no-entry"),
        ("d/x", "no-entry"),
        ("x/b", "no-entry"),
        ("x/../a", "no-entry"),
        ("A", "no-entry"),
        ("a/", "not-directory"),
        ("a/.", "not-directory"),
        ("a/b", "not-directory"),
        ("a/..", "not-directory"),
        ("/", "not-permitted"),
        ("/a", "not-permitted"),
        ("//a", "not-permitted"),
        ("..", "not-permitted"),
        ("../a", "not-permitted"),
        ("d/../..", "not-permitted"),
        ("d/../../d/b", "not-permitted"),
        ("a\0", "invalid"),
        ("d/\0/b", "invalid"),
    ],
)
def test_paths_that_do_not(path, code) -> None:
    with err(code):
        resolve(ROOT, path)


def test_a_listing_is_in_order_and_made_once() -> None:
    tree = build_tree({name: Path("/host") for name in ("/b", "/a/x", "/c")})
    assert [name for name, _ in tree.listing()] == ["a", "b", "c"]
    assert tree.listing() is tree.listing(), "a guest may ask for it over and over"


def test_a_directory_is_the_limit_of_what_was_opened_from_it() -> None:
    inner = resolve(ROOT, "d")
    assert where(resolve(inner, "b")) == "/host/b"
    assert where(resolve(inner, "e/../b")) == "/host/b"
    with err("not-permitted"):
        resolve(inner, "../a")


def test_the_longest_path_and_one_byte_more() -> None:
    with err("no-entry"):
        resolve(ROOT, "./" * (PATH_BYTES_MAX // 2 - 1) + "xx")
    with err("name-too-long"):
        resolve(ROOT, "./" * (PATH_BYTES_MAX // 2 - 1) + "xxx")


@pytest.mark.parametrize("letter", ["x", "ö"])
def test_the_longest_name_and_one_byte_more(letter) -> None:
    longest = letter * (PATH_COMPONENT_BYTES_MAX // len(letter.encode()))
    with err("no-entry"):
        resolve(ROOT, longest)
    with err("name-too-long"):
        resolve(ROOT, longest + letter)


@pytest.mark.parametrize(
    ("path", "place", "name"),
    [
        ("new", "/", "new"),
        ("a", "/", "a"),
        ("new/", "/", "new"),
        ("d/new", "/d", "new"),
        ("d/../new", "/", "new"),
        (".", "/", ""),
        ("d/..", "/", ""),
    ],
)
def test_where_something_would_be_created(path, place, name) -> None:
    parent, last = resolve_parent(ROOT, path)
    assert (parent.path, last) == (place, name)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", "no-entry"),
        ("x/new", "no-entry"),
        ("a/new", "not-directory"),
        ("/new", "not-permitted"),
        ("../new", "not-permitted"),
        ("..", "not-permitted"),
    ],
)
def test_where_nothing_can_be_created(path, code) -> None:
    with err(code):
        resolve_parent(ROOT, path)


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e", "..", ".", "", "x", "\0"]), max_size=12).map("/".join))
def test_no_path_leads_out_of_the_tree(path) -> None:
    """Compared with the operating system's own rules, on the text alone."""
    try:
        node = resolve(ROOT, path)
    except Err:
        return
    place = os.path.normpath("/" + path)
    assert where(node) == (place if isinstance(node, Directory) else FILES[place])


@pytest.mark.parametrize("path", ["", "/", "/a/", "//a", "/a//b", "/./a", "/../a", "/a/..", "/a/../b", "/a\0b"])
def test_a_guest_path_must_be_plain(path) -> None:
    with pytest.raises(ManifestError):
        build_tree({path: "/host/x"})


def test_a_guest_path_needs_no_leading_slash() -> None:
    assert where(resolve(build_tree({"d/a": "/host/a"}), "d/a")) == "/host/a"


@pytest.mark.parametrize("paths", [("/a", "/a/b"), ("/a/b", "/a"), ("/a", "a")])
def test_two_files_cannot_have_one_place(paths) -> None:
    with pytest.raises(ManifestError):
        build_tree(dict.fromkeys(paths, "/host/x"))


# --- leaves ---


def test_a_regular_file_is_opened(tmp_path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"hello")
    descriptor = HostFile(str(path)).open()
    try:
        assert os.pread(descriptor, 10, 0) == b"hello"
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)
    assert HostFile(str(path)).stat().st_size == 5


def _link(path):
    secret = path.with_name("secret")
    secret.write_bytes(b"secret")
    path.symlink_to(secret)


def _socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize("become", [_link, os.mkfifo, os.mkdir, _socket, lambda path: None])
def test_what_is_no_regular_file_any_more_is_gone(tmp_path, become) -> None:
    path = tmp_path / "a"
    become(path)
    with pytest.raises(FileNotFoundError):
        HostFile(str(path)).open()
    with pytest.raises(FileNotFoundError):
        HostFile(str(path)).stat()
