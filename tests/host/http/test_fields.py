"""wasi:http/types fields"""

from __future__ import annotations

import pytest

from edged.errors import GuestBudgetExhausted
from edged.host.budget import Budget
from edged.host.http.fields import FORBIDDEN, NOT_IN_TRAILERS, Fields, content_length
from edged.limits import FIELD_OVERHEAD_BYTES, FIELDS_BYTES_MAX, FIELDS_HELD_BYTES_MAX
from tests.host.fakes import err

ENTRIES = [("accept", b"a"), ("x-one", b"1"), ("accept", b"b")]


def filled():
    return Fields.from_entries(ENTRIES)


def test_empty_fields() -> None:
    fields = Fields()
    assert fields.entries() == []
    assert fields.get("x") == []
    assert not fields.has("x")
    fields.delete("x")


def test_fields_keep_their_order() -> None:
    assert filled().entries() == ENTRIES
    assert filled().headers() == [(b"accept", b"a"), (b"x-one", b"1"), (b"accept", b"b")]


def test_names_know_no_case() -> None:
    fields = Fields.from_entries([("X-One", b"1")])
    fields.append("x-ONE", b"2")
    assert fields.entries() == [("x-one", b"1"), ("x-one", b"2")]
    assert fields.get("X-one") == [b"1", b"2"]
    assert fields.has("X-ONE")
    fields.set("x-One", [b"3"])
    assert fields.get("x-one") == [b"3"]
    fields.delete("X-oNe")
    assert fields.entries() == []


def test_set_replaces_all_values() -> None:
    fields = filled()
    fields.set("accept", [b"c", b"d"])
    assert fields.entries() == [("x-one", b"1"), ("accept", b"c"), ("accept", b"d")]
    fields.set("accept", [])
    assert not fields.has("accept")


def test_a_present_field_may_be_empty() -> None:
    fields = Fields.from_entries([("x", b"")])
    assert fields.has("x")
    assert fields.get("x") == [b""]


def test_delete_and_append() -> None:
    fields = filled()
    fields.delete("accept")
    fields.append("accept", b"c")
    assert fields.entries() == [("x-one", b"1"), ("accept", b"c")]


def test_a_clone_is_mutable_and_its_own() -> None:
    original = Fields(ENTRIES.copy(), mutable=False)
    clone = original.clone()
    clone.append("x", b"y")
    assert clone.entries() == [*ENTRIES, ("x", b"y")]
    assert original.entries() == ENTRIES
    changed = filled()
    twin = changed.clone()
    changed.delete("accept")
    assert twin.entries() == ENTRIES


def test_a_view_is_immutable() -> None:
    with err("immutable"):
        filled().view().delete("accept")


# --- header-error ---

WAYS_TO_WRITE = [
    lambda fields, name, value: fields.append(name, value),
    lambda fields, name, value: fields.set(name, [value]),
    lambda fields, name, value: Fields.from_entries([("a", b""), (name, value)]),
]


@pytest.mark.parametrize("write", WAYS_TO_WRITE)
@pytest.mark.parametrize("name", ["", " ", "a b", "a:", "ä", "a\n", "a\r\nb", "(", "a\0", ":path", "a,b", "a/b"])
def test_names_that_are_no_tokens(write, name) -> None:
    with err("invalid-syntax"):
        write(Fields(), name, b"x")


@pytest.mark.parametrize("write", WAYS_TO_WRITE)
@pytest.mark.parametrize("value", [b"a\n", b"a\r\nx: y", b"\0", b"\x1b[0m", b"\x7f", b"\x01"])
def test_values_with_control_characters(write, value) -> None:
    with err("invalid-syntax"):
        write(Fields(), "x", value)


@pytest.mark.parametrize("write", WAYS_TO_WRITE[:2])
@pytest.mark.parametrize(
    "value", [b"", b"a b", b"a\tb", "ä".encode(), b"\x80\xff", b"!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"]
)
@pytest.mark.parametrize("name", ["x", "X-1", "!#$%&'*+-.^_`|~"])
def test_names_and_values_that_are_fine(write, name, value) -> None:
    fields = Fields()
    write(fields, name, value)
    assert fields.get(name) == [value]


def test_whitespace_around_a_value_is_not_part_of_it() -> None:
    assert Fields.from_entries([("x", b" \t a b\t ")]).get("x") == [b"a b"]


@pytest.mark.parametrize("write", WAYS_TO_WRITE)
@pytest.mark.parametrize("name", [*sorted(FORBIDDEN), "Transfer-Encoding", "HOST"])
def test_what_belongs_to_the_connection_is_forbidden(write, name) -> None:
    with err("forbidden"):
        write(Fields(), name, b"x")


def test_the_forbidden_names() -> None:
    assert sorted(FORBIDDEN) == [
        "connection",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ]


@pytest.mark.parametrize("name", ["te", "content-length", "authorization", "set-cookie", "spin-full-url"])
def test_other_names_are_not(name) -> None:
    Fields().append(name, b"x")


def test_deleting_is_checked_too() -> None:
    with err("invalid-syntax"):
        Fields().delete("a b")
    with err("forbidden"):
        Fields().delete("Host")


def test_immutable_fields_stay_as_they_are() -> None:
    fields = Fields(ENTRIES.copy(), mutable=False)
    for call in (
        lambda: fields.append("x", b"y"),
        lambda: fields.set("x", [b"y"]),
        lambda: fields.delete("accept"),
        lambda: fields.append("host", b"y"),
    ):
        with err("immutable"):
            call()
    assert fields.entries() == ENTRIES
    assert fields.get("accept") == [b"a", b"b"]


def test_a_refused_set_changes_nothing() -> None:
    fields = filled()
    with err("invalid-syntax"):
        fields.set("accept", [b"c", b"\n"])
    assert fields.entries() == ENTRIES


# --- the size ---


def test_fields_may_be_so_large_and_not_one_byte_larger() -> None:
    room = FIELDS_BYTES_MAX - FIELD_OVERHEAD_BYTES - 1
    Fields().append("x", bytes(room).replace(b"\0", b"x"))
    with pytest.raises(GuestBudgetExhausted):
        Fields().append("x", b"x" * (room + 1))
    fields = Fields()
    fields.append("x", b"x" * room)
    with pytest.raises(GuestBudgetExhausted):
        fields.append("y", b"")


def test_empty_fields_are_not_free() -> None:
    fields = Fields()
    count = FIELDS_BYTES_MAX // (FIELD_OVERHEAD_BYTES + 1)
    for _ in range(count):
        fields.append("x", b"")
    with pytest.raises(GuestBudgetExhausted):
        fields.append("x", b"")


def test_what_was_removed_no_longer_counts() -> None:
    fields = Fields()
    for _ in range(5):
        fields.set("x", [b"x" * (FIELDS_BYTES_MAX // 2)])
    for _ in range(5):
        fields.delete("x")
        fields.append("x", b"x" * (FIELDS_BYTES_MAX // 2))
    clone = fields.clone()
    with pytest.raises(GuestBudgetExhausted):
        clone.append("y", b"x" * (FIELDS_BYTES_MAX // 2))


# --- to and from the network ---


def test_received_fields_are_immutable_and_without_what_belongs_to_the_connection() -> None:
    fields = Fields.received([(b"host", b"h"), (b"accept", b"\xff"), (b"connection", b"close"), (b"te", b"trailers")])
    assert fields.entries() == [("accept", b"\xff"), ("te", b"trailers")]
    with err("immutable"):
        fields.append("x", b"y")


def test_trailers_leave_out_what_may_not_be_there() -> None:
    fields = Fields.from_entries([(name, b"1") for name in sorted(NOT_IN_TRAILERS)])
    fields.append("server-timing", b"db;dur=53")
    assert fields.trailers() == [(b"server-timing", b"db;dur=53")]


@pytest.mark.parametrize(("values", "length"), [([], None), ([b"0"], 0), ([b"1234"], 1234), ([b"5", b"5"], 5)])
def test_content_length(values, length) -> None:
    assert content_length(Fields.from_entries([("Content-Length", value) for value in values])) == length


@pytest.mark.parametrize(
    "values", [[b""], [b"x"], [b"-1"], [b"+1"], [b"1.0"], [b"1, 1"], [b"0x1"], [b"1", b"2"], [b"9" * 19]]
)
def test_content_lengths_that_are_none(values) -> None:
    with pytest.raises(ValueError, match="content-length"):
        content_length(Fields.from_entries([("content-length", value) for value in values]))


# --- all fields of a request ---


def test_a_request_may_have_so_many_fields_and_no_more() -> None:
    budget = Budget()
    one = [("a", b"x" * (FIELDS_BYTES_MAX - FIELD_OVERHEAD_BYTES - 1))]
    kept = [Fields.from_entries(one, budget) for _ in range(FIELDS_HELD_BYTES_MAX // FIELDS_BYTES_MAX)]
    assert budget.fields_bytes == 0
    for more in (
        kept[0].clone,
        lambda: Fields(budget=budget).append("a", b""),
        lambda: Fields.from_entries(one, budget),
    ):
        with pytest.raises(GuestBudgetExhausted):
            more()


def test_what_is_dropped_or_deleted_is_given_back() -> None:
    budget = Budget()
    fields = Fields.from_entries([("a", b"1"), ("b", b"2")], budget)
    clone = fields.clone()
    clone.delete("a")
    clone.set("b", [b"three", b"four"])
    clone.append("c", b"5")
    assert budget.fields_bytes < FIELDS_HELD_BYTES_MAX
    clone.drop()
    fields.drop()
    assert budget.fields_bytes == FIELDS_HELD_BYTES_MAX


def test_what_came_from_the_network_costs_when_it_is_cloned() -> None:
    budget = Budget()
    received = Fields.received([(b"a", b"1")], budget)
    assert budget.fields_bytes == FIELDS_HELD_BYTES_MAX
    clone = received.view().clone()
    assert budget.fields_bytes == FIELDS_HELD_BYTES_MAX - FIELD_OVERHEAD_BYTES - 2
    clone.drop()
    received.drop()
    assert budget.fields_bytes == FIELDS_HELD_BYTES_MAX
