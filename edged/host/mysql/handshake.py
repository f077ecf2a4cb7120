"""The beginning of a session: what both sides can, TLS, and who one is."""

from __future__ import annotations

from edged.host.mysql import packets
from edged.host.mysql.address import MysqlAddress
from edged.host.mysql.login import CACHING, NATIVE, encrypt, prove
from edged.host.mysql.wire import STRANGE, Wire
from edged.host.network.trust import ContextOf
from edged.host.rdbms.failure import ConnectionFailed, ConnectionLost


async def log_in(wire: Wire, address: MysqlAddress, context_of: ContextOf) -> None:
    """Take the server's greeting and log in.

    Raises:
        SqlFailed, ValueError, struct.error
    """
    handshake = packets.parse_handshake(await wire.receive())
    capabilities = packets.CAPABILITIES
    if address.database:
        capabilities |= packets.CONNECT_WITH_DB
    if address.counts_found:
        capabilities |= packets.FOUND_ROWS
    if address.has_tls:
        if not handshake.capabilities & packets.SSL:
            raise ConnectionFailed("the server has no TLS, which ssl-mode asks for")
        capabilities |= packets.SSL
        await wire.send(packets.ssl_request(capabilities))
        await wire.start_tls(context_of(address.host), address.host)
    # A server that begins with another plugin is told ours, and asks again.
    plugin = handshake.plugin if handshake.plugin == CACHING else NATIVE
    nonce = handshake.nonce
    answer = prove(plugin, address.password, nonce)
    await wire.send(packets.handshake_response(capabilities, address.user, answer, address.database, plugin))
    while True:
        body = await wire.receive()
        reader = packets.Reader(body, 1)
        match body[0]:
            case packets.OK:
                return
            case packets.ERROR:
                raise packets.parse_error(body)
            case packets.EOF:  # another plugin
                plugin = reader.until_nul().decode("ascii", "replace")
                nonce = reader.rest()[:20]
                await wire.send(prove(plugin, address.password, nonce))
            case packets.MORE_DATA if plugin == CACHING and body[1:] == b"\x03":
                pass  # the proof was good; OK follows
            case packets.MORE_DATA if plugin == CACHING and body[1:] == b"\x04":
                await _send_password(wire, address.password, nonce)
            case _:
                raise ConnectionLost(STRANGE)


async def _send_password(wire: Wire, password: str, nonce: bytes) -> None:
    if wire.tls is not None:
        await wire.send(password.encode() + b"\0")
        return
    await wire.send(b"\x02")  # which key?
    key = await wire.receive()
    if key[0] != packets.MORE_DATA:
        raise ConnectionLost(STRANGE)
    await wire.send(encrypt(password, nonce, key[1:]))
