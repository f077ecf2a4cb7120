"""A push: what is sent, what the fleet has afterwards, whatever happens on the way."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from edged.errors import (
    EdgedError,
    FleetUnreachable,
    HostTaken,
    PushConflict,
    PushInterrupted,
    RemoteError,
    RolloutFailed,
    RolloutUnfinished,
    UsageError,
)
from edged.publish import event as events
from edged.publish.deployments import Wish
from edged.publish.interrupts import Interrupts
from edged.publish.link import open_link
from edged.publish.push import Package, Push
from edged.publish.signer import Signer
from tests.publish.fakes import NOW, FakeFleet, Shown, progress


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    return FakeFleet(tmp_path)


class Publisher:
    """Pushes, and keeps what was shown."""

    def __init__(self, fleet: FakeFleet, signer: Signer | None = None) -> None:
        self.fleet = fleet
        self.signer = signer or fleet.signer
        self.shown = Shown()
        self.interrupts = Interrupts()

    async def push(self, package: Package | None = None, timeout_s: float = 300, **wish: Any) -> events.Finished:
        package = package or self.fleet.package()
        async with open_link(self.fleet.addresses, self.fleet.connect_as(self.signer.identity)) as link:
            push = Push(
                link,
                self.signer,
                package,
                Wish(package.digest, **wish),
                show=self.shown.append,
                interrupts=self.interrupts,
                clock=lambda: float(NOW),
                timeout_s=timeout_s,
            )
            return await push.run()


def noise(count: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(count)


async def test_from_nothing_to_every_region(fleet: FakeFleet) -> None:
    publisher = Publisher(fleet)
    finished = await publisher.push(message="the first")
    head = fleet.first.head()
    assert head is not None
    assert (head.sequence, head.message, head.previous, head.issued) == (1, "the first", "", NOW)
    assert set(head.regions) == {"eu", "us"}
    assert fleet.first.releases.has(head.regions["eu"])
    assert finished.regions == {"eu": "live", "us": "live"}
    assert finished.url == "http://shop.edged.localhost:8080/"
    assert publisher.shown.kinds() == ["connected", "uploading", "published", "region", "finished"]


async def test_a_second_push_sends_only_what_changed(fleet: FakeFleet) -> None:
    first, second = noise(3_000_000), noise(20_000, 2)
    await Publisher(fleet).push(fleet.package(files={"a": first, "b": noise(10_000, 3)}))
    publisher = Publisher(fleet)
    finished = await publisher.push(fleet.package(files={"a": first, "b": second}))
    assert finished.bytes_saved == len(first)
    assert len(second) <= finished.bytes_sent < len(second) + 1000
    assert finished.bytes_total == len(first) + len(second)
    head = fleet.first.head()
    assert head is not None
    assert head.sequence == 2
    assert head.previous


async def test_the_same_again_sends_nothing(fleet: FakeFleet) -> None:
    await Publisher(fleet).push()
    fleet.first.calls.clear()
    finished = await Publisher(fleet).push()
    assert finished.bytes_sent == 0
    assert "put_chunk" not in fleet.first.calls
    assert finished.sequence == 2


@pytest.mark.parametrize("call", ["status", "head", "missing", "put_chunk", "put_release", "put_record", "watch"])
async def test_the_next_node_takes_over_wherever_the_first_breaks_off(fleet: FakeFleet, call: str) -> None:
    fleet.first.lose = {call: 0}
    package = fleet.package(files={"a": noise(600_000)})
    finished = await Publisher(fleet).push(package)
    second = fleet.nodes[fleet.addresses[1]]
    if call == "watch":  # the record is at the first, which spreads it
        assert finished.sequence == 1
        return
    head = second.head()
    assert head is not None
    assert second.releases.has(head.regions["eu"])
    assert finished.regions == {"eu": "live", "us": "live"}


async def test_a_host_of_another_app_is_told_before_anything_is_sent(fleet: FakeFleet) -> None:
    await Publisher(fleet).push(fleet.package("blog"), hosts=("x.example",))
    fleet.first.calls.clear()
    with pytest.raises(HostTaken, match=r"the host x\.example belongs to the app blog in eu: nothing was changed"):
        await Publisher(fleet).push(hosts=("y.example", "x.example"))
    assert fleet.first.head() is None
    assert set(fleet.first.calls) <= {"status", "head"}
    await Publisher(fleet).push(hosts=("y.example",))
    await Publisher(fleet).push(hosts=("y.example",))  # its own is no other's


async def test_no_node_left(fleet: FakeFleet) -> None:
    for node in fleet.nodes.values():
        node.lose = {"put_chunk": 0}
    with pytest.raises(FleetUnreachable, match=r"(?s)a\.example:7400: the link broke.*b\.example:7400"):
        await Publisher(fleet).push()
    assert all(node.head() is None for node in fleet.nodes.values())


async def test_an_upload_that_broke_off_goes_on_where_it_was(fleet: FakeFleet) -> None:
    package = fleet.package(files={"a": noise(2_000_000)})
    fleet.nodes[fleet.addresses[1]].is_down = True
    fleet.first.lose = {"put_chunk": 5}
    with pytest.raises(FleetUnreachable):
        await Publisher(fleet).push(package)
    arrived = sum(fleet.first.chunks.has(chunk.digest) for chunk in package.chunks)
    assert 0 < arrived <= 5  # those under way when the link broke may not have
    fleet.first.lose = {}
    fleet.first.calls.clear()
    await Publisher(fleet).push(package)
    assert fleet.first.calls.count("put_chunk") == len(package.chunks) - arrived


async def test_what_was_set_before_stays(fleet: FakeFleet) -> None:
    await Publisher(fleet).push(
        hosts=("shop.example.com",),
        regions=("us",),
        limits={"memory_bytes_max": 1 << 26},
        variables={"a": "1", "b": "2"},
    )
    publisher = Publisher(fleet)
    finished = await publisher.push(variables={"b": "3"})
    head = fleet.first.head()
    assert head is not None
    assert (head.hosts, set(head.regions), head.limits) == (
        ("shop.example.com",),
        {"us"},
        {"memory_bytes_max": 1 << 26},
    )
    assert head.variables == {"a": "1", "b": "3"}
    assert finished.url == "http://shop.example.com:8080/"
    assert "--all-regions" in publisher.shown.last(events.Warned).message


async def test_a_region_that_is_not_there(fleet: FakeFleet) -> None:
    with pytest.raises(UsageError, match="did you mean `us`"):
        await Publisher(fleet).push(regions=("usa",))
    assert "put_chunk" not in fleet.first.calls


async def test_a_key_of_another_app(fleet: FakeFleet) -> None:
    eve = Signer(fleet.eve, fleet.roster)
    with pytest.raises(RemoteError) as refused:
        await Publisher(fleet, eve).push(fleet.package("shop", signer=eve))
    assert refused.value.code == "fleet.forbidden"
    assert refused.value.remedy
    assert fleet.first.head() is None
    await Publisher(fleet, eve).push(fleet.package("eve-shop", signer=eve))
    assert fleet.first.head("eve-shop") is not None


# --- somebody else ---


async def test_somebody_else_was_first(fleet: FakeFleet) -> None:
    await Publisher(fleet).push()
    other = Publisher(fleet).fleet.signer

    def meanwhile(call: str) -> None:
        if call == "put_release":
            head = fleet.first.head()
            assert head is not None
            theirs = other.sign_deployment(replaced(head))
            assert fleet.first.state.accept(theirs, NOW).kind == "accepted"

    fleet.first.before = meanwhile
    with pytest.raises(PushConflict, match="ada changed shop meanwhile") as conflict:
        await Publisher(fleet).push(fleet.package(files={"a": b"new"}))
    assert "edged releases" in conflict.value.remedy
    head = fleet.first.head()
    assert head is not None
    assert head.message == "theirs"


async def test_somebody_else_in_the_same_moment(fleet: FakeFleet) -> None:
    await Publisher(fleet).push()

    def meanwhile(call: str) -> None:
        if call == "put_record":
            head = fleet.first.head()
            assert head is not None
            fleet.first.state.accept(fleet.signer.sign_deployment(replaced(replaced(head))), NOW)

    fleet.first.before = meanwhile
    with pytest.raises(PushConflict, match="same moment"):
        await Publisher(fleet).push(fleet.package(files={"a": b"new"}))


async def test_the_node_that_is_asked_lacks_what_was_there(fleet: FakeFleet) -> None:
    """It lost its disk, or another one was asked before: a number that may be somebody else's is not signed."""
    await Publisher(fleet).push()
    first = fleet.first

    async def nothing(_peer: object, **_args: object) -> dict[str, object]:
        return {}

    def meanwhile(call: str) -> None:
        if call == "put_release":
            first.handlers["head"] = nothing

    first.before = meanwhile
    with pytest.raises(PushConflict, match=r"sequence 1 .* now has 0") as behind:
        await Publisher(fleet).push(fleet.package(files={"a": b"new"}))
    assert "again" in behind.value.remedy
    assert "put_record" not in first.calls[first.calls.index("put_release") + 3 :]


def replaced(head: Any) -> Any:
    from dataclasses import replace  # noqa: PLC0415

    return replace(head, sequence=head.sequence + 1, previous=head.digest, message="theirs")


# --- regions ---


@pytest.mark.parametrize("stage", ["failed", "reverted"])
async def test_a_region_that_does_not_take_it(fleet: FakeFleet, stage: str) -> None:
    async def rollout(_app: str, _sequence: int) -> AsyncIterator[dict[str, object]]:
        yield progress("eu", "a", "live")
        yield progress("us", "b", "probe")
        yield progress("us", "b", stage, error="GET /healthz answered 500")
        await trio.sleep_forever()

    fleet.first.rollout = rollout
    publisher = Publisher(fleet)
    with pytest.raises(RolloutFailed, match=r"(?s)not live in us\nus: GET /healthz answered 500") as refused:
        await publisher.push()
    assert "edged remove shop" in refused.value.remedy
    assert publisher.shown.last(events.Finished).regions == {"eu": "live", "us": stage}


async def test_a_region_that_takes_too_long(fleet: FakeFleet, autojump_clock: MockClock) -> None:
    async def rollout(_app: str, _sequence: int) -> AsyncIterator[dict[str, object]]:
        yield progress("eu", "a", "live")
        yield progress("us", "b", "fetch", bytes_done=5, bytes_total=10)
        await trio.sleep_forever()

    fleet.first.rollout = rollout
    with pytest.raises(RolloutUnfinished, match=r"not live yet in us \(fetch\)"):
        await Publisher(fleet).push(timeout_s=60)
    assert fleet.first.head() is not None


@pytest.mark.parametrize(("app", "is_it"), [("shop", True), ("shop-2", False)], ids=["of this app", "of another one"])
async def test_a_region_has_another_record_of_the_number(
    fleet: FakeFleet, autojump_clock: MockClock, app: str, *, is_it: bool
) -> None:
    """It stays with that one, however long it is waited for."""
    fleet.first.rollout = on_its_way
    fleet.first.alarms = [f"deployment {app}: two different records have the number 1.1 [fleet.record-conflict]"]
    with pytest.raises(PushConflict if is_it else RolloutUnfinished) as error:
        await Publisher(fleet).push(timeout_s=60)
    assert error.value.remedy.startswith("Do it again") is is_it


async def test_a_node_that_goes_away_while_a_region_takes_too_long(fleet: FakeFleet, autojump_clock: MockClock) -> None:
    fleet.first.lose = {"watch": 0}
    second = fleet.nodes[fleet.addresses[1]]
    second.rollout = on_its_way
    with pytest.raises(RolloutUnfinished):
        await Publisher(fleet).push(timeout_s=60)
    assert "watch" in second.calls


async def test_a_region_whose_nodes_are_silent(fleet: FakeFleet) -> None:
    async def rollout(_app: str, _sequence: int) -> AsyncIterator[dict[str, object]]:
        yield progress("eu", "a", "live")
        yield progress("us", "b", "silent")
        await trio.sleep_forever()

    fleet.first.rollout = rollout
    with pytest.raises(RolloutUnfinished, match="no node in us is heard of"):
        await Publisher(fleet).push()


async def test_overtaken(fleet: FakeFleet) -> None:
    async def rollout(_app: str, _sequence: int) -> AsyncIterator[dict[str, object]]:
        yield progress("eu", "a", "superseded")
        yield progress("us", "b", "superseded")
        await trio.sleep_forever()

    fleet.first.rollout = rollout
    with pytest.raises(PushConflict, match="overtaken"):
        await Publisher(fleet).push()


# --- Ctrl-C ---


@pytest.mark.parametrize("call", ["status", "head", "missing", "put_chunk", "put_release"])
async def test_interrupted_before_it_is_published(fleet: FakeFleet, call: str) -> None:
    publisher = Publisher(fleet)
    fleet.first.before = lambda name: publisher.interrupts.add() if name == call else None
    with pytest.raises(PushInterrupted, match="nothing was changed") as interrupted:
        await publisher.push()
    assert interrupted.value.exit_status == 130
    assert fleet.first.head() is None
    fleet.first.before = lambda _name: None
    await Publisher(fleet).push()


async def on_its_way(_app: str, _sequence: int) -> AsyncIterator[dict[str, object]]:
    yield progress("eu", "a", "live")
    yield progress("us", "b", "compile")
    await trio.sleep_forever()


def interrupting(publisher: Publisher, times: int = 1) -> Any:
    async def rollout(_app: str, _sequence: int) -> AsyncIterator[dict[str, object]]:
        yield progress("eu", "a", "live")
        for _ in range(times):
            publisher.interrupts.add()
        await trio.sleep_forever()

    return rollout


async def test_interrupted_while_a_new_app_arrives(fleet: FakeFleet) -> None:
    publisher = Publisher(fleet)
    fleet.first.rollout = interrupting(publisher)
    with pytest.raises(PushInterrupted, match="shop was new and is removed again, as sequence 2"):
        await publisher.push()
    head = fleet.first.head()
    assert head is not None
    assert (head.sequence, dict(head.regions)) == (2, {})
    assert publisher.shown.last(events.PuttingBack).digest == ""


async def test_interrupted_while_another_release_arrives(fleet: FakeFleet) -> None:
    await Publisher(fleet).push(hosts=("shop.example.com",), variables={"a": "1"})
    before = fleet.first.head()
    assert before is not None
    publisher = Publisher(fleet)
    fleet.first.rollout = interrupting(publisher)
    with pytest.raises(PushInterrupted, match="goes back to what sequence 1 was, as sequence 3"):
        await publisher.push(fleet.package(files={"a": b"new"}), variables={"a": "2"}, hosts=("other.example.com",))
    head = fleet.first.head()
    assert head is not None
    assert head.sequence == 3
    assert (head.regions, head.hosts, head.variables) == (before.regions, before.hosts, before.variables)


async def test_interrupted_while_it_is_published(fleet: FakeFleet) -> None:
    """The record may have arrived, so it is put back."""
    publisher = Publisher(fleet)
    fleet.first.rollout = on_its_way
    fleet.first.before = lambda name: publisher.interrupts.add() if name == "put_record" else None
    with pytest.raises(EdgedError) as ended:
        await publisher.push()
    head = fleet.first.head()
    assert isinstance(ended.value, PushInterrupted)
    assert head is None or not head.regions


async def test_interrupted_twice(fleet: FakeFleet) -> None:
    publisher = Publisher(fleet)
    fleet.first.rollout = interrupting(publisher, times=2)
    with pytest.raises(PushInterrupted, match="sequence 1 of shop stays published") as interrupted:
        await publisher.push()
    assert "edged rollback shop" in interrupted.value.remedy
    head = fleet.first.head()
    assert head is not None
    assert head.sequence == 1


async def test_interrupted_and_overtaken(fleet: FakeFleet) -> None:
    publisher = Publisher(fleet)

    async def rollout(_app: str, _sequence: int) -> AsyncIterator[dict[str, object]]:
        head = fleet.first.head()
        fleet.first.state.accept(fleet.signer.sign_deployment(replaced(head)), NOW)
        publisher.interrupts.add()
        yield progress("eu", "a", "fetch")
        await trio.sleep_forever()

    fleet.first.rollout = rollout
    with pytest.raises(PushConflict, match="shop was changed meanwhile: it is at 2"):
        await publisher.push()
    head = fleet.first.head()
    assert head is not None
    assert (head.sequence, head.message) == (2, "theirs")
