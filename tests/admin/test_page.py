from __future__ import annotations

from dataclasses import replace

from edged.admin.page import page
from edged.status.view import StatusView


def test_what_is_wrong_is_said_first(unwell: StatusView) -> None:
    shown = page(unwell).decode()
    said = ["nyc1", "it &lt;traps&gt;", "sin1 expires in 3 days", "<h2>Nodes"]
    places = [shown.index(text) for text in said]
    assert places == sorted(places)


def test_all_well_is_said_too(well: StatusView) -> None:
    assert "all well" in page(well).decode()


def test_nothing_that_others_wrote_is_markup(unwell: StatusView) -> None:
    shown = page(unwell).decode()
    assert "<b>sale" not in shown
    assert "&lt;b&gt;sale" in shown
    assert "<traps>" not in shown
    assert "all well" not in shown


def test_an_app_without_hosts_is_below_the_domain_of_the_fleet(well: StatusView) -> None:
    apps = (replace(well.apps[0], hosts=()),)
    assert "<td>cart.shop.example<td" in page(replace(well, apps=apps)).decode()
