"""A connection: against real servers, and against one that the test plays."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trustme
from trio.testing import MockClock

from edged.host.redis.address import RedisAddress, parse_address
from edged.host.redis.connection import Connection, RedisFailed, RedisReplyTooLarge, connect
from edged.host.redis.resp import ErrorReply
from edged.limits import (
    DIAL_TIMEOUT_S,
    REDIS_COMMAND_BYTES_MAX,
    REDIS_COMMAND_S_MAX,
    REDIS_PUSH_COUNT_MAX,
    REDIS_REPLY_BYTES_MAX,
)
from tests.host.redis.fakes import LOCAL, Played
from tests.services import Service, free_port, redis_server

PLAYED = RedisAddress("redis", "127.0.0.1")


def failed(text: str):
    return pytest.raises(RedisFailed, match=text)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with redis_server(tmp_path_factory.mktemp("redis"), "--requirepass", "geheim") as service:
        yield service


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def encrypted(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder: Path = tmp_path_factory.mktemp("redis")
    issued = authority.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "pem")
    options = ["--tls-cert-file", "pem", "--tls-key-file", "pem", "--tls-auth-clients", "no"]
    with redis_server(folder, *options, "--tls-port", str(tls_port := free_port())):
        yield tls_port


async def open_at(service: Service, rest: str = "", who: str = "") -> Connection:
    return await connect(parse_address(f"redis://{who}127.0.0.1:{service.port}{rest}"), LOCAL.dial)


async def test_commands(redis: Service) -> None:
    connection = await open_at(redis)
    assert await connection.command("PING") == "PONG"
    assert await connection.command("SET", "connection:a", b"\0\r\n") == "OK"
    assert await connection.command("GET", "connection:a") == b"\0\r\n"
    wrong = await connection.command("LPUSH", "connection:a", 1)
    assert isinstance(wrong, ErrorReply)
    assert wrong.code == "WRONGTYPE"
    assert connection.is_alive()
    connection.close()
    assert not connection.is_alive()
    with failed("closed"):
        await connection.command("PING")


@pytest.mark.parametrize("pushes", [REDIS_PUSH_COUNT_MAX, REDIS_PUSH_COUNT_MAX + 1])
async def test_messages_on_the_way_to_a_reply_at_the_limit_and_over(pushes: int) -> None:
    played = Played()
    async with played.answering(b">0\r\n" * pushes + b":1\r\n"):
        connection = await connect(PLAYED, played.dialer.dial)
        if pushes > REDIS_PUSH_COUNT_MAX:
            with failed("more came"):
                await connection.command("PING")
        else:
            assert await connection.command("PING") == 1
        connection.close()


async def test_commands_at_the_limit_and_over(redis: Service) -> None:
    connection = await open_at(redis)
    room = len(b"*3\r\n$3\r\nSET\r\n$7\r\nlimit:a\r\n$8000000\r\n\r\n")
    assert await connection.command("SET", "limit:a", bytes(REDIS_COMMAND_BYTES_MAX - room)) == "OK"
    with failed("more than"):
        await connection.command("SET", "limit:a", bytes(REDIS_COMMAND_BYTES_MAX - room + 1))
    assert await connection.command("DEL", "limit:a") == 1, "it was not sent"
    connection.close()


async def test_replies_at_the_limit_and_over(redis: Service) -> None:
    connection = await open_at(redis)
    size = REDIS_REPLY_BYTES_MAX - len(b"$4000000\r\n\r\n")
    await connection.command("SET", "limit:b", bytes(size))
    assert await connection.command("GET", "limit:b") == bytes(size)
    await connection.command("APPEND", "limit:b", b"1")
    with pytest.raises(RedisReplyTooLarge):
        await connection.command("GET", "limit:b")
    assert connection.is_closed
    again = await open_at(redis)
    assert await again.command("DEL", "limit:b") == 1
    again.close()


async def test_logins(guarded: Service) -> None:
    for who in (":geheim@", "default:geheim@"):
        connection = await open_at(guarded, who=who)
        assert await connection.command("PING") == "PONG"
        connection.close()
    for who in (":falsch@", "nobody:geheim@", "nobody@"):
        with failed("refused the login: WRONGPASS") as failure:
            await open_at(guarded, who=who)
        assert "geheim" not in str(failure.value) + repr(failure.value)
    connection = await open_at(guarded)
    refused = await connection.command("PING")
    assert isinstance(refused, ErrorReply)
    assert refused.code == "NOAUTH"
    connection.close()


async def test_databases(redis: Service) -> None:
    third, first = await open_at(redis, "/3"), await open_at(redis)
    await third.command("SET", "database:a", "3")
    assert await first.command("GET", "database:a") is None
    assert await third.command("GET", "database:a") == b"3"
    third.close()
    first.close()
    with failed("refused the database: ERR DB index is out of range"):
        await open_at(redis, "/16")


async def test_tls(encrypted: int, authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    address = RedisAddress("rediss", "localhost", encrypted)
    connection = await connect(address, LOCAL.dial, context)
    assert await connection.command("PING") == "PONG"
    assert connection.is_alive(), "the session tickets have been read"
    connection.close()
    with failed("certificate of localhost is not trusted"):
        await connect(address, LOCAL.dial)
    with failed("certificate of 127.0.0.1 is not trusted"):
        await connect(RedisAddress("rediss", "127.0.0.1", address.port), LOCAL.dial, context)


async def test_a_server_without_tls() -> None:
    played = Played()
    async with played.answering(b"-ERR unknown command\r\n"):
        with failed("does not speak TLS"):
            await connect(RedisAddress("rediss", "localhost"), played.dialer.dial)


async def test_what_the_dialer_refuses() -> None:
    with failed("not an address that guests may reach"):
        await connect(RedisAddress("redis", "10.0.0.1"), LOCAL.dial)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "does not speak the Redis protocol"),
        (b"+OK\r\n+OK\r\n", "more came than was asked for"),
        (b"*20000\r\n", "more than 10000 values"),
        (b"$99999999\r\n", "more than 4194304 bytes"),
    ],
)
async def test_servers_that_say_the_wrong_thing(answer: bytes, reason: str) -> None:
    played = Played()
    async with played.answering(answer):
        connection = await connect(PLAYED, played.dialer.dial)
        with failed(reason):
            await connection.command("PING")
        assert connection.is_closed


async def test_messages_that_nobody_waits_for_are_passed_over() -> None:
    played = Played()
    async with played.answering(b">2\r\n+invalidate\r\n*0\r\n+PONG\r\n"):
        connection = await connect(PLAYED, played.dialer.dial)
        assert await connection.command("PING") == "PONG"
        connection.close()


async def test_a_server_that_goes_away() -> None:
    played = Played()
    connection = await connect(PLAYED, played.dialer.dial)
    assert connection.is_alive()
    await (await played.accepted()).aclose()
    assert not connection.is_alive()
    with failed("closed the connection|was lost"):
        await connection.command("PING")


async def test_a_server_that_does_not_answer(mock_clock: MockClock) -> None:
    mock_clock.autojump_threshold = 0
    played = Played()
    async with played.answering():
        connection = await connect(PLAYED, played.dialer.dial)
        before = trio.current_time()
        with failed("did not answer in time"):
            await connection.command("BLPOP", "a", 0)
        assert trio.current_time() - before == REDIS_COMMAND_S_MAX
        assert connection.is_closed


async def test_a_login_that_is_not_answered(mock_clock: MockClock) -> None:
    mock_clock.autojump_threshold = 0
    played = Played()
    async with played.answering():
        before = trio.current_time()
        with failed("did not answer in time"):
            await connect(RedisAddress("redis", "127.0.0.1", password="p"), played.dialer.dial)
        assert trio.current_time() - before == DIAL_TIMEOUT_S


async def test_a_cancelled_command_closes_the_connection(autojump_clock: MockClock) -> None:
    played = Played()
    async with played.answering():
        connection = await connect(PLAYED, played.dialer.dial)
        with trio.move_on_after(1):
            await connection.command("GET", "a")
        assert connection.is_closed


async def test_what_is_received_without_a_command(autojump_clock: MockClock) -> None:
    played = Played()
    connection = await connect(PLAYED, played.dialer.dial)
    server = await played.accepted()
    with pytest.raises(trio.TooSlowError):
        await connection.receive(1.0)
    await server.send_all(b"*1\r\n:1\r\n:2\r")
    assert await connection.receive(1.0) == [1]
    with pytest.raises(trio.TooSlowError):
        await connection.receive(1.0)
    await server.send_all(b"\n")
    assert await connection.receive(1.0) == 2
    await server.aclose()
    with failed("closed"):
        await connection.receive(1.0)
