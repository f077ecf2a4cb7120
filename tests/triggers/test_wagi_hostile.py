"""Programs that misbehave: each harms its own request, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog.testing
import trio

from edged.errors import (
    EdgedError,
    GuestBudgetExhausted,
    GuestCpuExhausted,
    GuestExit,
    GuestNoResponse,
    GuestResponseInvalid,
    GuestStackExhausted,
    GuestTimeout,
    GuestTrap,
)
from edged.limits import FILES_OPEN_MAX, HEADER_BYTES_MAX, LOG_BYTES_MAX, MiB
from edged.wasm.engine import Engine, PoolConfig
from tests.conftest import GuestPath
from tests.host.fakes import FakeExchange, head
from tests.triggers.wagi import Serve, serving

LITTLE_CPU = {"cpu_s_max": 0.1}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(PoolConfig(instances=300, core_instances=3_000, memories=900, tables=900))
    engine.start_ticking()
    yield engine
    engine.close()


@pytest.fixture
def serve(engine: Engine) -> Iterator[Serve]:
    with serving(engine) as serve:
        yield serve


@pytest.fixture
def hostile(guest_path: GuestPath) -> Path:
    return guest_path("wagi-hostile")


@pytest.mark.parametrize(
    ("path", "error", "limits"),
    [
        ("/trap", GuestTrap, {}),
        ("/recursion", GuestStackExhausted, {}),
        ("/loop", GuestCpuExhausted, LITTLE_CPU),
        ("/sleep", GuestTimeout, {"wall_s_max": 0.01}),
        ("/calls", GuestBudgetExhausted, {"host_calls_max": 1_000}),
        ("/random", GuestBudgetExhausted, {}),
        ("/exit/1", GuestExit, {}),
        ("/exit/255", GuestExit, {}),
        ("/silent", GuestNoResponse, {}),
        ("/no-headers", GuestResponseInvalid, {}),
        ("/no-end", GuestResponseInvalid, {}),
        ("/bad-status", GuestResponseInvalid, {}),
        ("/length", GuestResponseInvalid, {}),
        (f"/head/{HEADER_BYTES_MAX + 1}", GuestResponseInvalid, {}),
        ("/output/65536", GuestResponseInvalid, {"response_body_bytes_max": 65_536}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_it_ends_its_own_request(
    serve: Serve, hostile: Path, path: str, error: type[EdgedError], limits: dict[str, float]
) -> None:
    with pytest.raises(error) as raised:
        await serve(hostile, **limits).ask(path)
    assert type(raised.value) is error
    assert raised.value.request_id


@pytest.mark.parametrize(
    ("path", "error", "limits"),
    [
        ("/trap-late", GuestTrap, {}),
        ("/loop-late", GuestCpuExhausted, LITTLE_CPU),
        ("/sleep-late", GuestTimeout, {"wall_s_max": 0.05}),
        ("/exit-late/3", GuestExit, {}),
    ],
)
async def test_what_it_had_written_stays_unfinished(
    serve: Serve, hostile: Path, path: str, error: type[EdgedError], limits: dict[str, float]
) -> None:
    exchange = FakeExchange(head(target=path))
    with pytest.raises(error):
        await serve(hostile, **limits).handle(exchange)
    assert (exchange.status, exchange.finished) == (200, False)
    if path != "/trap-late":
        assert exchange.body == b"partial", "sent when the program waited"


async def test_a_program_that_exits_well_is_served(serve: Serve, hostile: Path) -> None:
    for path in ("/exit/0", "/exit-late/0", "/unread"):
        exchange = await serve(hostile).ask(path, b"a body that is not read")
        assert (exchange.body, exchange.finished) == (b"partial", True)


async def test_output_up_to_the_limit(serve: Serve, hostile: Path) -> None:
    exchange = await serve(hostile, response_body_bytes_max=7 + 200_000).ask("/output/200000")
    assert exchange.body == b"partial" + bytes(200_000)


async def test_output_without_end_is_never_held_whole(serve: Serve, hostile: Path) -> None:
    exchange = await serve(hostile).ask(f"/output/{64 * MiB}")
    assert len(exchange.body) == 64 * MiB + 7
    assert max(map(len, exchange.sends)) <= 65_536


async def test_memory_is_bounded(serve: Serve, hostile: Path) -> None:
    exchange = await serve(hostile, memory_bytes_max=4 * MiB).ask("/memory")
    assert exchange.body == b"partial", "malloc said no"


async def test_files_are_bounded(serve: Serve, hostile: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    exchange = await serve(hostile, files={"/a.txt": tmp_path / "a"}).ask("/files")
    assert exchange.body == str(FILES_OPEN_MAX).encode()


async def test_logs_are_bounded_and_clean(serve: Serve, hostile: Path) -> None:
    with structlog.testing.capture_logs() as logs, pytest.raises(GuestBudgetExhausted):
        await serve(hostile, host_calls_max=10_000).ask("/stderr")
    lines = [line for line in logs if line["event"] == "guest.stderr"]
    assert 0 < len(lines) < LOG_BYTES_MAX // 256 + 1
    assert not any("\033" in line["text"] for line in lines)
    assert [line["event"] for line in logs].count("guest.log-truncated") == 1


async def test_others_are_served_while_programs_spin(serve: Serve, hostile: Path, guest_path: GuestPath) -> None:
    spinning, good = serve(hostile), serve(guest_path("wagi"))
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(spinning.ask, "/loop")
        for _ in range(10):
            assert (await good.ask("/")).body == b"hello"
        nursery.cancel_scope.cancel()


# --- precise errors of the interface, in WebAssembly text ---

FD_WRITE = '(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))'


def answers_with(call: str) -> str:
    """A program whose status is 200 plus what `call` returns."""
    return f"""(module {FD_WRITE}
      (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "\\08\\00\\00\\00\\0d\\00\\00\\00status: 200\\0a\\0a")
      (func (export "_start") (local $errno i32)
        (local.set $errno {call})
        (i32.store8 (i32.const 17) (i32.add (i32.const 48) (i32.div_u (local.get $errno) (i32.const 10))))
        (i32.store8 (i32.const 18) (i32.add (i32.const 48) (i32.rem_u (local.get $errno) (i32.const 10))))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))))"""


def call(function: str, *numbers: int) -> str:
    return f"(call ${function} {' '.join(f'(i32.const {number})' for number in numbers)})"


@pytest.mark.parametrize(
    ("asked", "errno"),
    [
        (call("random", 200, 10), 0),
        (call("random", 65_535, 1), 0),
        (call("random", 65_535, 2), 21),
        (call("random", -1, 1), 21),
        (call("random", 0, -1), 21),
        (call("args", 65_534, 200), 21),
        (call("write", 1, 65_535, 1, 0), 21),
        (call("write", 1, 0, 1024, 65_533), 21),
        (call("write", 1, 0, 1025, 100), 28),
        (call("write", 1, 0, -1, 100), 28),
        (call("write", 9, 0, 0, 100), 8),
        (call("write", -1, 0, 0, 100), 8),
        (call("write", 0, 0, 1, 100), 8),
    ],
)
async def test_what_a_program_may_not_say_is_an_errno(serve: Serve, asked: str, errno: int) -> None:
    exchange = await serve(answers_with(asked)).ask()
    assert exchange.status == 200 + errno


async def test_a_program_without_memory_gets_nothing(serve: Serve) -> None:
    module = f"""(module {FD_WRITE}
      (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
      (func (export "_start")
        (if (call $random (i32.const 0) (i32.const 0)) (then unreachable))
        (if (i32.ne (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0)) (i32.const 21))
          (then unreachable))))"""
    with pytest.raises(GuestNoResponse):
        await serve(module).ask()
