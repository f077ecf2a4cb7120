"""Paths of a release: the same file on every node, and never one outside the folder. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from registry.errors import PathInvalid
from registry.limits import PATH_BYTES_MAX, PATH_DEPTH_MAX, PATH_FOLDER_COUNT_MAX, PATH_NAME_BYTES_MAX


def check_path(text: object) -> str:
    """A path: relative, /-separated, in NFC, without empty, `.` or `..` names, backslashes or invisible characters.

    Raises:
        PathInvalid: it is not, or is longer than PATH_BYTES_MAX, or a name of it than PATH_NAME_BYTES_MAX, or it has
            more than PATH_DEPTH_MAX names.
    """
    if not isinstance(text, str):
        raise PathInvalid(f"a path is a text, not {type(text).__name__}")
    # Before anything that takes time by its length; every character has a byte at least.
    if len(text) > PATH_BYTES_MAX:
        raise PathInvalid(f"the path {text[:40]!r}... has more than {PATH_BYTES_MAX} bytes")
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise PathInvalid(f"the path {text!r} is not Unicode text") from None
    if len(encoded) > PATH_BYTES_MAX:
        raise PathInvalid(f"the path {text[:40]!r}... has more than {PATH_BYTES_MAX} bytes")
    if any(character == "\\" or unicodedata.category(character) in _REFUSED for character in text):
        raise PathInvalid(f"the path {text!r} has a backslash, a control or an invisible character")
    if unicodedata.normalize("NFC", text) != text:
        raise PathInvalid(f"the path {text!r} is not in Unicode's normal form C")
    names = text.split("/")
    if len(names) > PATH_DEPTH_MAX:
        raise PathInvalid(f"the path {text[:40]!r}... has {len(names)} names, of {PATH_DEPTH_MAX} that it may")
    for name in names:
        if name in {"", ".", ".."}:
            raise PathInvalid(f"the path {text!r} has an empty name, `.` or `..`, or begins or ends with a slash")
        if len(name.encode()) > PATH_NAME_BYTES_MAX:
            raise PathInvalid(f"the path {text[:40]!r}... has a name of more than {PATH_NAME_BYTES_MAX} bytes")
    return text


# Control characters, lone surrogates, line and paragraph separators: what a terminal or a log would be confused by.
# Format characters turn around how a name is read, or are ignored: for HFS+ two names that differ by one are the same.
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def check_paths(paths: Iterable[str]) -> None:
    """All paths of one release, each of which `check_path` has seen.

    Sorted by code point, each once, none a folder of another; so also on a disk that does not tell cases apart.

    Raises:
        PathInvalid: one of these does not hold, or there are more than PATH_FOLDER_COUNT_MAX folders.
    """
    previous = ""
    seen: dict[str, str] = {}  # as such a disk sees it -> as it is written
    folders: dict[str, str] = {}
    for path in paths:
        if path <= previous:
            raise PathInvalid(f"the path {path!r} stands behind {previous!r}", remedy="Sort paths; name each once.")
        previous = path
        folded = _folded(path)
        if (other := seen.get(folded)) is not None:
            raise PathInvalid(f"the paths {other!r} and {path!r} differ by case only")
        if (other := folders.get(folded)) is not None:
            raise PathInvalid(f"the path {path!r} is a folder of {other!r}")
        seen[folded] = path
        folder = folded
        while (end := folder.rfind("/")) >= 0:
            folder = folder[:end]
            if (other := seen.get(folder)) is not None:
                raise PathInvalid(f"the path {other!r} is a folder of {path!r}")
            if folder in folders:
                break  # so are those above it
            if len(folders) == PATH_FOLDER_COUNT_MAX:
                raise PathInvalid(
                    f"the paths have more than {PATH_FOLDER_COUNT_MAX} folders", remedy="Put files into fewer folders."
                )
            folders[folder] = path


def _folded(path: str) -> str:
    """As a disk sees it that tells neither cases nor normal forms apart (Unicode 3.13, canonical caseless matching)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
