"""A server of the operator's: what is sent, what is taken, and how it ends."""

from __future__ import annotations

import ssl

import pytest
import trio
import trustme

from edged.host.json_service import JsonService, ServiceFailed
from edged.limits import JSON_OBJECT_COUNT_MAX
from tests.host.json_server import always, json_server

TIMEOUT_S = 10.0
BYTES_MAX = 1000
TLS = ssl.create_default_context()


def service(url: str, token: str = "secret", connections_max: int = 4) -> JsonService:
    return JsonService(
        url, token, connections_max=connections_max, answer_bytes_max=BYTES_MAX, timeout_s=TIMEOUT_S, tls=TLS
    )


async def test_what_is_sent_and_what_comes_back() -> None:
    async with json_server(always(200, {"a": [1, None, "é"]})) as server:
        asking = service(f"{server.url}/base/")
        assert await asking.post("/x?y", {"b": "é\n"}) == (200, {"a": [1, None, "é"]})
        assert await asking.post("relative", []) == (200, {"a": [1, None, "é"]})
        asking.close()
    first, second = server.asked
    assert (first.method, first.path, first.body) == ("POST", "/x?y", {"b": "é\n"})
    assert second.path == "/base/relative"
    assert first.headers["host"] == f"127.0.0.1:{server.port}"
    assert first.headers["authorization"] == "Bearer secret"
    assert first.headers["content-type"] == "application/json"


@pytest.mark.parametrize("count", [JSON_OBJECT_COUNT_MAX, JSON_OBJECT_COUNT_MAX + 1])
async def test_as_many_objects_as_may_be_and_one_more(count: int) -> None:
    async with json_server(always(200, [{"a": "}{b"}] * count)) as server:
        asking = JsonService(server.url, "", connections_max=1, answer_bytes_max=20 * count, timeout_s=TIMEOUT_S)
        if count > JSON_OBJECT_COUNT_MAX:
            with pytest.raises(ServiceFailed, match="more than 80000 values"):
                await asking.post("/", 1)
        else:
            assert len((await asking.post("/", 1)).body) == count
        asking.close()


async def test_no_token() -> None:
    async with json_server(always(200, 1)) as server:
        asking = service(server.url, token="")
        await asking.post("/", 1)
        asking.close()
    assert "authorization" not in server.asked[0].headers


async def test_a_connection_is_kept_until_closing() -> None:
    async with json_server(always(200, 1)) as server:
        asking = service(server.url)
        for _ in range(3):
            await asking.post("/", 1)
        assert server.connections == 1
        asking.close()
        asking.close()
        with pytest.raises(ServiceFailed, match="connection-limit-reached"):
            await asking.post("/", 1)


async def test_closing_closes_the_connections() -> None:
    ended = trio.Event()

    async def handle(stream: trio.SocketStream) -> None:
        asked = b""
        while not asked.endswith(b"\r\n\r\n1"):
            asked += await stream.receive_some(10_000)
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1")
        assert await stream.receive_some(1) == b""
        ended.set()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handle, [listener])
        asking = service(f"http://127.0.0.1:{listener.socket.getsockname()[1]}")
        assert await asking.post("/", 1) == (200, 1)
        asking.close()
        await ended.wait()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("body", [b"", b"<html>", b"NaN", b"[Infinity]", b"\xff", b"[" * 900, b"'a'"])
async def test_no_json(body) -> None:
    async with json_server(always(500, body)) as server:
        asking = service(server.url)
        assert await asking.post("/", 1) == (500, None)
        asking.close()


async def test_bytes_at_the_limit_and_over() -> None:
    async with json_server(always(200, b"1".ljust(BYTES_MAX))) as server:
        asking = service(server.url)
        assert await asking.post("/", 1) == (200, 1)
        server.answer = always(200, b"1".ljust(BYTES_MAX + 1))
        with pytest.raises(ServiceFailed, match="more than 1000 bytes"):
            await asking.post("/", 1)
        server.answer = always(200, 2)
        assert await asking.post("/", 1) == (200, 2)
        asking.close()


@pytest.mark.parametrize("late_s", [-0.1, 0.1])
async def test_time_at_the_limit_and_over(autojump_clock, late_s) -> None:
    async def slowly(_asked: object) -> tuple[int, int]:
        await trio.sleep(TIMEOUT_S + late_s)
        return 200, 1

    async with json_server(slowly) as server:
        asking = service(server.url)
        if late_s < 0:
            assert await asking.post("/", 1) == (200, 1)
        else:
            with pytest.raises(ServiceFailed, match="within 10 s"):
                await asking.post("/", 1)
        server.answer = always(200, 2)
        assert await asking.post("/", 1) == (200, 2)
        asking.close()


async def test_requests_past_the_connections_wait(autojump_clock) -> None:
    go = trio.Event()

    async def when_told(_asked: object) -> tuple[int, int]:
        await go.wait()
        return 200, 1

    async with json_server(when_told) as server:
        asking = service(server.url, connections_max=2)
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(asking.post, "/", 1)
            await trio.sleep(1)
            assert len(server.asked) == 2
            go.set()
        assert (len(server.asked), server.connections) == (5, 2)
        asking.close()


async def test_cancelling_gives_the_place_back() -> None:
    async with json_server(always(200, 1)) as server:
        asking = service(server.url, connections_max=1)

        async def never(_asked: object) -> tuple[int, int]:
            nursery.cancel_scope.cancel()
            await trio.sleep_forever()
            raise AssertionError

        server.answer = never
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asking.post, "/", 1)
        server.answer = always(200, 2)
        assert await asking.post("/", 1) == (200, 2)
        asking.close()


async def test_redirects_are_not_followed() -> None:
    async with json_server(always(302, b"")) as server:
        asking = service(server.url)
        assert await asking.post("/", 1) == (302, None)
        asking.close()
    assert len(server.asked) == 1


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n1", b""])
async def test_what_is_no_answer(answer) -> None:
    async def handle(stream: trio.SocketStream) -> None:
        await stream.receive_some(10_000)
        await stream.send_all(answer)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handle, [listener])
        asking = service(f"http://127.0.0.1:{listener.socket.getsockname()[1]}")
        with pytest.raises(ServiceFailed, match="could not be asked"):
            await asking.post("/", 1)
        asking.close()
        nursery.cancel_scope.cancel()


async def test_nobody_there_and_nothing_of_it_in_the_message() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    asking = service(f"http://127.0.0.1:{port}")
    with pytest.raises(ServiceFailed) as caught:
        await asking.post("/", 1)
    assert "secret" not in str(caught.value) + repr(asking)
    assert "127.0.0.1" not in str(caught.value)
    asking.close()


async def test_tls_is_checked() -> None:
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(serving)

    async def handle(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            await stream.receive_some(10_000)
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1")
            await stream.receive_some(1)
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(stream)

    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_ssl_over_tcp_listeners(0, serving, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handle, [listener])
        url = f"https://localhost:{listener.transport_listener.socket.getsockname()[1]}"
        for tls, fails in ((trusting, False), (None, True)):
            asking = JsonService(url, "", connections_max=1, answer_bytes_max=10, timeout_s=TIMEOUT_S, tls=tls)
            if fails:
                with pytest.raises(ServiceFailed, match="TLS-certificate-error"):
                    await asking.post("/", 1)
            else:
                assert await asking.post("/", 1) == (200, 1)
            asking.close()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "url",
    ["", "localhost", "ftp://a", "http://", "http://a:b", "http://a:0", "http://[::1", "https://é", "http://u:p@a"],
)
def test_no_urls(url) -> None:
    with pytest.raises(ValueError, match=r"^(is no|has a user)"):
        service(url)


@pytest.mark.parametrize("token", ["secret\n", "secret\0", "sécret"])
def test_no_tokens(token) -> None:
    with pytest.raises(ValueError, match="token") as caught:
        service("http://a", token)
    assert token not in str(caught.value)
