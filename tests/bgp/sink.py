"""A BGP peer for tests: listens on loopback, says OPEN and KEEPALIVE, keeps everything that it is told. Needs no root.

    async with sink.listening(asn=65101) as router:
        ...start a speaker with Peer(..., address=router.address, port=router.port)
        session = await router.session()            # established
        update = await session.until(lambda got: isinstance(got, Update) and got.announced)
        await session.ended()

Every message of the speaker is a record, in the order in which it came. RFC 4271, and MP_REACH_NLRI of RFC 4760.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import trio

from bgp.prefix import Address, Network

MARKER = b"\xff" * 16
OPEN, UPDATE, NOTIFICATION, KEEPALIVE, ROUTE_REFRESH = 1, 2, 3, 4, 5
_ORIGIN, _AS_PATH, _NEXT_HOP, _MED, _COMMUNITIES, _MP_REACH, _MP_UNREACH, _LARGE = 1, 2, 3, 4, 8, 14, 15, 32
TCP_MD5SIG = 14


@dataclass(frozen=True, slots=True)
class Open:
    """RFC 4271 4.2. `capabilities`: values by code (RFC 5492), of a code said twice the last."""

    asn: int
    hold_s: int
    router_id: IPv4Address
    capabilities: dict[int, bytes]
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Update:
    """RFC 4271 4.3, both families together.

    Attributes:
        attributes: values by type code, as they were on the wire, without flags and length.
        end_of_rib: RFC 4724 2.
    """

    announced: tuple[Network, ...]
    withdrawn: tuple[Network, ...]
    next_hop: Address | None
    attributes: dict[int, bytes]
    end_of_rib: bool
    raw: bytes = field(repr=False)

    @property
    def as_path(self) -> tuple[int, ...]:
        value, path = self.attributes.get(_AS_PATH, b""), []
        while value:
            count = value[1]
            path += struct.unpack(f">{count}I", value[2 : 2 + 4 * count])
            value = value[2 + 4 * count :]
        return tuple(path)

    @property
    def med(self) -> int | None:
        value = self.attributes.get(_MED)
        return None if value is None else int.from_bytes(value, "big")

    @property
    def communities(self) -> tuple[tuple[int, int], ...]:
        return tuple(struct.iter_unpack(">HH", self.attributes.get(_COMMUNITIES, b"")))

    @property
    def large_communities(self) -> tuple[tuple[int, int, int], ...]:
        return tuple(struct.iter_unpack(">III", self.attributes.get(_LARGE, b"")))


@dataclass(frozen=True, slots=True)
class Notification:
    """RFC 4271 4.5"""

    code: int
    subcode: int
    data: bytes
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keepalive:
    """RFC 4271 4.4"""


@dataclass(frozen=True, slots=True)
class Other:
    """A message of another type: ROUTE-REFRESH."""

    type: int
    raw: bytes


Message = Open | Update | Notification | Keepalive | Other


def message(kind: int, body: bytes = b"") -> bytes:
    return MARKER + struct.pack(">HB", 19 + len(body), kind) + body


def open_message(asn: int, hold_s: int, router_id: str, families: tuple[str, ...]) -> bytes:
    """With the capabilities that a router has: families (RFC 4760), AS numbers of four bytes (RFC 6793)."""
    capabilities = b"".join(bytes((1, 4, 0, 1 if of == "ipv4" else 2, 0, 1)) for of in families)
    capabilities += bytes((65, 4)) + struct.pack(">I", asn)
    parameters = bytes((2, len(capabilities))) + capabilities
    two_bytes = asn if asn < 2**16 else 23456
    return message(
        OPEN,
        struct.pack(">BHH", 4, two_bytes, hold_s)
        + IPv4Address(router_id).packed
        + bytes((len(parameters),))
        + parameters,
    )


def notification_message(code: int, subcode: int, data: bytes = b"") -> bytes:
    return message(NOTIFICATION, bytes((code, subcode)) + data)


def parse(raw: bytes) -> Message:
    """One message, with its header."""
    kind, body = raw[18], raw[19:]
    if kind == OPEN:
        return _parse_open(body, raw)
    if kind == UPDATE:
        return _parse_update(body, raw)
    if kind == NOTIFICATION:
        return Notification(body[0], body[1], body[2:], raw)
    return Keepalive() if kind == KEEPALIVE else Other(kind, raw)


def _parse_open(body: bytes, raw: bytes) -> Open:
    _, asn, hold_s = struct.unpack(">BHH", body[:5])
    capabilities: dict[int, bytes] = {}
    parameters = body[10 : 10 + body[9]]
    while parameters:
        kind, size = parameters[0], parameters[1]
        inside, parameters = parameters[2 : 2 + size], parameters[2 + size :]
        while kind == 2 and inside:
            capabilities[inside[0]] = inside[2 : 2 + inside[1]]
            inside = inside[2 + inside[1] :]
    if 65 in capabilities:
        asn = int.from_bytes(capabilities[65], "big")
    return Open(asn, hold_s, IPv4Address(body[5:9]), capabilities, raw)


def _prefixes(data: bytes, width: int) -> list[Network]:
    found: list[Network] = []
    while data:
        size = (data[0] + 7) // 8
        packed = data[1 : 1 + size].ljust(width, b"\0")
        found.append(ip_network((packed, data[0])))
        data = data[1 + size :]
    return found


def _parse_update(body: bytes, raw: bytes) -> Update:
    size = int.from_bytes(body[:2], "big")
    withdrawn, rest = _prefixes(body[2 : 2 + size], 4), body[2 + size :]
    size = int.from_bytes(rest[:2], "big")
    encoded, announced = rest[2 : 2 + size], _prefixes(rest[2 + size :], 4)
    attributes: dict[int, bytes] = {}
    while encoded:
        flags, kind = encoded[0], encoded[1]
        start = 4 if flags & 0x10 else 3
        size = int.from_bytes(encoded[2:start], "big")
        attributes[kind] = encoded[start : start + size]
        encoded = encoded[start + size :]
    next_hop: Address | None = None
    if _NEXT_HOP in attributes:
        next_hop = IPv4Address(attributes[_NEXT_HOP])
    reach, unreach = attributes.get(_MP_REACH), attributes.get(_MP_UNREACH)
    if reach is not None:
        width = 16 if reach[1] == 2 else 4
        hop = reach[4 : 4 + reach[3]]
        next_hop = IPv6Address(hop[:16]) if width == 16 else IPv4Address(hop)
        announced += _prefixes(reach[5 + reach[3] :], width)
    if unreach is not None:
        withdrawn += _prefixes(unreach[3:], 16 if unreach[1] == 2 else 4)
    end = not announced and not withdrawn and (body == b"\0" * 4 or (unreach is not None and len(attributes) == 1))
    return Update(tuple(announced), tuple(withdrawn), next_hop, attributes, end, raw)


class Session:
    """One connection of a speaker, from the router's side.

    Attributes:
        got: everything that it said, in order.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._news = trio.Condition()
        self.got: list[Message] = []
        self.over = False

    async def send(self, raw: bytes) -> None:
        await self._stream.send_all(raw)

    async def until(self, wanted: Callable[[Message], bool], *, after: int = 0) -> Message:
        """The first message that is wanted, of those after so many; waits for it.

        Raises:
            AssertionError: the connection ended first.
        """
        async with self._news:
            while True:
                for one in self.got[after:]:
                    if wanted(one):
                        return one
                    after += 1
                assert not self.over, f"ended before what was waited for; got {self.got}"
                await self._news.wait()

    async def update(self, *, announces: str = "", withdraws: str = "", after: int = 0) -> Update:
        """The first UPDATE with this prefix announced, or withdrawn."""

        def wanted(one: Message) -> bool:
            return isinstance(one, Update) and (
                announces in map(str, one.announced) if announces else withdraws in map(str, one.withdrawn)
            )

        found = await self.until(wanted, after=after)
        assert isinstance(found, Update)
        return found

    async def ended(self) -> Notification | None:
        """Waits for the end of the connection; the NOTIFICATION that came with it."""
        async with self._news:
            while not self.over:
                await self._news.wait()
        return next((one for one in self.got if isinstance(one, Notification)), None)

    @property
    def announced(self) -> dict[str, Update]:
        """The router's table of this session: what is announced now, and by which UPDATE."""
        table: dict[str, Update] = {}
        for one in self.got:
            if isinstance(one, Update):
                for gone in one.withdrawn:
                    table.pop(str(gone), None)
                table.update({str(prefix): one for prefix in one.announced})
        return {} if self.over else table

    async def table(self, wanted: Callable[[dict[str, Update]], bool]) -> dict[str, Update]:
        """Waits until what is announced is as wanted.

        Raises:
            AssertionError: the connection ended first.
        """
        async with self._news:
            while not wanted(self.announced):
                assert not self.over, f"ended before what was waited for; got {self.got}"
                await self._news.wait()
            return self.announced

    async def close(self) -> None:
        await self._stream.aclose()

    async def _add(self, one: Message | None) -> None:
        async with self._news:
            if one is None:
                self.over = True
            else:
                self.got.append(one)
            self._news.notify_all()

    async def _run(self, router: Router) -> None:
        held = b""
        try:
            while data := await self._stream.receive_some():
                held += data
                while len(held) >= 19 and len(held) >= (size := int.from_bytes(held[16:18], "big")):
                    one, held = parse(held[:size]), held[size:]
                    if isinstance(one, Open) and router.answers:
                        await self.send(router.open_message() + message(KEEPALIVE))
                    elif isinstance(one, Keepalive) and not any(isinstance(old, Keepalive) for old in self.got):
                        await self._add(one)
                        await router._established(self)
                        continue
                    elif isinstance(one, Keepalive) and router.answers:
                        await self.send(message(KEEPALIVE))
                    await self._add(one)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # reset: the end as well
        finally:
            with trio.CancelScope(shield=True):
                await self._add(None)
                await self._stream.aclose()


class Router:
    """
    Attributes:
        answers: says OPEN and KEEPALIVE of itself; without, the test says everything.
        connections: every one that there was, established or not.
    """

    def __init__(
        self, asn: int, hold_s: int, families: tuple[str, ...], listener: trio.SocketListener, answers: bool
    ) -> None:
        self._listener = listener
        self.asn = asn
        self.hold_s = hold_s
        self.families = families
        self.answers = answers
        self.address: Address = ip_address(listener.socket.getsockname()[0])
        self.port: int = listener.socket.getsockname()[1]
        self.connections: list[Session] = []
        self._up: list[Session] = []
        self._news = trio.Condition()

    def open_message(self) -> bytes:
        return open_message(self.asn, self.hold_s, "192.0.2.1", self.families)

    async def session(self, number: int = 0) -> Session:
        """The first session that was established, or the one after so many; waits for it."""
        async with self._news:
            while len(self._up) <= number:
                await self._news.wait()
            return self._up[number]

    async def connection(self, number: int = 0) -> Session:
        """The first connection that was made, or the one after so many; waits for it."""
        async with self._news:
            while len(self.connections) <= number:
                await self._news.wait()
            return self.connections[number]

    def require_password(self, address: Address, password: str) -> None:
        """TCP-MD5 (RFC 2385) for connections from there. Needs no privilege on Linux."""
        packed = address.packed
        if address.version == 4:
            peer = struct.pack("=HH4s", socket.AF_INET, 0, packed).ljust(128, b"\0")
        else:
            peer = struct.pack("=HHI16s", socket.AF_INET6, 0, 0, packed).ljust(128, b"\0")
        key = password.encode("ascii")
        value = peer + struct.pack("=BBHI80s", 0, 0, len(key), 0, key)
        self._listener.socket.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, value)

    def send_with_ttl(self, ttl: int) -> None:
        """Of every packet from now on (IPv4)."""
        self._listener.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)

    async def _established(self, session: Session) -> None:
        async with self._news:
            self._up.append(session)
            self._news.notify_all()

    async def _accept(self, stream: trio.SocketStream) -> None:
        session = Session(stream)
        async with self._news:
            self.connections.append(session)
            self._news.notify_all()
        await session._run(self)

    async def _run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        await trio.serve_listeners(self._accept, [self._listener], task_status=task_status)


@asynccontextmanager
async def listening(
    asn: int = 65101,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    hold_s: int = 90,
    families: tuple[str, ...] = ("ipv4", "ipv6"),
    answers: bool = True,
) -> AsyncIterator[Router]:
    """A router on loopback, at any free port unless one is given."""
    listener = (await trio.open_tcp_listeners(port, host=host))[0]
    router = Router(asn, hold_s, families, listener, answers)
    async with trio.open_nursery() as nursery:
        await nursery.start(router._run)
        try:
            yield router
        finally:
            nursery.cancel_scope.cancel()
