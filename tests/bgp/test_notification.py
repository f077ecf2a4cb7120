"""NOTIFICATION messages in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.limits import NOTIFICATION_TEXT_CHARS_MAX
from bgp.notification import explain


@pytest.mark.parametrize(
    ("code", "subcode", "part"),
    [
        (2, 2, "wrong AS number"),
        (2, 6, "hold time"),
        (4, 0, "hold timer expired"),
        (6, 1, "Maximum Number of Prefixes"),
        (6, 2, "administrative shutdown"),
        (6, 7, "collision"),
        (6, 10, "BFD"),
    ],
)
def test_well_known_reasons(code: int, subcode: int, part: str) -> None:
    error, remedy = explain("received", code, subcode)
    assert error.startswith("the router ended the session: ")
    assert part in error
    assert remedy


def test_who_said_it_decides_on_the_remedy() -> None:
    received, sent = explain("received", 6, 2), explain("sent", 6, 2)
    assert received.error.startswith("the router")
    assert sent.error.startswith("we")
    assert received.remedy != sent.remedy


def test_an_unknown_subcode_has_the_meaning_of_its_code() -> None:
    assert "Cease" in explain("received", 6, 99).error
    assert "(6/99)" in explain("received", 6, 99).error


def test_an_unknown_code_is_said_by_number() -> None:
    assert "(99/1)" in explain("received", 99, 1).error


def test_what_the_router_adds_is_passed_on() -> None:
    assert explain("received", 6, 2, "upgrade till noon").error.endswith('saying "upgrade till noon"')


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("Cease / Administrative Shutdown", "(6/2)"),
        ('Cease / Administrative Shutdown / Shutdown Communication: "till 12 / noon"', 'saying "till 12 / noon"'),
        ("Cease / Administrative Shutdown / 0102", 'saying "0102"'),
    ],
)
def test_names_that_come_with_the_codes_are_not_said_twice(text: str, end: str) -> None:
    assert explain("received", 6, 2, text).error.endswith(end)


def test_a_text_at_the_limit_stays_and_one_more_is_cut() -> None:
    longest = "x" * NOTIFICATION_TEXT_CHARS_MAX
    assert longest in explain("received", 6, 2, longest).error
    assert longest + "y" not in explain("received", 6, 2, longest + "y").error


@given(st.sampled_from(["received", "sent"]), st.integers(0, 255), st.integers(0, 255), st.text())
def test_any_is_one_printable_sentence(direction: str, code: int, subcode: int, text: str) -> None:
    error, remedy = explain(direction, code, subcode, text)  # type: ignore[arg-type]
    assert error.isprintable()
    assert remedy.endswith(".")
