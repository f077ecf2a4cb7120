"""Where a PostgreSQL server is and who we are there: a URL, or keywords with values, as libpq has them (34.1.1).

    postgres://user:password@host:port/database?sslmode=require        host=db user=app password='a b' dbname=shop

Only what concerns the server is understood. Whatever would name a file, a socket or an address of this machine, or more
than one host, is an error that says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from edged.host.rdbms.failure import ConnectionFailed
from edged.limits import SQL_ADDRESS_CHARS_MAX

PORT = 5432

_SERVER_SETTINGS = ("application_name", "options")
_TUNING = frozenset(
    {
        "connect_timeout", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval",
        "keepalives_retries", "load_balance_hosts", "tcp_user_timeout",
    }
)  # fmt: skip
"""Of a socket, or of a choice between hosts. edged has its own bounds, so these are passed over."""

_CHOICES: Mapping[str, Mapping[str, str]] = {
    # Certificates are always verified, so that all that ask for TLS ask for the same.
    "sslmode": {"disable": "disable", "prefer": "prefer"}
    | dict.fromkeys(("require", "verify-ca", "verify-full"), "require"),
    "channel_binding": {"disable": "disable", "prefer": "prefer", "require": "require"},
    "target_session_attrs": {"any": "any"},
}
_TEXTS = ("user", "password", "dbname", "host", "port", *_SERVER_SETTINGS)
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_KEYWORD = re.compile(
    r"""\s*(?P<key>[^\s=]+)\s*=\s*(?:'(?P<quoted>(?:[^'\\]|\\.)*)'|(?P<bare>(?:[^\s'\\]|\\.)*))(?=\s|$)""", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """A parsed address. Its repr leaves the password out.

    Attributes:
        host: an IPv6 address without brackets.
        tls: `disable`, `prefer` (where the server has it) or `require`. With TLS, certificates are always verified.
        channel_binding: `disable`, `prefer` or `require`.
        settings: of the session, for the server.
        ca_root: certificates of authorities, in PEM, trusted besides the system's. No address has it.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    tls: str = "prefer"
    channel_binding: str = "prefer"
    settings: tuple[tuple[str, str], ...] = ()
    ca_root: str = field(default="", repr=False)


def parse_address(text: str) -> PostgresAddress:
    """Parse a URL or keywords.

    Raises:
        ConnectionFailed: with the reason; no value of the address is in it.
    """
    if len(text) > SQL_ADDRESS_CHARS_MAX:
        raise ConnectionFailed(f"the address has more than {SQL_ADDRESS_CHARS_MAX} characters")
    is_url = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None
    values: dict[str, str] = {}
    for key, value in _of_url(text) if is_url else _of_keywords(text):
        if "\0" in value:
            raise ConnectionFailed("the address has a NUL")
        if key in values:
            what = "more than one host" if key in ("host", "port") else f"`{key}` twice"
            raise ConnectionFailed(f"the address has {what}")
        if key in _CHOICES:
            if value not in _CHOICES[key]:
                raise ConnectionFailed(f"`{key}` of the address is none of {', '.join(_CHOICES[key])}")
        elif key not in _TEXTS and key not in _TUNING:
            raise ConnectionFailed(f"the address has a parameter that is not supported: {key[:40]!r}")
        values[key] = value
    return _address(values)


def _address(values: Mapping[str, str]) -> PostgresAddress:
    host = values.get("host", "")
    if not host:
        raise ConnectionFailed("the address names no host")
    if "," in host or "," in values.get("port", ""):
        raise ConnectionFailed("the address has more than one host")
    if host.startswith(("/", "@")):
        raise ConnectionFailed("the address is a Unix socket; only hosts can be reached")
    if not _HOST.fullmatch(host):
        raise ConnectionFailed("the host of the address is neither a name nor an IP address")
    port = values.get("port") or str(PORT)
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) <= 0xFFFF:
        raise ConnectionFailed("the port of the address is not a number from 1 to 65535")
    user = values.get("user", "")
    if not user:
        raise ConnectionFailed("the address names no user")
    return PostgresAddress(
        host=host,
        port=int(port),
        user=user,
        password=values.get("password", ""),
        database=values.get("dbname") or user,
        tls=_CHOICES["sslmode"][values.get("sslmode", "prefer")],
        channel_binding=values.get("channel_binding", "prefer"),
        settings=tuple((key, values[key]) for key in _SERVER_SETTINGS if key in values),
    )


def _of_url(text: str) -> Iterable[tuple[str, str]]:
    if any(character.isspace() or ord(character) < 0x20 for character in text):
        raise ConnectionFailed("the address has blanks or control characters")
    try:
        url = urlsplit(text)
    except ValueError:
        raise ConnectionFailed("the address is not a URL of a host and a port") from None
    if url.scheme not in ("postgres", "postgresql"):
        raise ConnectionFailed("the address is neither a postgres:// nor a postgresql:// URL")
    if url.fragment:
        raise ConnectionFailed("the address has a fragment")
    login, _, place = url.netloc.rpartition("@")
    user, colon, password = login.partition(":")
    if user:
        yield "user", unquote(user)
    if colon:
        yield "password", unquote(password)
    if place:
        bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]*))?", place)
        host, port = bracketed.groups() if bracketed else place.partition(":")[::2]
        if host:
            yield "host", unquote(host)
        if port:
            yield "port", port
    if database := unquote(url.path.removeprefix("/")):
        yield "dbname", database
    for pair in url.query.split("&") if url.query else ():
        key, _, value = pair.partition("=")
        # Not as in a form: a `+` is a plus.
        yield unquote(key), unquote(value)


def _of_keywords(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    text = text.strip()
    while at < len(text):
        found = _KEYWORD.match(text, at)
        if found is None:
            raise ConnectionFailed("the address is neither a postgres:// URL nor a list of key=value")
        value = found["bare"] if found["quoted"] is None else found["quoted"]
        yield found["key"], re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        at = found.end()
