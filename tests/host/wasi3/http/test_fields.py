"""resource fields of 0.3: what it has more than 0.2's."""

from __future__ import annotations

import pytest

from edged.errors import GuestBudgetExhausted
from edged.host.budget import Budget
from edged.host.wasi3.http.fields import Fields
from edged.limits import FIELD_OVERHEAD_BYTES, FIELDS_BYTES_MAX, HEADER_BYTES_MAX, HEADER_COUNT_MAX
from tests.host.fakes import err

MOST = FIELDS_BYTES_MAX - FIELD_OVERHEAD_BYTES - 1


def test_getting_and_deleting() -> None:
    fields = Fields.from_entries([("A", b"1"), ("b", b"2"), ("a", b"3")])
    assert list(fields.get_and_delete("a")) == [b"1", b"3"]
    assert list(fields.copy_all()) == [("b", b"2")]
    assert list(fields.get_and_delete("a")) == []
    with err("invalid-syntax"):
        fields.get_and_delete("a b")
    with err("forbidden"):
        fields.get_and_delete("host")
    with err("immutable"):
        fields.view().get_and_delete("b")
    assert fields.has("b")


def test_copies_and_views_are_of_the_same_class() -> None:
    fields = Fields.received([(b"a", b"1"), (b"connection", b"close")])
    assert type(fields) is type(fields.view()) is type(fields.clone()) is Fields
    assert list(fields.copy_all()) == [("a", b"1")]
    with err("immutable"):
        fields.append("b", b"")
    clone = fields.clone()
    clone.append("b", b"2")
    assert not fields.has("b")


def test_the_guest_is_told_of_fields_that_are_too_large() -> None:
    fields = Fields()
    fields.append("a", b"x" * MOST)
    with err("size-exceeded"):
        fields.append("b", b"")
    with err("size-exceeded"):
        fields.set("a", [b"x" * (MOST + 1)])
    assert [len(value) for value in fields.get("a")] == [MOST]
    fields.set("a", [b"y" * MOST])
    assert fields.get("a")[0][:1] == b"y"
    with err("size-exceeded"):
        Fields.from_entries([("a", b"x" * (MOST + 1))])
    Fields.from_entries([("a", b"x" * MOST)])


def test_all_that_can_be_received_can_be_cloned() -> None:
    size = HEADER_BYTES_MAX // HEADER_COUNT_MAX
    Fields.received([(b"n", b"x" * size)] * (HEADER_COUNT_MAX + 20)).clone()


def test_a_request_has_a_budget_for_all_of_its_fields() -> None:
    budget = Budget(fields_bytes=FIELD_OVERHEAD_BYTES + 2)
    fields = Fields(budget=budget)
    fields.append("a", b"1")
    with pytest.raises(GuestBudgetExhausted):
        fields.clone()
