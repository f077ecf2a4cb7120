"""`allowed_outbound_hosts`: which destinations a component may reach.

An entry is `scheme://host[:port]`:

| part   | forms                                                                                             |
|--------|---------------------------------------------------------------------------------------------------|
| scheme | letters, or `*` for any                                                                            |
| host   | `*`, `*.domain` (any depth below, not the domain itself), `self`, a name, an address, a network    |
| port   | `*`, a number, `low..high` (without `high`), or none: the scheme's own                             |

There is no path; one trailing slash is let pass. Nothing is allowed that no entry allows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from edged.errors import VariableError
from edged.manifest.template import Template

ALLOW_ALL_HTTP = "insecure:allow-all"
DATABASES_ANYWHERE = ("redis://*:*", "mysql://*:*", "postgres://*:*")
"""What a v1 component without `allowed_outbound_hosts` may reach: so it was before that field existed."""

_PORTS = {"http": 80, "https": 443, "redis": 6379, "mysql": 3306, "postgres": 5432, "mqtt": 1883}
_ANY_PORT = range(1 << 16)
_NAME_CHARS_MAX = 253  # of a DNS name; IDNA needs ms for each thousand of a longer one, which a guest may give
_SCHEME = re.compile(r"\*|[A-Za-z]+")
_LABELS = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class Subdomains:
    """Every name below a domain: `a.example.com` and `b.a.example.com`, but not `example.com`."""

    domain: str


@dataclass(frozen=True, slots=True)
class AnyHost:
    """`*`"""


@dataclass(frozen=True, slots=True)
class SelfHost:
    """`self`: requests of the app to its own listener."""


Target = str | IPv4Address | IPv6Address
HostPattern = AnyHost | SelfHost | Subdomains | str | IPv4Address | IPv6Address | IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """One entry.

    Attributes:
        scheme: in lower case, or None for any.
        ports: port numbers; the end is not one of them.
    """

    scheme: str | None
    host: HostPattern
    ports: range

    def allows(self, scheme: str, target: Target, port: int | None) -> bool:
        """As `AllowedHosts.allows`, of a scheme in lower case and a normal target."""
        port = _PORTS.get(scheme) if port is None else port
        return (
            self.scheme in (None, scheme)
            and _host_matches(self.host, target)
            and (port in self.ports if port is not None else self.ports == _ANY_PORT)
        )

    def allows_self(self, scheme: str) -> bool:
        return self.scheme in (None, scheme.lower()) and isinstance(self.host, AnyHost | SelfHost)


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """All entries of one component; empty allows nothing."""

    entries: tuple[AllowedHost, ...] = ()

    def allows(self, scheme: str, host: str, port: int | None = None) -> bool:
        """Whether a connection to this destination is allowed.

        Args:
            host: name or address as in a URL: an IPv6 address with or without brackets. A name is compared as a name:
                what it resolves to is for the caller to check.
            port: None stands for the scheme's own.
        """
        scheme, target = scheme.lower(), _normal(host)
        return any(entry.allows(scheme, target, port) for entry in self.entries)

    def allows_self(self, scheme: str) -> bool:
        """Whether a request without an authority, to the app's own listener, is allowed."""
        return any(entry.allows_self(scheme) for entry in self.entries)


def allowed_hosts(component: str, hosts: Iterable[Template], values: Mapping[str, str]) -> AllowedHosts:
    """The entries of a component with the app's variables put in.

    Args:
        component: its id, for the message.
        values: as `edged.manifest.variables.resolve` gives them.

    Raises:
        VariableError: a value that makes an entry invalid. The value itself, maybe a secret, is not in the message.
    """
    entries = []
    for template in hosts:
        try:
            entries.append(parse_host(template.render(values)))
        except ValueError as error:
            names = ", ".join(template.names)
            raise VariableError(
                f"component `{component}`: allowed_outbound_hosts has `{template.text}`, which, resolved, {error}",
                remedy=f"Give {names} a value that makes it scheme://host[:port].",
            ) from None
    return AllowedHosts(tuple(entries))


def parse_host(text: str) -> AllowedHost:
    """Parse an entry without variables.

    Raises:
        ValueError: with the reason, as a clause that follows the entry.
    """
    text = text.strip()
    if text == ALLOW_ALL_HTTP:
        raise ValueError("is from before Spin 2; `*://*:*` allows everything")
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ValueError("has no scheme; write `scheme://host[:port]`, with `*` for any")
    if not _SCHEME.fullmatch(scheme):
        raise ValueError("has a scheme that is neither letters nor `*`")
    host, port = _split_port(rest.removesuffix("/"))
    scheme = scheme.lower()
    return AllowedHost(None if scheme == "*" else scheme, _parse_host_pattern(host), _parse_ports(port, scheme))


def _split_port(rest: str) -> tuple[str, str]:
    if rest.startswith("["):
        host, bracket, port = rest.partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ValueError("has a `[` without its `]`, or something other than `:port` after it")
        return host + bracket, port[1:]
    host, _, port = rest.rpartition(":") if ":" in rest else (rest, "", "")
    return host, port


def _parse_ports(port: str, scheme: str) -> range:
    if port == "*":
        return _ANY_PORT
    if not port:
        if scheme not in _PORTS:
            raise ValueError(f"needs a port: the scheme `{scheme}` has none of its own")
        return range(_PORTS[scheme], _PORTS[scheme] + 1)
    low, dots, high = port.partition("..")
    first = _port_number(low)
    ports = range(first, _port_number(high) if dots else first + 1)
    if not ports:
        raise ValueError("has an empty port range; its end is not part of it")
    return ports


def _port_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise ValueError("has a port that is not `*`, a number up to 65535 or a range `low..high`")
    return int(text)


def _parse_host_pattern(host: str) -> HostPattern:
    if host == "*":
        return AnyHost()
    if host in ("self", "self.alt"):
        return SelfHost()
    if "/" in host:
        try:
            return ip_network(host, strict=False)
        except ValueError:
            raise ValueError("has a path, or a network that is not one") from None
    domain = host.removeprefix("*.")
    if "*" in domain:
        raise ValueError("has a `*` elsewhere than alone or before the first dot")
    parsed = _normal(domain)
    if isinstance(parsed, str) and not _LABELS.fullmatch(parsed):
        raise ValueError("has no valid host name")
    if domain == host:
        return parsed
    if not isinstance(parsed, str):
        raise ValueError("has a `*` before an address; write a network, as 10.0.0.0/8")
    return Subdomains(parsed)


def _normal(host: str) -> Target:
    """An address as itself, a name in lower case (IDNA, no final dot), so that two spellings compare equal."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return ip_address(bare)
    except ValueError:
        pass
    name = host.lower().removesuffix(".")
    if name.isascii() or len(name) > _NAME_CHARS_MAX:
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


def _host_matches(pattern: HostPattern, target: Target) -> bool:
    match pattern:
        case AnyHost():
            return True
        case SelfHost():
            return False
        case Subdomains(domain):
            return isinstance(target, str) and target.endswith("." + domain)
        case IPv4Network() | IPv6Network():
            return not isinstance(target, str) and target in pattern
        case _:
            return target == pattern


def from_http_hosts(hosts: Iterable[str]) -> tuple[str, ...]:
    """`allowed_http_hosts` of manifest v1 (deprecated in v2) as entries of `allowed_outbound_hosts`.

    Raises:
        ValueError: with the host and the reason.
    """
    hosts = tuple(hosts)
    if ALLOW_ALL_HTTP in hosts:
        return ("http://*:*", "https://*:*", "http://self")
    return tuple(entry for host in hosts for entry in _from_http_host(host))


def _from_http_host(text: str) -> tuple[str, ...]:
    if text == "self":
        return ("http://self",)
    try:
        url = urlsplit(text if "//" in text else f"http://{text}")
        port = "" if url.port is None else f":{url.port}"
    except ValueError:
        raise ValueError(f"`{text}` is not a host or host:port") from None
    if url.scheme not in ("http", "https") or not url.hostname or url.username is not None:
        raise ValueError(f"`{text}` is not a host or host:port of http")
    if url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError(f"`{text}` has a path; only a host and a port may stand here")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return (f"http://{host}{port}", f"https://{host}{port}")
