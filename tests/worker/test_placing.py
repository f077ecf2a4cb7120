"""Which sites are served, and who stands back for whom."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from edged.worker.placing import place
from edged.worker.table import Site, Table


def site(key: str, *hosts: str, serve: bool = True) -> Site:
    app = key.partition("@")[0]
    return Site(key, app, "/folder", hosts or (f"{app}.test",), serve=serve)


def served(sites: Collection[Site], ready: Collection[str], serving: Mapping[str, str] | None = None) -> set[str]:
    placing = place(Table(1, tuple(sites)), ready, serving or {})
    return {each.key for each in placing.serve.values()}


OLD, NEW = site("a@1"), site("a@2")
OLD_KEPT, NEW_CANDIDATE = site("a@1", serve=False), site("a@2", serve=False)


@pytest.mark.parametrize(
    ("sites", "ready", "serving", "expected"),
    [
        ([], {"a@1"}, {"a": "a@1"}, set()),
        ([OLD], set(), {}, set()),
        ([OLD], {"a@1"}, {}, {"a@1"}),
        ([NEW_CANDIDATE], {"a@2"}, {}, set()),
        ([OLD, NEW_CANDIDATE], {"a@1", "a@2"}, {"a": "a@1"}, {"a@1"}),
        ([OLD, NEW], {"a@1"}, {"a": "a@1"}, {"a@1"}),
        ([OLD, NEW], {"a@1", "a@2"}, {"a": "a@1"}, {"a@2"}),
        ([OLD_KEPT, NEW], {"a@1"}, {"a": "a@1"}, {"a@1"}),
        ([NEW, OLD_KEPT], {"a@1"}, {"a": "a@1"}, {"a@1"}),
        ([OLD_KEPT, NEW], {"a@1", "a@2"}, {"a": "a@1"}, {"a@2"}),
        ([NEW, OLD_KEPT], {"a@1", "a@2"}, {"a": "a@1"}, {"a@2"}),
        ([OLD_KEPT, NEW], {"a@1"}, {}, set()),
        ([OLD_KEPT], {"a@1"}, {"a": "a@1"}, set()),
        ([NEW], {"a@1"}, {"a": "a@1"}, set()),
        ([OLD, site("b@1")], {"a@1", "b@1"}, {}, {"a@1", "b@1"}),
    ],
    ids=[
        "gone",
        "not-ready",
        "first",
        "candidate-alone",
        "candidate-beside",
        "next-not-ready",
        "next-ready",
        "kept-until-next-is-ready",
        "in-either-order",
        "swapped",
        "swapped-in-either-order",
        "kept-but-never-served-here",
        "no-more-served",
        "not-in-the-table",
        "two-apps",
    ],
)
def test_what_is_served(sites: list[Site], ready: set[str], serving: dict[str, str], expected: set[str]) -> None:
    assert served(sites, ready, serving) == expected


def refused(sites: Collection[Site], serving: Mapping[str, str] | None = None) -> dict[str, str]:
    ready = {each.key for each in sites}
    return {key: error.message for key, error in place(Table(1, tuple(sites)), ready, serving or {}).refused.items()}


def test_a_host_is_the_first_ones() -> None:
    sites = [site("a@1", "x.test"), site("b@1", "y.test", "X.TEST.")]
    assert refused(sites) == {"b@1": "the host x.test belongs to the app a"}
    assert served(sites, {"a@1", "b@1"}) == {"a@1"}


def test_whoever_is_served_keeps_its_hosts() -> None:
    sites = [site("a@1", "x.test"), site("b@1", "x.test")]
    assert refused(sites, {"b": "b@1"}).keys() == {"a@1"}
    assert served(sites, {"a@1", "b@1"}, {"b": "b@1"}) == {"b@1"}


def test_a_candidate_takes_nothing_from_what_should_be_served() -> None:
    sites = [site("a@1", "x.test", serve=False), site("b@1", "x.test")]
    assert refused(sites).keys() == {"a@1"}


def test_releases_of_one_app_share_its_hosts() -> None:
    assert refused([site("a@1", "x.test"), site("a@2", "x.test", serve=False)]) == {}


def test_a_name_below_is_another_host() -> None:
    assert refused([site("a@1", "*"), site("b@1", "*.x.test"), site("c@1", "y.x.test")]) == {}
