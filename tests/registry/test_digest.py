"""Names of bytes."""

from __future__ import annotations

import pytest

from registry.digest import digest_from_hex, digest_of, hex_of, parse_digest
from registry.errors import DigestInvalid

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # FIPS 180-4's own


def test_a_digest_is_of_the_bytes() -> None:
    assert digest_of(b"") == "sha256:" + EMPTY
    assert hex_of(digest_of(memoryview(b""))) == EMPTY


def test_one_that_is_right() -> None:
    assert parse_digest("sha256:" + EMPTY) == digest_from_hex(EMPTY) == digest_of(b"")


@pytest.mark.parametrize(
    "text",
    [
        EMPTY,
        "sha256:" + EMPTY[:-1],
        "sha256:" + EMPTY + "0",
        "sha256:" + EMPTY.upper(),
        "sha256:" + EMPTY + "\n",
        "sha512:" + EMPTY,
        "sha256:" + "../" * 21 + "a",
        "sha256:" + "\u0660" * 64,
        "x" * 100_000,
        "",
        None,
        7,
        b"sha256:" + EMPTY.encode(),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_one_that_is_not(text: object) -> None:
    with pytest.raises(DigestInvalid) as caught:
        parse_digest(text)
    assert len(caught.value.message) < 200
    assert caught.value.as_json()["code"] == "registry.digest-invalid"
