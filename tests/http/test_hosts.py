"""Which entry a host belongs to."""

from __future__ import annotations

import pytest

from edged.http.hosts import HostTable, host_of

TABLE = HostTable(
    [("example.com", "exact"), ("*.example.com", "below"), ("*.eu.example.com", "eu"), ("[::1]", "six"), ("*", "rest")]
)


@pytest.mark.parametrize(
    ("authority", "target"),
    [
        ("example.com", "exact"),
        ("Example.COM.:8080", "exact"),
        ("a.example.com", "below"),
        ("b.a.example.com:443", "below"),
        ("eu.example.com", "below"),
        ("a.eu.example.com", "eu"),
        ("[::1]:80", "six"),
        ("[::2]", "rest"),
        ("com", "rest"),
        ("notexample.com", "rest"),
        ("", "rest"),
        ("*.example.com", "below"),
    ],
)
def test_the_most_exact_entry_wins(authority, target) -> None:
    assert TABLE.find(authority) == target


def test_a_host_that_no_entry_matches() -> None:
    assert HostTable([("a.b", 1)]).find("c.b") is None
    assert HostTable([("*.b", 1)]).find("b") is None
    assert HostTable(()).find("a") is None


def test_a_table_of_one_app_looks_at_nothing() -> None:
    assert HostTable([("*", 1)]).find("\0 no host at all") == 1


@pytest.mark.parametrize("twice", ["a.b", "A.B", "a.b."])
def test_a_host_belongs_to_one(twice) -> None:
    with pytest.raises(ValueError, match=r"^a\.b$"):
        HostTable([("a.b", 1), (twice, 2)])


@pytest.mark.parametrize(
    ("authority", "host"), [("a:1", "a"), ("[::1]", "[::1]"), ("[::1]:1", "[::1]"), ("A.b.", "a.b")]
)
def test_the_host_of_an_authority(authority, host) -> None:
    assert host_of(authority) == host
