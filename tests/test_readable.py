from __future__ import annotations

import pytest

from edged.readable import readable


@pytest.mark.parametrize("text", ["plain", "tab\there", "größe 漢字 🎈", "a\u200db", ""])
def test_what_stays(text: str) -> None:
    assert readable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("a\r\nb", "a\\r\\nb"),
        ("\0\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("a\u2028b", "a\\u2028b"),
        ("\u202eevil", "\\u202eevil"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
    ],
)
def test_what_steers(text: str, shown: str) -> None:
    assert readable(text) == shown


def test_any_value() -> None:
    assert readable(5) == "5"
    assert readable(None) == "None"
