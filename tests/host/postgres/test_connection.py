"""Servers that are no PostgreSQL, or cheat: what they say is held to the protocol before anything is made of it."""

from __future__ import annotations

import struct
from functools import partial

import pytest
import trio

from edged.host.postgres.address import PostgresAddress
from edged.host.postgres.connection import postgres_pool
from edged.host.rdbms.failure import ConnectionFailed, ConnectionLost, QueryFailed, ResultTooLarge
from edged.limits import SQL_COLUMN_COUNT_MAX, SQL_RESULT_BYTES_MAX, SQL_SCRAM_ITERATIONS_MAX
from tests.host.rdbms.grants import dialer


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


WELCOME = message(b"R", bytes(4)) + message(b"K", bytes(8)) + message(b"Z", b"I")
FIELD = message(b"T", b"\0\x01a\0" + struct.pack(">IHIHIH", 0, 0, 23, 4, 0, 1))


def columns(count: int) -> bytes:
    return message(b"T", struct.pack(">H", count) + (b"a\0" + struct.pack(">IHIHIH", 0, 0, 23, 4, 0, 1)) * count)


async def connect(nursery: trio.Nursery, *script: bytes, tls: str = "disable", channel_binding: str = "prefer"):
    """To a server that says each part of a script after it has got something."""

    async def serve(stream: trio.SocketStream) -> None:
        for part in script:
            await stream.receive_some()
            await stream.send_all(part)
        await stream.aclose()

    (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    port = listener.socket.getsockname()[1]
    address = PostgresAddress("localhost", port, "app", "secret", "app", tls, channel_binding)
    return await postgres_pool(dialer()).acquire(address)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 400 Bad Request\r\n", "protocol"),
        (b"R\0\0\0\0", "protocol"),
        (message(b"T", b""), "protocol"),
        (message(b"R", struct.pack(">I", 7)), "kind 7"),
        (message(b"R", struct.pack(">I", 10) + b"SCRAM-MD5\0\0"), "no login that is supported"),
        (message(b"E", b"SFATAL\0C53300\0Mtoo many clients\0\0"), "53300"),
    ],
)
async def test_logins_that_are_none(nursery, reply, reason) -> None:
    with pytest.raises(ConnectionFailed, match=reason):
        await connect(nursery, reply)


async def test_scram_cannot_be_cut_short(nursery) -> None:
    offer = message(b"R", struct.pack(">I", 10) + b"SCRAM-SHA-256\0\0")
    with pytest.raises(ConnectionFailed, match="protocol"):
        await connect(nursery, offer, WELCOME)


@pytest.mark.parametrize(
    ("first", "final", "reason"),
    [
        ("r=%sx,s=QUJDREVGR0hJSktMTU5PUA==,i=4096", "v=AAAA", "does not know the password"),
        ("r=%sx,s=QUJDREVGR0hJSktMTU5PUA==,i=4096", "", "does not know the password"),
        ("r=%sx,s=QUJDREVGR0hJSktMTU5PUA==,i=4096", "e=other-error", "does not know the password"),
        (f"r=%sx,s=QUJDREVGR0hJSktMTU5PUA==,i={SQL_SCRAM_ITERATIONS_MAX}", "v=AAAA", "does not know the password"),
        (f"r=%sx,s=QUJDREVGR0hJSktMTU5PUA==,i={SQL_SCRAM_ITERATIONS_MAX + 1}", "v=AAAA", "hashes"),
        ("r=%sx,s=QUJDREVGR0hJSktMTU5PUA==,i=99999999999", "v=AAAA", "protocol"),
        ("r=%s,s=QUJDREVGR0hJSktMTU5PUA==,i=4096", "v=AAAA", "protocol"),
        ("r=another%s,s=QUJDREVGR0hJSktMTU5PUA==,i=4096", "v=AAAA", "protocol"),
        ("r=%sx,s=?,i=4096", "v=AAAA", "protocol"),
        ("", "v=AAAA", "protocol"),
    ],
)
async def test_servers_that_do_not_know_the_password(nursery, first, final, reason) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(message(b"R", struct.pack(">I", 10) + b"SCRAM-SHA-256\0\0"))
        nonce = bytes(await stream.receive_some()).rpartition(b",r=")[2].decode()
        await stream.send_all(message(b"R", struct.pack(">I", 11) + first.replace("%s", nonce).encode()))
        await stream.receive_some()
        await stream.send_all(message(b"R", struct.pack(">I", 12) + final.encode()) + WELCOME)
        await stream.aclose()

    (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    address = PostgresAddress("localhost", listener.socket.getsockname()[1], "app", "secret", "app", "disable")
    with pytest.raises(ConnectionFailed, match=reason):
        await postgres_pool(dialer()).acquire(address)


@pytest.mark.parametrize(
    ("tls", "reply", "reason"),
    [
        ("require", b"N", "no TLS"),
        ("require", b"S" + WELCOME, "before TLS"),
        ("prefer", b"E", "protocol"),
        ("prefer", b"Sgarbage that is no TLS", "TLS"),
    ],
)
async def test_tls_that_is_none(nursery, tls, reply, reason) -> None:
    with pytest.raises(ConnectionFailed, match=reason):
        await connect(nursery, reply, tls=tls)


async def test_no_login_without_binding_where_it_is_asked_for(nursery) -> None:
    with pytest.raises(ConnectionFailed, match="channel_binding"):
        await connect(nursery, WELCOME, channel_binding="require")


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (message(b"?", b""), ConnectionLost),
        (message(b"D", b"\0\x01\0\0\0\x04"), ConnectionLost),
        (FIELD + message(b"D", b"\0\x01\0\0\0\x7f\0\0\0\x01"), ConnectionLost),
        (FIELD + message(b"D", b"\0\x02" + b"\xff" * 8), ConnectionLost),
        (message(b"T", b"\x7f\xff"), ConnectionLost),
        (columns(SQL_COLUMN_COUNT_MAX + 1), ConnectionLost),
        (message(b"D", b"\0\0"), ConnectionLost),
        (message(b"R", struct.pack(">I", 3)), ConnectionLost),  # the password, once more
        (message(b"d", b"x"), QueryFailed),
        (b"D" + struct.pack(">I", SQL_RESULT_BYTES_MAX + 5), ResultTooLarge),
        (b"D\0\0\0\0", ConnectionLost),
        (b"", ConnectionLost),
    ],
)
async def test_answers_that_are_none(nursery, answer, failure) -> None:
    connection = await connect(nursery, WELCOME, answer)
    with pytest.raises(failure):
        await connection.run("SELECT 1", ())
    assert not connection.is_ready
    connection.close()


async def test_asides_are_passed_over(nursery) -> None:
    asides = message(b"N", b"\0") + message(b"S", b"a\0b\0") + message(b"A", bytes(4) + b"a\0b\0")
    row = message(b"D", b"\0\x01" + struct.pack(">ii", 4, 7))
    end = message(b"C", b"SELECT 1\0") + message(b"Z", b"I")
    connection = await connect(nursery, asides + WELCOME, FIELD + asides + row + asides + end)
    assert (await connection.run("SELECT 7", ())).rows == [[("int32", 7)]]
    connection.close()


async def test_columns_at_the_limit(nursery) -> None:
    end = message(b"C", b"SELECT 0\0") + message(b"Z", b"I")
    connection = await connect(nursery, WELCOME, columns(SQL_COLUMN_COUNT_MAX) + end)
    assert len((await connection.run("SELECT", ())).fields) == SQL_COLUMN_COUNT_MAX
    connection.close()


async def test_the_encoding_is_ours_whatever_the_server_says(nursery) -> None:
    field = message(b"T", b"\0\x01a\0" + struct.pack(">IHIHIH", 0, 0, 25, -1 & 0xFFFF, 0, 1))
    row = message(b"D", b"\0\x01" + struct.pack(">i", 2) + "é".encode())
    other = message(b"S", b"client_encoding\0punycode\0")
    end = message(b"C", b"SELECT 1\0") + message(b"Z", b"I")
    connection = await connect(nursery, other + WELCOME, other + field + row + end)
    assert (await connection.run("SELECT 'é'", ())).rows == [[("str", "é")]]
    connection.close()
