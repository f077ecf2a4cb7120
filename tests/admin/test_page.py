from __future__ import annotations

from dataclasses import replace

from edged.admin.page import page
from edged.status.view import StatusView
from tests.status.anycast import anycast, down, prefix


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


def test_announcing(unwell: StatusView) -> None:
    shown = page(unwell).decode()
    places = [shown.index(text) for text in ("<h2>Nodes", "<h2>Anycast", "<td>no answer", "<td>wrong AS", "<h2>Apps")]
    assert places == sorted(places)
    assert "?, not plain" in shown
    assert "last drain of sin1: drained, 1.5 s, withdrawal seen to be sent, 4 connections closed: ann" in shown


def test_what_routers_say_is_no_markup(well: StatusView) -> None:
    said = anycast(peers=(down("<i>tor", error="<script>x"),), prefixes=(prefix(reason="<b>"),))
    shown = page(replace(well, nodes=(replace(well.nodes[0], anycast=said),))).decode()
    assert not any(text in shown for text in ("<i>", "<script>", "<b>"))


def test_a_fleet_that_announces_nothing_has_no_word_of_it(well: StatusView) -> None:
    assert "Anycast" not in page(well).decode()
