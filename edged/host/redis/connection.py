"""One connection to a Redis server: commands and their replies, over trio.

    connect: dial ── TLS ── AUTH ── SELECT ──> Connection.command(...) ── ReplyReader ──> reply

A command that did not come to its end, cancelled or for whatever reason, closes the connection: the reply to it could
be taken for the reply to the next one.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import cast

import trio

from edged.host.network.dialer import DialFailed
from edged.host.network.trust import system_trust
from edged.host.redis.address import RedisAddress
from edged.host.redis.resp import (
    INCOMPLETE,
    ErrorReply,
    ProtocolError,
    Push,
    Reply,
    ReplyReader,
    ReplyTooLarge,
    encode_command,
)
from edged.limits import (
    DIAL_TIMEOUT_S,
    READ_CHUNK_BYTES,
    REDIS_COMMAND_BYTES_MAX,
    REDIS_COMMAND_S_MAX,
    REDIS_PUSH_COUNT_MAX,
    REDIS_REPLY_BYTES_MAX,
)

Dial = Callable[[str, int, float], Awaitable[trio.SocketStream]]
"""`edged.host.network.dialer.Dialer.dial`."""


class RedisFailed(Exception):
    """No reply. The message is for whoever gave the address, maybe a guest: it holds no password."""


class RedisReplyTooLarge(RedisFailed):
    """The reply is over a limit; the connection is closed."""


class Connection:
    """A connection that is ready for commands. Made by `connect`; one task at a time uses it.

    Attributes:
        address: what it was made for.
        is_closed: it failed, or was closed.
        is_changed: its state may not be that of a new one any more; set by its user.
        used_at: trio's time, kept by the pool.
    """

    __slots__ = ("_reader", "_socket", "_stream", "address", "is_changed", "is_closed", "used_at")

    def __init__(self, address: RedisAddress, stream: trio.abc.Stream, socket: trio.socket.SocketType) -> None:
        self.address = address
        self.is_closed = False
        self.is_changed = False
        self.used_at = 0.0
        self._stream = stream
        self._socket = socket
        self._reader = ReplyReader()

    async def command(
        self,
        *arguments: bytes | str | int,
        bytes_max: int = REDIS_REPLY_BYTES_MAX,
        timeout_s: float = REDIS_COMMAND_S_MAX,
    ) -> Reply:
        """Send a command and return its reply; an `ErrorReply` is one.

        Args:
            bytes_max: of the reply, framing included.

        Raises:
            RedisFailed: no reply came; unless the command itself was over the limit, the connection is closed.
        """
        data = encode_command(arguments)
        if len(data) > REDIS_COMMAND_BYTES_MAX:
            raise RedisFailed(f"the command has more than {REDIS_COMMAND_BYTES_MAX} bytes")
        with self._closing_on_failure():
            self._reader.bytes_max = bytes_max
            with trio.move_on_after(timeout_s):
                await self._stream.send_all(data)
                pushes = 0
                while isinstance(reply := await self._next(), Push):
                    pushes += 1
                    if pushes > REDIS_PUSH_COUNT_MAX:
                        raise ProtocolError("more came than was asked for")
                if not self._reader.is_empty:
                    raise ProtocolError("more came than was asked for")
                return reply
            raise RedisFailed("the server did not answer in time")

    async def send(self, *arguments: bytes | str | int) -> None:
        """Send a command whose reply comes to `receive`.

        Raises:
            RedisFailed: the connection is closed.
        """
        with self._closing_on_failure():
            with trio.move_on_after(REDIS_COMMAND_S_MAX):
                await self._stream.send_all(encode_command(arguments))
                return
            raise RedisFailed("the server did not take the command in time")

    async def receive(self, timeout_s: float) -> Reply:
        """The next value that the server sends.

        Raises:
            trio.TooSlowError: none came; the connection is as it was.
            RedisFailed: the connection is closed.
        """
        with self._closing_on_failure(), trio.move_on_after(timeout_s):
            return await self._next()
        raise trio.TooSlowError

    def is_alive(self) -> bool:
        """Whether it may be used again: nothing has come that nobody asked for, the end of the connection included."""
        return not self.is_closed and not self._socket.is_readable()

    def close(self) -> None:
        """Without a word to the server: it holds nothing for us."""
        self.is_closed = True
        self._socket.close()

    async def _next(self) -> Reply:
        while (reply := self._reader.next()) is INCOMPLETE:
            data = await self._stream.receive_some(READ_CHUNK_BYTES)
            if not data:
                raise RedisFailed("the server closed the connection")
            self._reader.feed(data)
        return cast("Reply", reply)

    @contextmanager
    def _closing_on_failure(self) -> Iterator[None]:
        if self.is_closed:
            raise RedisFailed("the connection is closed")
        try:
            yield
        except BaseException as error:
            self.close()
            match error:
                case ProtocolError():
                    raise RedisFailed(f"the server does not speak the Redis protocol: {error}") from None
                case ReplyTooLarge():
                    raise RedisReplyTooLarge(str(error)) from None
                case trio.BrokenResourceError() | trio.ClosedResourceError() | ssl.SSLError():
                    raise RedisFailed("the connection was lost") from None
            raise


async def connect(address: RedisAddress, dial: Dial, tls: ssl.SSLContext | None = None) -> Connection:
    """A connection that is logged in and has the address's database selected.

    Args:
        tls: for `rediss`; None for one that trusts the system's certificate authorities.

    Raises:
        RedisFailed: with the reason.
    """
    deadline = trio.current_time() + DIAL_TIMEOUT_S
    try:
        raw = await dial(address.host, address.port, DIAL_TIMEOUT_S)
    except DialFailed as failed:
        raise RedisFailed(str(failed)) from None
    try:
        with trio.CancelScope(deadline=deadline):
            stream: trio.abc.Stream = raw
            if address.scheme == "rediss":
                stream = await _handshake(raw, address.host, tls or await system_trust())
            connection = Connection(address, stream, raw.socket)
            await _log_in(connection)
            return connection
        raise RedisFailed(f"{address.host} did not answer in time")
    except BaseException:
        raw.socket.close()
        raise


async def _handshake(raw: trio.SocketStream, host: str, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    stream = trio.SSLStream(raw, context, server_hostname=host, https_compatible=True)
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError as error:
        if isinstance(error.__cause__, ssl.SSLCertVerificationError):
            raise RedisFailed(f"the certificate of {host} is not trusted") from None
        raise RedisFailed(f"{host} does not speak TLS as we do") from None
    return stream


async def _log_in(connection: Connection) -> None:
    address = connection.address
    if address.password is not None or address.user is not None:
        names = [] if address.user is None else [address.user]
        _expect_ok(await connection.command("AUTH", *names, address.password or ""), "the login")
    if address.database:
        _expect_ok(await connection.command("SELECT", address.database), "the database")


def _expect_ok(reply: Reply, what: str) -> None:
    if reply != "OK":
        reason = reply.text if isinstance(reply, ErrorReply) else "it did not say why"
        raise RedisFailed(f"the server refused {what}: {reason}")
