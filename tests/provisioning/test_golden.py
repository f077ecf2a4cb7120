"""What is rendered is what somebody has read: golden/."""

from __future__ import annotations

import base64
import gzip
import re

import pytest

from tests.provisioning.golden import FOLDER, rendered

RENDERED = rendered()
_packed = re.compile(r"(?<=  encoding: gz\+b64\n  content: )\S+")


def unpacked(text: str) -> str:
    """Two versions of zlib may pack the same differently."""
    return _packed.sub(lambda match: gzip.decompress(base64.b64decode(match[0])).decode(), text)


def test_there_are_all_and_no_others() -> None:
    assert {str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/*")} == RENDERED.keys()


@pytest.mark.parametrize("path", RENDERED)
def test_as_it_was(path: str) -> None:
    """If the change is meant: `python -m tests.provisioning.golden`, and read the difference."""
    assert unpacked(RENDERED[path]).splitlines() == unpacked((FOLDER / path).read_text()).splitlines()
    assert bool(_packed.search(RENDERED[path])) == path.endswith("user-data")
