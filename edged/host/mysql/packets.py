"""Packets of MySQL's client/server protocol, without any I/O: the handshake, prepared statements, and their results.

Integers are little-endian; a `lenenc` one is a byte, or a byte that says how many follow. Source: the protocol's
chapters in MySQL's source documentation ("Client/Server Protocol") and MariaDB's knowledge base.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from edged.host.rdbms.failure import QueryFailed

PACKET_BYTES_MAX = 0xFFFFFF
"""Of one packet; what is longer goes on in the next one."""

LONG_PASSWORD, FOUND_ROWS, LONG_FLAG, CONNECT_WITH_DB = 1 << 0, 1 << 1, 1 << 2, 1 << 3
PROTOCOL_41, SSL, TRANSACTIONS, SECURE_CONNECTION = 1 << 9, 1 << 11, 1 << 13, 1 << 15
MULTI_RESULTS, PS_MULTI_RESULTS, PLUGIN_AUTH, LENENC_AUTH = 1 << 17, 1 << 18, 1 << 19, 1 << 21
CAPABILITIES = (
    LONG_PASSWORD | LONG_FLAG | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | MULTI_RESULTS | PS_MULTI_RESULTS
    | PLUGIN_AUTH | LENENC_AUTH
)  # fmt: skip
"""What this client says it can. LOCAL_FILES is not there, nor are MULTI_STATEMENTS."""

UTF8MB4 = 45
MORE_RESULTS = 1 << 3
"""Of a status: another result follows."""

OK, MORE_DATA, LOCAL_INFILE, EOF, ERROR = 0x00, 0x01, 0xFB, 0xFE, 0xFF

COM_INIT_DB, COM_QUERY, COM_STMT_PREPARE, COM_STMT_EXECUTE = 0x02, 0x03, 0x16, 0x17
COM_STMT_CLOSE, COM_RESET_CONNECTION = 0x19, 0x1F


class Refused(QueryFailed):
    """The server says that something is wrong."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a server begins with."""

    capabilities: int
    nonce: bytes
    plugin: str


@dataclass(frozen=True, slots=True)
class Definition:
    """A column of a result.

    Attributes:
        kind: number of its type.
        flags: UNSIGNED, BINARY and others.
    """

    name: str
    kind: int
    flags: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that the server knows."""

    number: int
    column_count: int
    parameter_count: int


class Reader:
    """Takes values from a packet. Past its end: ValueError."""

    __slots__ = ("_at", "_body")

    def __init__(self, body: bytes, at: int = 0) -> None:
        self._body = body
        self._at = at

    @property
    def left(self) -> int:
        return len(self._body) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise ValueError("a packet is cut off")
        self._at += count
        return self._body[self._at - count : self._at]

    def integer(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def lenenc(self) -> int:
        first = self.integer(1)
        if first < 0xFB:
            return first
        if first not in _LENENC_BYTES:
            raise ValueError("a length is malformed")
        return self.integer(_LENENC_BYTES[first])

    def string(self) -> bytes:
        return self.take(self.lenenc())

    def until_nul(self) -> bytes:
        end = self._body.find(b"\0", self._at)
        end = len(self._body) if end < 0 else end
        taken = self._body[self._at : end]
        self._at = min(end + 1, len(self._body))
        return taken

    def rest(self) -> bytes:
        return self.take(self.left)


_LENENC_BYTES = {0xFC: 2, 0xFD: 3, 0xFE: 8}


def lenenc(number: int) -> bytes:
    if number < 0xFB:
        return bytes((number,))
    first = next(first for first, count in _LENENC_BYTES.items() if number < 1 << 8 * count)
    return bytes((first,)) + number.to_bytes(_LENENC_BYTES[first], "little")


def packet(sequence: int, body: bytes) -> bytes:
    assert len(body) < PACKET_BYTES_MAX  # the limits of statements and parameters see to it
    return len(body).to_bytes(3, "little") + bytes((sequence & 0xFF,)) + body


def parse_handshake(body: bytes) -> Handshake:
    """Protocol::HandshakeV10. Raises: ValueError, Refused: it is an error instead."""
    if body[:1] == b"\xff":
        raise parse_error(body)
    reader = Reader(body)
    if reader.integer(1) != 10:
        raise ValueError("the server speaks another protocol")
    reader.until_nul()  # its version
    reader.take(4)  # number of the connection
    nonce = reader.take(8)
    reader.take(1)
    capabilities = reader.integer(2)
    reader.take(3)  # character set, status
    capabilities |= reader.integer(2) << 16
    length = reader.integer(1)
    reader.take(10)
    nonce += reader.take(max(13, length - 8))[:12]
    plugin = reader.until_nul() if capabilities & PLUGIN_AUTH else b"mysql_native_password"
    return Handshake(capabilities, nonce, plugin.decode("ascii", "replace"))


def ssl_request(capabilities: int) -> bytes:
    return struct.pack("<IIB23x", capabilities, PACKET_BYTES_MAX, UTF8MB4)


def handshake_response(capabilities: int, user: str, answer: bytes, database: str, plugin: str) -> bytes:
    body = ssl_request(capabilities) + user.encode() + b"\0" + lenenc(len(answer)) + answer
    if capabilities & CONNECT_WITH_DB:
        body += database.encode() + b"\0"
    return body + plugin.encode() + b"\0"


def parse_error(body: bytes) -> Refused:
    """ERR_Packet."""
    reader = Reader(body, 1)
    code = reader.integer(2)
    text = reader.rest().decode(errors="replace")
    state, message = (text[1:6], text[6:]) if text.startswith("#") else ("HY000", text)
    return Refused(f"ERROR {code} ({state}): {message}")


def parse_status(body: bytes) -> int:
    """The status of an OK or EOF packet."""
    reader = Reader(body, 1)
    if body[0] == EOF:
        reader.take(2)
        return reader.integer(2)
    reader.lenenc()
    reader.lenenc()
    return reader.integer(2)


def is_eof(body: bytes) -> bool:
    """Whether a packet ends definitions or rows. Longer ones that begin alike are not such."""
    return body[:1] == b"\xfe" and len(body) < 9


def parse_prepared(body: bytes) -> Prepared:
    """COM_STMT_PREPARE_OK. Raises: ValueError"""
    reader = Reader(body, 1)
    return Prepared(reader.integer(4), reader.integer(2), reader.integer(2))


def parse_definition(body: bytes) -> Definition:
    """Protocol::ColumnDefinition41. Raises: ValueError"""
    reader = Reader(body)
    for _ in range(4):  # catalogue, schema, table and its name before AS
        reader.string()
    name = reader.string()
    reader.string()
    reader.take(1 + 2 + 4)  # length of what follows, character set, width
    return Definition(name.decode(errors="replace"), reader.integer(1), reader.integer(2))
