"""Programs that speak CGI, real ones: core modules on WASI preview 1, and the same as a component."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog.testing
import trio
import trio.testing
import wasmtime

from edged.errors import ComponentUnsupported, GuestBudgetExhausted, GuestNoResponse, Overloaded
from edged.http.exchange import ClientGone
from edged.wasm.engine import Engine, PoolConfig
from tests.conftest import GuestPath
from tests.host.fakes import FakeExchange, head
from tests.triggers.wagi import Serve, Served, serving


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


@pytest.fixture(params=["wagi", "wagi-component"])
def program(request: pytest.FixtureRequest, serve: Serve, guest_path: GuestPath, tmp_path: Path) -> Served:
    """The same program in both forms, with two files."""
    (tmp_path / "a").write_bytes(b"content of a")
    files = {"/a.txt": tmp_path / "a", "/folder/b.txt": tmp_path / "a"}
    return serve(guest_path(request.param), files=files, environment={"OWN": "mine", "HTTP_OWN": "mine too"})


async def test_it_answers(program: Served) -> None:
    exchange = await program.ask("/")
    assert (exchange.status, exchange.body, exchange.finished) == (200, b"hello", True)
    assert list(exchange.headers) == [(b"content-type", b"text/plain")]
    assert len(exchange.sends) == 1, "a small answer leaves in one send"


async def test_its_environment(program: Served) -> None:
    exchange = await program.ask("/env?x=y", headers=((b"host", b"a.test"), (b"own", b"from a client")))
    lines = set(exchange.body.decode().splitlines())
    assert {
        "OWN=mine",
        "HTTP_OWN=mine too",
        "PATH_INFO=/env",
        "QUERY_STRING=x=y",
        "REQUEST_METHOD=GET",
        "HTTP_HOST=a.test",
        "CONTENT_LENGTH=0",
        "X_FULL_URL=http://example.com/env?x=y",
    } <= lines
    assert "PATH=" not in {line[:5] for line in lines}, "nothing of the node's own"


async def test_its_arguments(program: Served) -> None:
    assert (await program.ask("/args?a=1&b")).body == b"/args\na=1\nb\n"


async def test_a_template_of_arguments(serve: Serve, guest_path: GuestPath) -> None:
    served = serve(guest_path("wagi"), argv="prog -q ${ARGS} --at=${SCRIPT_NAME}")
    assert (await served.ask("/args?a&b")).body == b"prog\n-q\na\nb\n--at=/args\n"


@pytest.mark.parametrize("size", [0, 1, 65_536, 300_000])
async def test_stdin_is_the_request_body(program: Served, size: int) -> None:
    body = bytes(number % 251 for number in range(size))
    exchange = await program.ask("/echo", body, method="POST")
    assert (exchange.status, exchange.body) == (200, body)
    assert (await program.ask("/upload", body, method="POST")).body == str(size).encode()


async def test_bodies_are_streamed_both_ways(program: Served) -> None:
    exchange = FakeExchange(head(method="POST", target="/echo"), ended=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(program.handle, exchange)
        for piece in (b"one", b"two"):
            await trio.testing.wait_all_tasks_blocked()
            exchange.feed(piece)
            await trio.testing.wait_all_tasks_blocked()
            assert exchange.body.endswith(piece), "sent before the next is read"
        assert exchange.status == 200
        assert not exchange.finished
        exchange.end()
    assert (exchange.body, exchange.finished) == (b"onetwo", True)


async def test_a_client_that_takes_nothing_makes_the_program_wait(program: Served) -> None:
    exchange = FakeExchange(head(method="POST", target="/echo"), bytes(8_000_000))
    exchange.stall()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(program.handle, exchange)
        await trio.testing.wait_all_tasks_blocked()
        assert len(exchange._incoming) > 5_000_000, "what is not taken is not read either"
        exchange.resume()
    assert len(exchange.body) == 8_000_000


async def test_files(program: Served) -> None:
    assert (await program.ask("/read/a.txt")).body == b"content of a"
    names = (await program.ask("/list/")).body.decode().split()
    assert names == [".", "..", "a.txt", "folder"]
    for path in ("/read/missing", "/read/../../etc/passwd", "/read/folder/../../etc/passwd"):
        exchange = await program.ask(path)
        assert exchange.status == 403, path
    assert (await program.ask("/write/new")).body == b"errno 69\n"
    assert (await program.ask("/write/a.txt")).body == b"errno 69\n"


async def test_a_program_without_files(serve: Serve, guest_path: GuestPath) -> None:
    served = serve(guest_path("wagi"))
    assert (await served.ask("/read/a.txt")).status == 403


async def test_clocks(program: Served) -> None:
    assert (await program.ask("/time")).body == b"1"


async def test_a_status_or_a_location_is_enough(program: Served) -> None:
    exchange = await program.ask("/status")
    assert (exchange.status, list(exchange.headers)) == (418, [(b"x-tea", b"green")])
    assert exchange.body == b"short and stout\n"
    exchange = await program.ask("/location")
    assert (exchange.status, list(exchange.headers)) == (302, [(b"location", b"/elsewhere")])


async def test_stderr_is_logged(program: Served) -> None:
    with structlog.testing.capture_logs() as logs:
        await program.ask("/log/hello")
    (line,) = logs
    assert (line["event"], line["text"], line["component"]) == ("guest.stderr", "hello", "guest")


async def test_a_client_that_leaves_ends_the_program(program: Served) -> None:
    exchange = FakeExchange(head(method="POST", target="/echo"), b"x", ended=False)
    gone = []

    async def serve() -> None:
        with pytest.raises(ClientGone) as raised:
            await program.handle(exchange)
        gone.append(raised.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await trio.testing.wait_all_tasks_blocked()
        exchange.break_off(ClientGone("the client reset the connection"))
    assert gone


async def test_a_client_that_leaves_while_it_is_answered(program: Served) -> None:
    exchange = FakeExchange(head(method="POST", target="/echo"), bytes(1_000_000))
    exchange.leave()
    with pytest.raises(ClientGone):
        await program.handle(exchange)


async def test_as_many_at_once_as_may_be(serve: Serve, guest_path: GuestPath) -> None:
    served = serve(guest_path("wagi"), concurrent_max=2, queue_max=0)
    exchanges = [FakeExchange(head(method="POST", target="/echo"), ended=False) for _ in range(2)]
    async with trio.open_nursery() as nursery:
        for exchange in exchanges:
            nursery.start_soon(served.handle, exchange)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Overloaded):
            await served.ask("/")
        for exchange in exchanges:
            exchange.end()
    assert (await served.ask("/")).body == b"hello"


async def test_an_error_names_the_request(serve: Serve, guest_path: GuestPath) -> None:
    served = serve(guest_path("wagi"), host_calls_max=3)
    with pytest.raises(GuestBudgetExhausted) as raised:
        await served.ask("/")
    assert raised.value.request_id


@pytest.mark.parametrize(
    "exports",
    ['(func (export "main"))', '(func (export "_start") (param i32))', '(memory (export "_start") 1)', ""],
)
def test_a_module_that_is_no_program(serve: Serve, exports: str) -> None:
    with pytest.raises(ComponentUnsupported, match="_start"):
        serve(f"(module {exports})")


async def test_a_component_that_is_no_program(serve: Serve, guest_path: GuestPath) -> None:
    with pytest.raises(ComponentUnsupported, match="wasi:cli/run"):
        serve(guest_path("hello"))


FAILING = """(component
  (core module $m (func (export "run") (result i32) (i32.const 1)))
  (core instance $i (instantiate $m))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $out (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $out)))"""


async def test_a_component_that_returns_an_error_is_judged_by_its_output(serve: Serve) -> None:
    """As Spin does: only an exit with a status fails."""
    with pytest.raises(GuestNoResponse):
        await serve(bytes(wasmtime.wat2wasm(FAILING))).ask()


def test_a_component_with_another_run(serve: Serve) -> None:
    odd = FAILING.replace("(result (result))", "(result u32)")
    with pytest.raises(ComponentUnsupported, match="should be func"):
        serve(bytes(wasmtime.wat2wasm(odd)))
