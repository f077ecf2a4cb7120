"""Who is asked for what: nearest first, several at once, never twice, and whoever is of no use no more."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as some

from registry.blob import Chunk
from registry.digest import digest_of
from registry.limits import (
    TRANSFER_LACKS_MAX,
    TRANSFER_SOURCE_COUNT,
    TRANSFER_STALL_S,
    TRANSFER_WINDOW_BYTES,
    TRANSFER_WINDOW_COUNT,
)
from registry.rate import TokenBucket
from registry.transfer import Ask, Transfer


def chunks(count: int, size: int = 100_000) -> list[Chunk]:
    return [Chunk(digest_of(b"%d" % number), size) for number in range(count)]


def by_source(asks: list[Ask]) -> dict[str, int]:
    found: dict[str, int] = {}
    for ask in asks:
        found[ask.source] = found.get(ask.source, 0) + 1
    return found


def test_nothing_wanted_is_done() -> None:
    transfer = Transfer([])
    assert transfer.is_done
    assert not transfer.is_stuck
    assert transfer.asks(0) == []
    assert transfer.wake_s(0) is None


def test_a_chunk_that_comes_twice_is_wanted_once() -> None:
    transfer = Transfer(chunks(2) + chunks(2))
    transfer.add_source("a", 1)
    assert transfer.bytes_total == 200_000
    assert [ask.chunk for ask in transfer.asks(0)] == chunks(2)


def test_without_sources_it_is_stuck_until_one_comes() -> None:
    transfer = Transfer(chunks(1))
    assert transfer.is_stuck
    transfer.add_source("a", 1)
    assert not transfer.is_stuck
    assert transfer.asks(0) == [Ask("a", chunks(1)[0])]


def test_the_nearest_are_asked_and_only_so_many() -> None:
    transfer = Transfer(chunks(500))
    for distance, name in enumerate("fedcba"):
        transfer.add_source(name, distance)
    assert transfer.sources == tuple("fedcba")
    asked = by_source(transfer.asks(0))
    assert list(asked) == list("fedcba")[:TRANSFER_SOURCE_COUNT]
    assert set(asked.values()) == {TRANSFER_WINDOW_COUNT}
    assert transfer.asks(0) == []


def test_the_window_counts_bytes_and_one_chunk_always_fits() -> None:
    size = TRANSFER_WINDOW_BYTES // 2
    transfer = Transfer(chunks(9, size))
    transfer.add_source("a", 1)
    asks = transfer.asks(0)
    assert len(asks) == 2
    transfer.delivered("a", asks[0].chunk.digest, 1)
    assert len(transfer.asks(1)) == 1
    huge = Transfer(chunks(2, TRANSFER_WINDOW_BYTES + 1))
    huge.add_source("a", 1)
    assert len(huge.asks(0)) == 1


def test_what_a_dropped_source_owed_is_asked_of_others() -> None:
    transfer = Transfer(chunks(3))
    transfer.add_source("liar", 1)
    transfer.add_source("honest", 2)
    owed = transfer.asks(0)
    assert {ask.source for ask in owed} == {"liar"}
    transfer.failed("liar", "lied", "other bytes")
    again = transfer.asks(1)
    assert [ask.chunk for ask in again] == [ask.chunk for ask in owed]
    assert {ask.source for ask in again} == {"honest"}
    assert transfer.dropped == {"liar": "lied: other bytes"}
    transfer.add_source("liar", 0)
    assert transfer.sources == ("honest",)


def test_what_comes_late_from_a_dropped_source_counts() -> None:
    transfer = Transfer(chunks(1))
    transfer.add_source("slow", 1)
    [ask] = transfer.asks(0)
    transfer.remove_source("slow", "the link broke")
    transfer.delivered("slow", ask.chunk.digest, 1)
    assert transfer.is_done
    transfer.add_source("other", 1)
    assert transfer.asks(1) == []


def test_a_source_is_given_up_when_nothing_comes_and_not_while_something_does() -> None:
    transfer = Transfer(chunks(3))
    transfer.add_source("a", 1)
    asks = transfer.asks(0)
    assert transfer.wake_s(0) == TRANSFER_STALL_S
    transfer.expire(TRANSFER_STALL_S - 0.1)
    transfer.delivered("a", asks[0].chunk.digest, TRANSFER_STALL_S - 0.1)
    transfer.expire(2 * TRANSFER_STALL_S - 0.2)
    assert not transfer.dropped
    transfer.expire(2 * TRANSFER_STALL_S - 0.1)
    assert transfer.is_stuck
    assert transfer.dropped["a"].startswith("stalled")


def test_who_wakes_when_it_is_time_finds_that_it_is_time() -> None:
    times = (60 + step / 997 for step in range(10_000))
    asked_at = next(at for at in times if (at + TRANSFER_STALL_S) - at < TRANSFER_STALL_S)  # floats round
    transfer = Transfer(chunks(1))
    transfer.add_source("a", 1)
    transfer.asks(asked_at)
    now = asked_at + TRANSFER_STALL_S
    assert transfer.wake_s(now) == 0
    transfer.expire(now)
    assert transfer.is_stuck


def test_a_source_that_was_not_asked_for_long_does_not_stall_at_once() -> None:
    transfer = Transfer(chunks(1), TokenBucket(1, 100_000, 0))
    transfer.add_source("a", 1)
    transfer.asks(1000)
    transfer.expire(1000)
    assert not transfer.dropped


def test_a_source_that_lacks_a_chunk_is_asked_for_others_up_to_a_limit() -> None:
    transfer = Transfer(chunks(TRANSFER_LACKS_MAX + 5))
    transfer.add_source("a", 1)
    asks = transfer.asks(0)
    for ask in asks[: TRANSFER_LACKS_MAX - 1]:
        transfer.lacks("a", ask.chunk.digest, 0)
    assert transfer.asks(0) == []  # none that it lacks again
    assert transfer.sources == ("a",)
    transfer.lacks("a", asks[-1].chunk.digest, 0)
    assert transfer.sources == ()
    assert transfer.dropped == {"a": f"lacks {TRANSFER_LACKS_MAX} chunks"}


def test_a_chunk_that_one_lacks_another_is_asked_for() -> None:
    transfer = Transfer(chunks(1))
    transfer.add_source("near", 1)
    transfer.add_source("far", 2)
    [ask] = transfer.asks(0)
    transfer.lacks("near", ask.chunk.digest, 0)
    assert transfer.asks(0) == [Ask("far", ask.chunk)]
    transfer.lacks("far", ask.chunk.digest, 0)
    assert transfer.is_stuck


def test_the_rate_of_all_and_of_one() -> None:
    transfer = Transfer(chunks(100), TokenBucket(200_000, 200_000, 0))
    transfer.add_source("near", 1, TokenBucket(100_000, 100_000, 0))
    transfer.add_source("far", 2)
    assert by_source(transfer.asks(0)) == {"near": 1, "far": 1}
    assert transfer.wake_s(0) == 0.5
    assert by_source(transfer.asks(0.5)) == {"far": 1}
    assert transfer.wake_s(0.5) == 0.5


@given(some.randoms(use_true_random=False), some.integers(1, 60), some.integers(1, 5))
def test_whatever_happens_each_chunk_is_brought_once_or_nobody_is_left(
    rng: random.Random, count: int, sources: int
) -> None:
    wanted = chunks(count)
    transfer = Transfer(wanted)
    for number in range(sources):
        transfer.add_source(f"s{number}", rng.random())
    now, open_asks, brought = 0.0, list[Ask](), set[str]()
    for _ in range(10_000):
        if transfer.is_done or transfer.is_stuck:
            break
        now += rng.choice([0, 0.1, 5])
        transfer.expire(now)
        open_asks = [ask for ask in open_asks if ask.source not in transfer.dropped]
        fresh = transfer.asks(now)
        assert not {ask.chunk.digest for ask in fresh} & {ask.chunk.digest for ask in open_asks}
        open_asks += fresh
        if not open_asks:
            continue
        ask = open_asks.pop(rng.randrange(len(open_asks)))
        match rng.randrange(12):
            case 0:
                transfer.lacks(ask.source, ask.chunk.digest, now)
            case 1:
                transfer.failed(ask.source, "broke", "gone")
            case _:
                assert ask.chunk.digest not in brought
                brought.add(ask.chunk.digest)
                transfer.delivered(ask.source, ask.chunk.digest, now)
    assert transfer.is_done or transfer.is_stuck
    assert transfer.is_done == (len(brought) == count)
    assert transfer.bytes_done == sum(chunk.size for chunk in wanted if chunk.digest in brought)
