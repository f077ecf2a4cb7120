from __future__ import annotations

import contextlib
import math
import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import Malformed
from registry.limits import RECORD_DEPTH_MAX, RECORD_ITEM_COUNT_MAX
from registry.strict import INTEGER_MAX, INTEGER_MIN, Reader, decode, encode

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(INTEGER_MIN, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5), max_leaves=20
)


@given(VALUES)
def test_what_is_encoded_is_decoded(value: object) -> None:
    data = encode(value)
    assert decode(data, len(data)) == value
    assert encode(decode(data, len(data))) == data


@given(st.dictionaries(st.text(), st.integers(0, 9)), st.randoms())
def test_equal_maps_have_equal_bytes_in_whatever_order_they_were_made(value: dict[str, int], random) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert encode(dict(items)) == encode(value)


@given(VALUES, st.data())
def test_a_mutated_byte_is_refused_or_has_these_very_bytes(value: object, data: st.DataObject) -> None:
    encoded = bytearray(encode(value))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Malformed):
        assert encode(decode(bytes(encoded), len(encoded))) == bytes(encoded)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_are_the_encoding_of_what_they_say(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert encode(decode(data, 200)) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x82\xa1a\x01\xa1a\x01",  # a key twice, with one value
        b"\x82\xa1a\x01\xa1a\x02",
        b"\x82\xa1b\x01\xa1a\x02",  # unsorted
        b"\x01\x01",  # trailing bytes
        b"\x81\xa1a",  # cut off
        b"\xcc\x01",  # 1 in two bytes
        b"\xd1\x00\x01",
        b"\xd9\x01a",  # a text's length in two bytes
        b"\xc5\x00\x01a",
        b"\xdc\x00\x01\x01",
        b"\xde\x00\x00",
        b"\xca\x3f\x80\x00\x00",  # 1.0 in 32 bits
        b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",  # NaN
        b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00",  # infinity
        b"\xcf\x80\x00\x00\x00\x00\x00\x00\x00",  # 2**63
        b"\x81\x01\x01",  # a key that is a number
        b"\x81\xc4\x01a\x01",  # a key that is bytes
        b"\x81\x90\x01",  # a key that is an array
        b"\xd4\x05a",  # an extension type
        b"\xd6\xff\x00\x00\x00\x00",  # a timestamp
        b"\xc7\x00\x05",
        b"\xc1",  # never used
        b"\xa1\xff",  # not UTF-8
        b"\xa3\xed\xa0\x80",  # a surrogate in UTF-8
        b"\xdd\xff\xff\xff\xff",  # 4 billion items
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
    ],
)
def test_other_forms_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode(data, 100)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, INTEGER_MAX + 1, INTEGER_MIN - 1, {1: 2}, {"a": {2}}, "\ud800", object()]
)
def test_what_has_no_encoding_is_refused(value: object) -> None:
    with pytest.raises(Malformed):
        encode([value])


def test_the_bytes_are_bounded() -> None:
    assert decode(b"\xa2ab", 3) == "ab"
    with pytest.raises(Malformed, match="3 bytes, where 2 are allowed"):
        decode(b"\xa2ab", 2)


def test_the_depth_is_bounded() -> None:
    deepest: object = 1
    for _ in range(RECORD_DEPTH_MAX):
        deepest = [deepest]
    assert decode(encode(deepest), 100) == deepest
    with pytest.raises(Malformed, match="inside each other"):
        encode([deepest])
    with pytest.raises(Malformed, match="inside each other"):
        decode(b"\x91" + encode(deepest), 100)


def test_the_items_are_bounded() -> None:
    most = [0] * RECORD_ITEM_COUNT_MAX
    assert decode(encode(most), 100_000) == most
    with pytest.raises(Malformed, match="items"):
        encode([*most, 0])
    with pytest.raises(Malformed, match="items"):
        decode(msgpack.packb([*most, 0]), 100_000)


@pytest.mark.parametrize("head", [b"\xdc\xff\xff", b"\xde\xff\xff\xa0", b"\x91", b"\xdd\x00\x00\xff\xff"])
def test_claims_inside_claims_reserve_little(head: bytes) -> None:
    data = head * (2**20 // len(head))
    tracemalloc.start()
    try:
        with pytest.raises(Malformed):
            decode(data, 2**20)
        # Items are eight bytes each; the library goes 1 024 deep. Most of it is never touched.
        assert tracemalloc.get_traced_memory()[1] < 600 * 2**20
    finally:
        tracemalloc.stop()


def _reader(**fields: object) -> Reader:
    return Reader(fields, "record")


def test_a_reader_gives_fields_of_each_kind() -> None:
    reader = _reader(
        text="a\n", line="a b", word="on", count=3, share=0.5, flag=True, raw=b"x", items=[1], more={"a": 1},
        names=["a", "b"], inner={"x": 1}, inners=[{"x": 2}],
    )  # fmt: skip
    assert reader.text("text", 2) == "a\n"
    assert reader.line("line", 3) == "a b"
    assert reader.choice("word", {"on", "off"}) == "on"
    assert reader.integer("count") == 3
    assert reader.number("share") == 0.5
    assert reader.boolean("flag") is True
    assert reader.bytes_("raw", 1) == b"x"
    assert reader.array("items", 1) == [1]
    assert reader.mapping("more", 1) == {"a": 1}
    assert reader.texts("names", 2, 1) == ("a", "b")
    assert reader.reader("inner").integer("x") == 1
    assert [inner.integer("x") for inner in reader.readers("inners", 1)] == [2]
    reader.end()


@pytest.mark.parametrize(
    ("take", "value", "message"),
    [
        (lambda r: r.text("f", 9), 1, "record.f is a whole number, not text"),
        (lambda r: r.text("f", 1), "é", "record.f is 2 bytes, not 0 to 1"),
        (lambda r: r.line("f", 9), "", "record.f is 0 bytes, not 1 to 9"),
        (lambda r: r.line("f", 9), "a\nb", "record.f has characters that cannot be printed"),
        (lambda r: r.line("f", 9), "a\x1b[m", "record.f has characters that cannot be printed"),
        (lambda r: r.choice("f", {"on", "off"}), "of", "record.f is none of off, on"),
        (lambda r: r.choice("f", {"on"}), ["on"], "record.f is none of on"),
        (lambda r: r.integer("f"), True, "record.f is true or false, not a whole number"),
        (lambda r: r.integer("f"), 1.0, "record.f is a fraction, not a whole number"),
        (lambda r: r.integer("f"), -1, "record.f is -1, not 0 to"),
        (lambda r: r.integer("f", 1, 2), 3, "record.f is 3, not 1 to 2"),
        (lambda r: r.number("f", 0, 1), 1.5, "record.f is 1.5, not 0 to 1"),
        (lambda r: r.number("f"), False, "record.f is true or false, not a number"),
        (lambda r: r.boolean("f"), 1, "record.f is a whole number, not true or false"),
        (lambda r: r.bytes_("f", 9), "x", "record.f is text, not bytes"),
        (lambda r: r.bytes_("f", 9, bytes_min=2), b"x", "record.f is 1 bytes, not 2 to 9"),
        (lambda r: r.array("f", 1), {}, "record.f is a map, not an array"),
        (lambda r: r.array("f", 1), [1, 2], "record.f is 2 items, not 0 to 1"),
        (lambda r: r.mapping("f", 1), None, "record.f is nothing, not a map"),
        (lambda r: r.mapping("f", 1), {"a": 1, "b": 2}, "record.f is 2 items, not 0 to 1"),
        (lambda r: r.texts("f", 9, 9), ["a", 2], "record.f.1 is a whole number, not text"),
        (lambda r: r.reader("f"), [], "record.f is an array, not a map"),
        (lambda r: r.readers("f", 9), [{}, 1], r"record.f\[1\] is a whole number, not a map"),
        (lambda r: r.end(), 1, "record has an unknown field 'f'"),
        (lambda r: r.text("g", 9), 1, "record has no field 'g'"),
    ],
)
def test_a_reader_says_what_is_wrong_with_a_field(take, value: object, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        take(_reader(f=value))


def test_a_field_is_taken_once() -> None:
    reader = _reader(f=1)
    reader.integer("f")
    with pytest.raises(Malformed, match="no field 'f'"):
        reader.integer("f")
