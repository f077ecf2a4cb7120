from __future__ import annotations

from typing import Any

from edged.admin.page import page, troubles_of


def test_troubles_are_said_in_words_the_worst_first(well: dict[str, Any], unwell: dict[str, Any]) -> None:
    assert list(troubles_of(well)) == []
    assert list(troubles_of(unwell)) == [
        "node nyc1 in us is silent for 62 s",
        "cart failed on sin1: it <traps>",
        "the certificate of sin1 expires in 3 days",
        "!",
    ]


def test_all_well_is_said_too(well: dict[str, Any]) -> None:
    assert "all well" in page(well).decode()


def test_nothing_that_others_wrote_is_markup(unwell: dict[str, Any]) -> None:
    shown = page(unwell).decode()
    assert "<b>sale" not in shown
    assert "&lt;b&gt;sale" in shown
    assert "<traps>" not in shown
    assert "all well" not in shown
