"""Small files with their digest in them, so that what a disk has changed is noticed. Pure."""

from __future__ import annotations

from registry import strict
from registry.digest import digest_of
from registry.errors import Malformed


def with_digest(content: bytes) -> bytes:
    """What to write."""
    return strict.encode({"content": content, "digest": digest_of(content)})


def content_of(data: bytes, bytes_max: int) -> bytes:
    """The reverse of `with_digest`.

    Bytes that do not look like that are returned as they are, for files from before they had a digest. So whoever reads
    them must refuse what is not in their own form.

    Raises:
        Malformed: not what was written; or more than `bytes_max` bytes.
    """
    match strict.decode(data, bytes_max):
        case {"content": bytes(content), "digest": str(digest)}:
            if digest != digest_of(content):
                raise Malformed("the file is not what was written")
            return content
        case _:
            return data
