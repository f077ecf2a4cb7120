"""fermyon:spin/key-value, spin:key-value and wasi:keyvalue, over the engine in memory."""

from __future__ import annotations

import pytest

from edged.host.budget import Budget
from edged.host.interface import Err, Invocation, Ok
from edged.host.key_value.interfaces import (
    SpinKeyValue,
    SpinKeyValue3,
    Stores,
    WasiKeyValueAtomics,
    WasiKeyValueBatch,
    WasiKeyValueStore,
)
from edged.limits import (
    KEY_VALUE_BATCH_BYTES_MAX,
    KEY_VALUE_BATCH_COUNT_MAX,
    KEY_VALUE_KEY_BYTES_MAX,
    KEY_VALUE_KEY_OVERHEAD_BYTES,
    KEY_VALUE_KEYS_MAX,
    KEY_VALUE_PAGE_COUNT,
    KEY_VALUE_STORES_OPEN_MAX,
    KEY_VALUE_SWAPS_OPEN_MAX,
    KEY_VALUE_VALUE_BYTES_MAX,
    ROW_STREAMS_OPEN_MAX,
    ROWS_HELD_BYTES_MAX,
)
from tests.host.fakes import err, invocation
from tests.host.key_value.memory import MemoryKeyValue
from tests.host.reading import outcome, read, read_all

batch, atomics = WasiKeyValueBatch(), WasiKeyValueAtomics()


@pytest.fixture
def memory() -> MemoryKeyValue:
    return MemoryKeyValue()


@pytest.fixture
def stores(memory: MemoryKeyValue) -> Stores:
    return {"default": memory, "unbacked": None}


@pytest.fixture
def call() -> Invocation:
    return invocation(Budget())


def other(text: str) -> object:
    """Expects the error `other` that says so."""
    return pytest.raises(Err, check=lambda e: e.value[0] == "other" and text in e.value[1])


# --- which stores may be opened ---


@pytest.mark.parametrize("label", ["secret", "", "Default", "default "])
def test_a_label_that_is_not_granted(stores, call, label) -> None:
    for spin in (SpinKeyValue, SpinKeyValue3):
        with err("access-denied"):
            spin(stores).store_open(call, label)
    with err("access-denied"):
        WasiKeyValueStore(stores).open(call, label)


def test_a_label_that_nothing_keeps_values_for(stores, call) -> None:
    for spin in (SpinKeyValue, SpinKeyValue3):
        with err("no-such-store"):
            spin(stores).store_open(call, "unbacked")
    with err("no-such-store"):
        WasiKeyValueStore(stores).open(call, "unbacked")


async def test_all_packages_open_the_same_store(stores, call) -> None:
    await SpinKeyValue(stores).store_open(call, "default").set("k", b"v")
    assert await SpinKeyValue3(stores).store_open(call, "default").get("k") == b"v"
    assert await WasiKeyValueStore(stores).open(call, "default").get("k") == b"v"


@pytest.mark.parametrize("interface", [SpinKeyValue, SpinKeyValue3])
def test_open_stores_at_the_limit_and_over(stores, call, interface) -> None:
    spin, wasi = interface(stores), WasiKeyValueStore(stores)
    opened = [spin.store_open(call, "default") for _ in range(KEY_VALUE_STORES_OPEN_MAX - 1)]
    opened.append(wasi.open(call, "default"))
    with err("store-table-full"):
        spin.store_open(call, "default")
    with other("too many"):
        wasi.open(call, "default")
    spin.store_open(invocation(), "default")  # another request has its own
    opened.pop().drop()
    spin.store_open(call, "default")


# --- values ---


@pytest.fixture
def store(stores, call):
    return SpinKeyValue(stores).store_open(call, "default")


@pytest.fixture
def store3(stores, call):
    return SpinKeyValue3(stores).store_open(call, "default")


@pytest.fixture
def bucket(stores, call):
    return WasiKeyValueStore(stores).open(call, "default")


@pytest.mark.parametrize("handle", ["store", "store3", "bucket"])
async def test_values(request, handle) -> None:
    opened = request.getfixturevalue(handle)
    assert await opened.get("k") is None
    assert await opened.exists("k") is False
    await opened.set("k", b"")
    assert await opened.get("k") == b""
    assert await opened.exists("k") is True
    await opened.delete("k")
    await opened.delete("k")
    assert await opened.exists("k") is False


async def test_a_key_at_the_limit_and_over(store, bucket) -> None:
    longest, over = "é" * (KEY_VALUE_KEY_BYTES_MAX // 2) + "a", "é" * (KEY_VALUE_KEY_BYTES_MAX // 2 + 1)
    assert len(longest.encode()) == KEY_VALUE_KEY_BYTES_MAX
    await store.set(longest, b"v")
    assert await bucket.get(longest) == b"v"
    for refused in (
        store.set(over, b""),
        store.delete(over),
        batch.get_many(invocation(), bucket, ["a", over]),
        batch.set_many(invocation(), bucket, [(over, b"")]),
        batch.delete_many(invocation(), bucket, [over]),
        atomics.increment(invocation(), bucket, over, 1),
        atomics.cas_new(invocation(), bucket, over),
    ):
        with other("bytes"):
            await refused
    for answers_at_once in (store.get, store.exists, bucket.get, bucket.exists):
        with other("bytes"):
            answers_at_once(over)


async def test_a_value_at_the_limit_and_over(store, bucket, call, memory) -> None:
    largest = bytes(KEY_VALUE_VALUE_BYTES_MAX)
    await store.set("k", largest)
    assert await store.get("k") == largest
    swap = await atomics.cas_new(call, bucket, "k")
    with other("bytes"):
        await store.set("k", largest + b"x")
    with other("bytes"):
        await batch.set_many(call, bucket, [("a", b""), ("k", largest + b"x")])
    with pytest.raises(Err, check=lambda e: e.value[0] == "store-error"):
        await atomics.swap(call, swap, largest + b"x")
    assert memory.values == {"k": largest}


async def test_all_keys_at_the_limit_and_over(store, memory) -> None:
    memory.values = {f"{number}": b"" for number in range(KEY_VALUE_KEYS_MAX)}
    assert sorted(await store.get_keys()) == sorted(memory.values)
    memory.values["one more"] = b""
    with other("more than"):
        await store.get_keys()


async def test_keys_in_pages(bucket, memory) -> None:
    assert await bucket.list_keys(None) == ([], None)
    memory.values = {f"{number:05}": b"" for number in range(KEY_VALUE_PAGE_COUNT)}
    keys, cursor = await bucket.list_keys(None)
    assert (keys, cursor) == (list(memory.values), None), "one page holds them"
    memory.values["last"] = b""
    keys, cursor = await bucket.list_keys(None)
    assert (len(keys), cursor) == (KEY_VALUE_PAGE_COUNT, keys[-1])
    assert await bucket.list_keys(cursor) == (["last"], None)


async def test_what_the_engine_says_reaches_the_guest(store, bucket, memory, call) -> None:
    swap = await atomics.cas_new(call, bucket, "k")
    memory.broken = "the disk is full"
    for failing in (store.get("k"), bucket.list_keys(None), batch.get_many(call, bucket, ["k"])):
        with err(("other", "the disk is full")):
            await failing
    with err(("store-error", ("other", "the disk is full"))):
        await atomics.swap(call, swap, b"v")


# --- batch ---


async def test_batches(bucket, call, memory) -> None:
    await batch.set_many(call, bucket, [("a", b"1"), ("b", b"2")])
    assert await batch.get_many(call, bucket, ["b", "none", "a"]) == [("b", b"2"), ("none", None), ("a", b"1")]
    await batch.delete_many(call, bucket, ["a", "none"])
    assert memory.values == {"b": b"2"}


async def test_the_count_of_a_batch_at_the_limit_and_over(bucket, call, memory) -> None:
    keys = [f"{number}" for number in range(KEY_VALUE_BATCH_COUNT_MAX)]
    await batch.set_many(call, bucket, [(key, b"") for key in keys])
    assert len(await batch.get_many(call, bucket, keys)) == len(keys)
    keys.append("one more")
    for refused in (
        batch.set_many(call, bucket, [(key, b"") for key in keys]),
        batch.get_many(call, bucket, keys),
        batch.delete_many(call, bucket, keys),
    ):
        with other("more than"):
            await refused
    assert len(memory.values) == KEY_VALUE_BATCH_COUNT_MAX


async def test_the_bytes_of_a_batch_at_the_limit_and_over(bucket, call, memory) -> None:
    count = KEY_VALUE_BATCH_BYTES_MAX // KEY_VALUE_VALUE_BYTES_MAX
    pairs = [(f"{number}", bytes(KEY_VALUE_VALUE_BYTES_MAX)) for number in range(count)]
    await batch.set_many(call, bucket, pairs)
    assert await batch.get_many(call, bucket, [key for key, _ in pairs]) == pairs
    with other("more than"):
        await batch.set_many(call, bucket, [*pairs, ("one more", b"x")])
    memory.values["one more"] = b"x"
    with other("more than"):
        await batch.get_many(call, bucket, list(memory.values))


# --- atomics ---


async def test_increment(bucket, call) -> None:
    assert await atomics.increment(call, bucket, "n", 3) == 3
    assert await atomics.increment(call, bucket, "n", -4) == -1
    await bucket.set("n", b"text")
    with other("number"):
        await atomics.increment(call, bucket, "n", 1)


async def test_a_swap(bucket, call) -> None:
    swap = await atomics.cas_new(call, bucket, "k")
    assert swap.current() is None
    await atomics.swap(call, swap, b"1")
    assert await bucket.get("k") == b"1"


async def test_a_swap_that_came_too_late_is_given_another_try(bucket, call) -> None:
    swap = await atomics.cas_new(call, bucket, "k")
    await bucket.set("k", b"someone else's")
    with pytest.raises(Err) as caught:
        await atomics.swap(call, swap, b"mine")
    case, again = caught.value.value
    assert (case, again.current()) == ("cas-failed", b"someone else's")
    await atomics.swap(call, again, b"mine")
    assert await bucket.get("k") == b"mine"


async def test_swaps_under_way_at_the_limit_and_over(bucket, call) -> None:
    swaps = [await atomics.cas_new(call, bucket, "k") for _ in range(KEY_VALUE_SWAPS_OPEN_MAX)]
    with other("too many"):
        await atomics.cas_new(call, bucket, "k")
    await atomics.swap(call, swaps.pop(), b"done")
    swaps.append(await atomics.cas_new(call, bucket, "k"))
    with pytest.raises(Err):
        await atomics.swap(call, swaps[0], b"late")  # failed, and so still under way
    with other("too many"):
        await atomics.cas_new(call, bucket, "k")
    for swap in swaps:
        swap.drop()
    assert call.budget.key_value_swaps == KEY_VALUE_SWAPS_OPEN_MAX


# --- keys as a stream ---


@pytest.mark.parametrize("count", [0, 1, KEY_VALUE_KEYS_MAX, KEY_VALUE_KEYS_MAX + 1])
async def test_all_keys_as_a_stream(store3, memory, call, count) -> None:
    """It has no limit of keys, but one of those that are held at once."""
    names = [f"{number:05}" for number in range(count)]
    memory.values = dict.fromkeys(reversed(names), b"")
    keys, ended = store3.get_keys()
    assert await read(keys, 10) == names[:10]
    held_bytes = ROWS_HELD_BYTES_MAX - call.budget.row_bytes
    assert held_bytes <= KEY_VALUE_KEYS_MAX * (KEY_VALUE_KEY_OVERHEAD_BYTES + 5)
    assert await read_all(keys, 1000) == names[10:]
    assert await outcome(ended) == Ok()
    assert call.budget.row_bytes == ROWS_HELD_BYTES_MAX


async def test_keys_of_a_store_that_fails(store3, memory, call) -> None:
    memory.values = {f"{number:05}": b"" for number in range(KEY_VALUE_KEYS_MAX + 1)}
    keys, ended = store3.get_keys()
    assert len(await read(keys, KEY_VALUE_KEYS_MAX)) == KEY_VALUE_KEYS_MAX
    memory.broken = "the disk is gone"
    assert await read_all(keys) == []
    assert await outcome(ended) == Err(("other", "the disk is gone"))
    assert call.budget.row_streams == ROW_STREAMS_OPEN_MAX


async def test_keys_that_nobody_reads(store3, memory, call) -> None:
    memory.values = {"a": b"", "b": b""}
    keys, ended = store3.get_keys()
    assert await read(keys, 1) == ["a"]
    keys.close()
    assert await outcome(ended) == Ok()
    assert call.budget.row_bytes == ROWS_HELD_BYTES_MAX
    assert call.budget.row_streams == ROW_STREAMS_OPEN_MAX


async def test_streams_of_keys_at_the_limit_and_over(store3, memory) -> None:
    memory.values = {"a": b""}
    opened = [store3.get_keys() for _ in range(ROW_STREAMS_OPEN_MAX)]
    keys, ended = store3.get_keys()
    assert await read_all(keys) == []
    failed = await outcome(ended)
    assert failed.value[0] == "other"
    assert "too many" in failed.value[1]
    opened[0][0].close()
    keys, _ = store3.get_keys()
    assert await read_all(keys) == ["a"]
