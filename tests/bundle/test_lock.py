"""lock.msgpack: one form, and nothing else is taken."""

from __future__ import annotations

from contextlib import suppress
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.bundle import lock as lock_module
from edged.bundle.lock import Lock, parse_lock
from edged.errors import BundleInvalid
from edged.limits import LOCK_BYTES_MAX
from registry import strict

LOCK = Lock("debug", MappingProxyType({"b": ("/a", "/b/c"), "a": ()}))


def test_round_trip() -> None:
    assert parse_lock(LOCK.encode()) == LOCK
    assert parse_lock(Lock(None, {}).encode()) == Lock(None, {})


def test_order_does_not_matter() -> None:
    assert Lock("debug", {"a": (), "b": ("/b/c", "/a")}).encode() == LOCK.encode()


@given(st.data())
def test_another_byte_is_another_lock_or_none(data: st.DataObject) -> None:
    good = LOCK.encode()
    index = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[index] ^= data.draw(st.integers(1, 255))
    with suppress(BundleInvalid):
        found = parse_lock(bytes(bad))
        assert found != LOCK
        assert found.encode() == bytes(bad)


@pytest.mark.parametrize("cut", range(len(LOCK.encode())))
def test_cut_off_anywhere(cut: int) -> None:
    with pytest.raises(BundleInvalid):
        parse_lock(LOCK.encode()[:cut])


@pytest.mark.parametrize(
    "value",
    [
        {"version": 2, "profile": "", "components": {}},
        {"version": 1, "profile": None, "components": {}},
        {"version": 1, "profile": "", "components": []},
        {"version": 1, "profile": "", "components": {}, "more": 1},
        {"version": 1, "profile": ""},
        {"version": 1, "profile": "", "components": {"../x": []}},
        {"version": 1, "profile": "", "components": {"a": ["b"]}},
        {"version": 1, "profile": "", "components": {"a": ["/"]}},
        {"version": 1, "profile": "", "components": {"a": ["/../b"]}},
        {"version": 1, "profile": "", "components": {"a": ["/b/./c"]}},
        {"version": 1, "profile": "", "components": {"a": ["/b//c"]}},
        {"version": 1, "profile": "", "components": {"a": ["/b\0"]}},
        {"version": 1, "profile": "", "components": {"a": ["/b", "/a"]}},
        {"version": 1, "profile": "", "components": {"a": ["/b", "/b"]}},
        {"version": 1, "profile": "", "components": {"a": [7]}},
        {"version": 1, "profile": "", "components": {"a": "/b"}},
        [],
    ],
)
def test_what_is_no_lock(value: object) -> None:
    with pytest.raises(BundleInvalid):
        parse_lock(strict.encode(value))


def test_at_the_size_limit_and_over() -> None:
    def of_size(count: int) -> bytes:
        around = len(Lock(None, {"a": ("/" + "x" * 100_000,)}).encode()) - 100_000
        return Lock(None, {"a": ("/" + "x" * (count - around),)}).encode()

    assert len(of_size(LOCK_BYTES_MAX)) == LOCK_BYTES_MAX
    parse_lock(of_size(LOCK_BYTES_MAX))
    with pytest.raises(BundleInvalid, match=str(LOCK_BYTES_MAX)):
        parse_lock(of_size(LOCK_BYTES_MAX + 1))


def test_as_many_files_as_may_be_and_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "MOUNT_FILE_COUNT_MAX", 2)
    assert parse_lock(LOCK.encode()) == LOCK
    monkeypatch.setattr(lock_module, "MOUNT_FILE_COUNT_MAX", 1)
    with pytest.raises(BundleInvalid, match="more than 1 files"):
        parse_lock(LOCK.encode())
