"""What guests call and give, one by one, on the core API as on the C API: breaches of the ABI, and guest.wat."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import wasmtime

from edged.errors import EdgedError, GuestBudgetExhausted, HostFailed
from edged.host.interface import Interface
from edged.limits import GuestLimits, KiB, MiB
from edged.wasm.engine import Engine, PoolConfig
from tests.wasm.component import misuse
from tests.wasm.component.paths import WAYS, Compiled, Way, compile_both, link
from tests.wasm.component.recording import Recording, recorded, recorded_drops
from tests.wasm.conftest import GUEST
from tests.wasm.hosts import Api, invocation

PAGE = 64 * KiB
MALFORMED = {"text-invalid", "text-cut", "text-surrogate", "give-text-invalid"}
"""Strings of which wasmtime says where they are no UTF-8, and we do not."""


async def outcome(
    engine: Engine,
    compiled: Compiled,
    way: Way,
    host: Interface,
    export: str,
    arguments: Sequence[object],
    **limits: Any,
) -> tuple[Any, ...]:
    """The answer or the error; all calls of the host, and drops at the end in no order; calls and handles, counted."""
    recording = Recording()
    allowed = dataclasses.replace(GuestLimits(), cpu_s_max=60.0, **limits)
    pool: Any = link(engine, compiled, way, [recorded(host, recording)], allowed, ["test:host/absent"])
    interface, _, function = export.rpartition("#")
    found = pool.program.export(interface, function)
    with recorded_drops([host], recording):
        instance = pool.make(invocation(), None)
        try:
            await instance.instantiate()
            answer: object = recording.show(await instance.call(found, *arguments))
        except HostFailed as error:
            # The C API path names the Python function, the core API path that of WIT: both are for us alone.
            answer = HostFailed, error.message.partition(": ")[2]
        except EdgedError as error:
            answer = type(error), error.code, error.message
        calls, used = list(recording.calls), instance.statistics()
        instance.close()
    # A call that traps before it comes to the host counts on the core API path only.
    counts = (used.host_calls, used.handles) if isinstance(answer, str) else None
    return answer, calls, sorted(recording.calls[len(calls) :]), counts


@pytest.fixture(scope="module")
def still_engine() -> Iterator[Engine]:
    engine = Engine(PoolConfig(instances=10, core_instances=100, memories=40, tables=40))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def misusing(still_engine: Engine) -> Compiled:
    return compile_both(still_engine, bytes(wasmtime.wat2wasm(misuse.text())))


@pytest.mark.parametrize("export", [*misuse.CALLS, *misuse.GIVES, *misuse.POST])
async def test_breaches_of_the_abi(still_engine: Engine, misusing: Compiled, export: str) -> None:
    arguments = [7] if export in misuse.POST else []
    usual, other = [await outcome(still_engine, misusing, way, misuse.Misuse(), export, arguments) for way in WAYS]
    if export in MALFORMED:
        (kind, code, _), *rest = usual
        usual = (kind, code, "invalid utf-8 in a string"), *rest
    assert usual == other


@pytest.fixture(scope="module")
def calling(still_engine: Engine) -> Compiled:
    return compile_both(still_engine, bytes(wasmtime.wat2wasm(GUEST.read_text())))


@pytest.mark.parametrize(
    ("function", "arguments", "limits"),
    [
        ("add", (2, 2**32 - 1), {}),
        ("count", (), {}),
        ("wait-twice", (1,), {}),
        ("wait-twice", (13,), {}),
        *(("perhaps", (number,), {}) for number in (2, 7, 100, 101)),
        ("perhaps", (2,), {"host_calls_max": 1}),
        ("perhaps", (2,), {"host_calls_max": 0}),
        ("note", (1,), {}),
        ("note-many", (100,), {"host_calls_max": 100}),
        ("note-many", (101,), {"host_calls_max": 100}),
        ("keep-things", (10,), {"handles_max": 10}),
        ("keep-things", (11,), {"handles_max": 10}),
        ("drop-things", (50,), {"handles_max": 1}),
        ("trap", (), {}),
        ("recurse", (), {}),
        ("grow", (9,), {"memory_bytes_max": 10 * PAGE}),
        ("grow", (10,), {"memory_bytes_max": 10 * PAGE}),
        *(("count", (), {"memory_bytes_max": limit}) for limit in (PAGE, PAGE - 1)),
        *(("count", (), {"instance_count_max": limit}) for limit in (2, 1)),
        *(("count", (), {"memory_count_max": limit}) for limit in (1, 0)),
        *(("count", (), {"table_count_max": limit}) for limit in (1, 0)),
        ("grow-table", (9,), {"table_elements_max": 10}),
        ("grow-table", (10,), {"table_elements_max": 10}),
        ("give", (PAGE,), {}),
        ("give", (MiB,), {}),
        ("give", (200 * MiB,), {}),
        ("nothing", (), {}),
    ],
    ids=str,
)
async def test_calls(
    still_engine: Engine,
    calling: Compiled,
    function: str,
    arguments: tuple[int, ...],
    limits: Mapping[str, int],
) -> None:
    outcomes = []
    for way in WAYS:
        host = Api()
        host.released.set()
        outcomes.append(
            await outcome(still_engine, calling, way, host, f"test:guest/run#{function}", arguments, **limits)
        )
    assert outcomes[0] == outcomes[1]


async def test_bytes_of_one_call(still_engine: Engine, calling: Compiled) -> None:
    """A difference: wasmtime lifts a byte to 32 bytes of the 128 MiB that one call may have, we to one."""
    hosts = Api(), Api()
    (usual, *_), (other, *_) = [
        await outcome(still_engine, calling, way, host, "test:guest/run#give", [5 * MiB])
        for way, host in zip(WAYS, hosts, strict=True)
    ]
    assert (usual[0], other) == (GuestBudgetExhausted, "None")
    assert [list(map(len, host.taken)) for host in hosts] == [[], [5 * MiB]]
