"""Single values: what is taken, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.fleet import names
from provisioning import inventory_fields as fields
from provisioning.inventory_fields import Field, Wrong, array, free_table, one_of, record
from provisioning.limits import DEPTH_MAX, TEXT_CHARS_MAX

HOSTILE = ["", " ", "a b", "a\nb", "a'b", 'a"b', "a`b", "a$(b)", "a;b", "a#b", "a: b", "a\\b", "a\0b", "a\x85b", "ä"]
"""No name, address, URL or path has any of these."""


@pytest.mark.parametrize(
    ("parse", "value", "parsed"),
    [
        (fields.label, "a", "a"),
        (fields.label, "ams-2", "ams-2"),
        (fields.label, "a" * 63, "a" * 63),
        (fields.host_port, "203.0.113.7:7400", "203.0.113.7:7400"),
        (fields.host_port, "a.example.com:1", "a.example.com:1"),
        (fields.host_port, "[2001:db8::1]:65535", "[2001:db8::1]:65535"),
        (fields.sha256, "0" * 64, "0" * 64),
        (fields.url, "http://203.0.113.7:7402/edged/{sha256}", "http://203.0.113.7:7402/edged/{sha256}"),
        (fields.url, "https://a.example.com", "https://a.example.com"),
        (fields.url, "http://[2001:db8::1]:80/a_b~c+d=e,f/g-h.i", "http://[2001:db8::1]:80/a_b~c+d=e,f/g-h.i"),
        (fields.absolute_path, "/media/edged", "/media/edged"),
        (fields.mac, "52:54:00:AB:cd:56", "52:54:00:ab:cd:56"),
        (fields.ip, "192.0.2.1", "192.0.2.1"),
        (fields.ip, "2001:DB8:0::1", "2001:db8::1"),
        (fields.interface, "192.0.2.10/24", "192.0.2.10/24"),
        (fields.interface, "2001:db8::10/64", "2001:db8::10/64"),
        (fields.text, "x" * TEXT_CHARS_MAX, "x" * TEXT_CHARS_MAX),
        (fields.text, "wörter # : ' \"", "wörter # : ' \""),
        (fields.boolean, True, True),
    ],
)
def test_taken(parse: Any, value: object, parsed: object) -> None:
    assert parse(value) == parsed


@pytest.mark.parametrize(
    ("parse", "values"),
    [
        (fields.label, ["A", "-a", "a-", "a.b", "a" * 64, 1, None, *HOSTILE]),
        (
            fields.host_port,
            ["a", "a:", "a:0", "a:65536", ":80", "2001:db8::1:80", "[::ffff:1.2.3]:80", "a/b:80", "[]:80", *HOSTILE],
        ),
        (fields.sha256, ["0" * 63, "0" * 65, "A" * 64, *HOSTILE]),
        (
            fields.url,
            ["ftp://a/b", "file:///a", "//a", "http:a", "http://", "http://a:123456/", "http://a/%zz", *HOSTILE],
        ),
        (fields.absolute_path, ["a", "a/b", "/", "/a/", "/a//b", "/a/../b", "/..", *HOSTILE]),
        (fields.mac, ["52:54:00:12:34", "52-54-00-12-34-56", "52:54:00:12:34:5g", *HOSTILE]),
        (fields.ip, ["192.0.2", "192.0.2.1/24", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", *HOSTILE]),
        (fields.interface, ["192.0.2.10", "192.0.2.10/33", "192.0.2.10/", "0.0.0.0/0", "fe80::1%a/64", *HOSTILE]),
        (fields.text, ["x" * (TEXT_CHARS_MAX + 1), "a\nb", "a\tb", "a\x85b", "a\u2028b", "\ufeff", "\x7f", 1]),
        (fields.boolean, [0, 1, "true"]),
        (one_of(["a", "b"]), ["c", "", 1]),
    ],
)
def test_refused(parse: Any, values: list[object]) -> None:
    for value in values:
        with pytest.raises(Wrong) as caught:
            parse(value)
        assert caught.value.reason.isprintable()


@pytest.mark.parametrize("url", ["http://user:secret@a.example.com/x", "https://a.example.com/x?token=secret"])
def test_a_url_with_a_secret_is_not_repeated(url: str) -> None:
    with pytest.raises(Wrong, match="may hold no secret") as caught:
        fields.url(url)
    assert "secret@" not in caught.value.reason
    assert "=secret" not in caught.value.reason


def test_a_record_says_what_is_missing_unknown_and_wrong_inside() -> None:
    parse = record({"name": Field(fields.label, required=True), "in": Field(record({"mac": Field(fields.mac)}))})
    assert parse({"name": "a"}) == {"name": "a"}
    for value, keys, reason in [
        ({}, ("name",), "is missing"),
        ({"name": "a", "nam": "b"}, ("nam",), "is not known; is 'name' meant?"),
        ({"name": "a", "zzz": "b"}, ("zzz",), "is not known"),
        ({"name": "a", "in": {"mac": 1}}, ("in", "mac"), "is not text"),
        ({"name": "a", "in": 1}, ("in",), "is not a table"),
        ("text", (), "is not a table"),
    ]:
        with pytest.raises(Wrong) as caught:
            parse(value)
        assert (caught.value.keys, caught.value.reason) == (keys, reason)


def test_an_array_has_a_limit_and_nothing_twice() -> None:
    parse = array(fields.label, 2)
    assert parse(["a", "b"]) == ("a", "b")
    for value, keys in [(["a", "b", "c"], ()), (["a", "a"], ()), (["a", "B"], ("[1]",)), ("a", ())]:
        with pytest.raises(Wrong) as caught:
            parse(value)
        assert caught.value.keys == keys


def nested(depth: int) -> dict[str, Any]:
    return {"a": nested(depth - 1)} if depth else {}


def test_a_free_table() -> None:
    table = {"a": ["x", 1, True, 1.5, {"b": [[]]}], "c d": {}, "n": 2**53 - 1}
    assert free_table(table) == table
    assert free_table(nested(DEPTH_MAX)) == nested(DEPTH_MAX)
    for value in [
        nested(DEPTH_MAX + 1),
        {"a": 2**53},
        {"a": float("nan")},
        {"a": None},
        {"a": "x\ny"},
        {"x\ny": 1},
        [],
    ]:
        with pytest.raises(Wrong):
            free_table(value)


@given(
    st.from_regex(r"[a-zA-Z0-9.:\[\]-]{1,30}", fullmatch=True) | st.sampled_from(["a.example.com:80", "[::1]:80", "a"])
)
def test_the_fleet_takes_what_is_taken_here(text: str) -> None:
    """A machine whose voucher the fleet would refuse must not come so far."""
    for parse, check in ((fields.label, names.check_label), (fields.host_port, names.check_address)):
        try:
            parse(text)
        except Wrong:
            continue
        assert check(text, "x") == text
