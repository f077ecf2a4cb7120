"""Where a Redis server is, and who we are there.

redis://[user][:password@]host[:port][/database]    rediss:// for TLS
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from edged.limits import REDIS_ADDRESS_BYTES_MAX

PORT = 6379


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A parsed URL. Its repr and text leave the password out.

    Attributes:
        scheme: `redis`, or `rediss` for TLS.
        host: an IPv6 address without brackets.
        database: number of the database to select.
    """

    scheme: str
    host: str
    port: int = PORT
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0

    @property
    def server(self) -> str:
        """`host:port`, for logs."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> RedisAddress:
    """Parse a URL. Its query, which some clients take settings from, is passed over.

    Raises:
        ValueError: with the reason; the text, which may hold a password, is not in it.
    """
    if len(text) > REDIS_ADDRESS_BYTES_MAX:
        raise ValueError(f"has more than {REDIS_ADDRESS_BYTES_MAX} characters")
    if any(ord(character) <= 0x20 or ord(character) == 0x7F for character in text):
        raise ValueError("has blanks or control characters")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError("is not a URL of a host and a port") from None
    if url.scheme not in ("redis", "rediss"):
        raise ValueError("is not a redis:// or rediss:// URL")
    if not url.hostname:
        raise ValueError("has no host")
    if port == 0:
        raise ValueError("has the port 0")
    if url.fragment:  # redis-rs reads `#insecure` as leave not to look at the server's certificate
        raise ValueError("has a fragment")
    database = url.path.removeprefix("/")
    if database and not (database.isascii() and database.isdigit() and len(database) <= 5):
        raise ValueError("has a path that is not the number of a database")
    return RedisAddress(
        scheme=url.scheme,
        host=url.hostname,
        port=PORT if port is None else port,
        user=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        database=int(database or 0),
    )
