"""The files of one component as its guest sees them: an immutable tree in memory, whose leaves are files of the host.

Paths are resolved in the tree alone, so no `..`, no symbolic link and no race on the host's disk can lead a guest
anywhere else: a name that is not in the tree does not exist. Only leaves are opened, by a path the loader vouched for.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from edged.errors import ManifestError
from edged.host.interface import Err
from edged.limits import PATH_BYTES_MAX, PATH_COMPONENT_BYTES_MAX

_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class HostFile:
    """A leaf: a regular file of the host."""

    __slots__ = ("host_path",)

    def __init__(self, host_path: str) -> None:
        self.host_path = host_path

    def stat(self) -> os.stat_result:
        """Raises OSError. What has become something else than a regular file is gone for a guest."""
        status = os.stat(self.host_path, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(errno.ENOENT, "no longer a regular file", self.host_path)
        return status

    def open(self) -> int:
        """A file descriptor. Raises OSError.

        Not followed if it has become a symbolic link, and not waited for if it has become a pipe or a device.
        """
        try:
            descriptor = os.open(self.host_path, _OPEN_FLAGS)
        except OSError:
            self.stat()
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFoundError(errno.ENOENT, "no longer a regular file", self.host_path)
        return descriptor


class Directory:
    """An inner node. `path` is the guest's path to it, which tells directories of one tree apart."""

    __slots__ = ("_listing", "entries", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.entries: dict[str, Directory | HostFile] = {}
        self._listing: list[tuple[str, Node]] | None = None

    def listing(self) -> list[tuple[str, Node]]:
        """Names in order, each with its node. Sorted once for all guests: 50 000 names take 50 ms. Not to be changed,
        and not to be asked for before the tree is whole."""
        if self._listing is None:
            self._listing = sorted(self.entries.items())
        return self._listing


Node = Directory | HostFile


def build_tree(files: Mapping[str, Path]) -> Directory:
    """The tree of a mapping guest path -> host file.

    Raises:
        ManifestError: a guest path is not a plain path below `/`, or a file stands where another needs a directory.
    """
    root = Directory("/")
    for guest_path, host_path in files.items():
        names = guest_path.removeprefix("/").split("/")
        if not all(names) or "\0" in guest_path or not {".", ".."}.isdisjoint(names):
            raise ManifestError(f"{guest_path!r} is not a path that a file can be mounted at")
        directory = root
        for name in names[:-1]:
            child = directory.entries.setdefault(name, Directory(f"{directory.path.rstrip('/')}/{name}"))
            if isinstance(child, HostFile):
                raise ManifestError(f"{guest_path!r} cannot be mounted below a file")
            directory = child
        if directory.entries.setdefault(names[-1], leaf := HostFile(os.fspath(host_path))) is not leaf:
            raise ManifestError(f"{guest_path!r} is mounted twice")
    return root


def resolve(base: Directory, path: str) -> Node:
    """The node that a guest's path names, seen from a directory that it has open.

    Raises:
        Err: an error-code of wasi:filesystem. `not-permitted` for an absolute path and for one that leaves `base`.
    """
    return _walk(base, _split(path))


def resolve_parent(base: Directory, path: str) -> tuple[Directory, str]:
    """The directory that a guest's path is about to create something in, and the last name; "" for `base` itself.

    Raises:
        Err: as for `resolve`.
    """
    names = _split(path)
    while names and names[-1] == "":
        names.pop()
    if not names or names[-1] == "..":
        _walk(base, names)
        return base, ""
    parent = _walk(base, [*names[:-1], ""])
    assert isinstance(parent, Directory)
    return parent, names[-1]


def _split(path: str) -> list[str]:
    """Names and `..`; an empty last one says that the path must name a directory."""
    if not path:
        raise Err("no-entry")
    if len(path.encode()) > PATH_BYTES_MAX:
        raise Err("name-too-long")
    if "\0" in path:
        raise Err("invalid")
    if path.startswith("/"):
        raise Err("not-permitted")
    names = path.split("/")
    plain = [name for name in names if name not in ("", ".")]
    if any(len(name.encode()) > PATH_COMPONENT_BYTES_MAX for name in plain):
        raise Err("name-too-long")
    return plain if plain and names[-1] == plain[-1] else [*plain, ""]


def _walk(base: Directory, names: list[str]) -> Node:
    above: list[Directory] = []
    node: Node = base
    for name in names:
        if isinstance(node, HostFile):
            raise Err("not-directory")
        if name == "..":
            if not above:
                raise Err("not-permitted")
            node = above.pop()
        elif name:
            child = node.entries.get(name)
            if child is None:
                raise Err("no-entry")
            above.append(node)
            node = child
    return node
