"""Where a MySQL server is and who we are there: `mysql://user:password@host:port/database?ssl-mode=required`.

Whatever would name a file or a socket of this machine is an error that says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, unquote_plus, urlsplit

from edged.host.rdbms.failure import ConnectionFailed
from edged.limits import SQL_ADDRESS_CHARS_MAX

PORT = 3306

_TUNING = frozenset(
    {
        "conn_ttl", "inactive_connection_ttl", "max_allowed_packet", "pool_max", "pool_min", "prefer_socket",
        "stmt_cache_size", "tcp_keepalive", "tcp_nodelay", "ttl_check_interval", "wait_timeout",
    }
)  # fmt: skip
"""Of mysql_async, Spin's client: its pool and its sockets. edged has its own bounds, so these are passed over."""

_TLS = frozenset({"ssl-mode", "sslmode"})
_HOST = re.compile(r"[A-Za-z0-9._:-]+")


@dataclass(frozen=True, slots=True)
class MysqlAddress:
    """A parsed URL. Its repr leaves the password out.

    Attributes:
        host: an IPv6 address without brackets.
        database: to begin with; empty for none.
        has_tls: certificates are always verified then.
        counts_found: an update counts the rows that it found, not only those that it changed.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    has_tls: bool = False
    counts_found: bool = False


def parse_address(text: str) -> MysqlAddress:
    """Parse a URL.

    Raises:
        ConnectionFailed: with the reason; no value of the address is in it.
    """
    if len(text) > SQL_ADDRESS_CHARS_MAX:
        raise ConnectionFailed(f"the address has more than {SQL_ADDRESS_CHARS_MAX} characters")
    if any(character.isspace() or ord(character) < 0x20 for character in text):
        raise ConnectionFailed("the address has blanks or control characters")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ConnectionFailed("the address is not a URL of a host and a port") from None
    if url.scheme != "mysql":
        raise ConnectionFailed("the address is not a mysql:// URL")
    if url.fragment:
        raise ConnectionFailed("the address has a fragment")
    host = url.hostname or ""
    if not host:
        raise ConnectionFailed("the address names no host")
    if "," in url.netloc.rpartition("@")[2]:
        raise ConnectionFailed("the address has more than one host")
    if not _HOST.fullmatch(host):
        raise ConnectionFailed("the host of the address is neither a name nor an IP address")
    if port == 0:
        raise ConnectionFailed("the port of the address is not a number from 1 to 65535")
    names = [unquote(part or "") for part in (url.username, url.password, url.path.removeprefix("/"))]
    if any("\0" in name for name in names):
        raise ConnectionFailed("the address has a NUL")
    has_tls = counts_found = False
    for pair in url.query.split("&") if url.query else ():
        key, _, value = (unquote_plus(part) for part in pair.partition("="))
        if key.lower() in _TLS:
            has_tls = has_tls or value.lower() != "disabled"
        elif key == "require_ssl":
            has_tls = has_tls or value == "true"
        elif key == "client_found_rows":
            counts_found = value == "true"
        elif key not in _TUNING:
            raise ConnectionFailed(f"the address has a parameter that is not supported: {key[:40]!r}")
    user, password, database = names
    return MysqlAddress(host, PORT if port is None else port, user, password, database, has_tls, counts_found)
