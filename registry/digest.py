"""Digests: the names of blobs and chunks. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import NewType

from registry.errors import DigestInvalid

Digest = NewType("Digest", str)
"""`sha256:` and 64 lower-case hexadecimal digits, of plain bytes. The form OCI has (image-spec, descriptor.md)."""

_PREFIX = "sha256:"
_PATTERN = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def digest_of(data: bytes | memoryview) -> Digest:
    """The digest of plain bytes."""
    return Digest(_PREFIX + hashlib.sha256(data).hexdigest())


def parse_digest(text: object) -> Digest:
    """A digest that came from elsewhere.

    Raises:
        DigestInvalid: not exactly of the form above.
    """
    if not isinstance(text, str) or _PATTERN.fullmatch(text) is None:
        raise DigestInvalid(f"{_shown(text)} is not a digest")
    return Digest(text)


def hex_of(digest: Digest) -> str:
    """The 64 hexadecimal digits: what files are named by."""
    return digest[len(_PREFIX) :]


def digest_from_hex(digits: str) -> Digest:
    """The reverse of `hex_of`.

    Raises:
        DigestInvalid: not 64 lower-case hexadecimal digits.
    """
    return parse_digest(_PREFIX + digits)


def _shown(value: object) -> str:
    """What a stranger sent, short enough for a message."""
    return repr(value[:80]) if isinstance(value, str) else type(value).__name__
