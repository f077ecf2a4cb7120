"""Files with their digest in them: no byte changes unseen."""

from __future__ import annotations

import pytest

from registry import strict
from registry.checked import content_of, with_digest
from registry.errors import Malformed

CONTENT = strict.encode({"a": 1})


def test_there_and_back() -> None:
    assert content_of(with_digest(CONTENT), 1_000) == CONTENT
    assert content_of(with_digest(b""), 1_000) == b""


def test_every_bit_that_turns_is_noticed() -> None:
    """Or what comes out is not in the reader's form."""
    data = with_digest(CONTENT)
    for index in range(len(data)):
        for bit in range(8):
            turned = data[:index] + bytes([data[index] ^ 1 << bit]) + data[index + 1 :]
            try:
                found = content_of(turned, 1_000)
            except Malformed:
                continue
            assert found == turned


def test_every_end_that_is_missing_is_noticed() -> None:
    data = with_digest(CONTENT)
    for length in range(len(data)):
        with pytest.raises(Malformed):
            content_of(data[:length], 1_000)


def test_bytes_from_before_there_was_a_digest() -> None:
    assert content_of(CONTENT, 1_000) == CONTENT


def test_so_many_bytes_and_no_more() -> None:
    data = with_digest(CONTENT)
    assert content_of(data, len(data)) == CONTENT
    with pytest.raises(Malformed):
        content_of(data, len(data) - 1)
