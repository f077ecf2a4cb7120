from ipaddress import ip_address, ip_network

import pytest

from edged.errors import VariableError
from edged.manifest.outbound import (
    AllowedHost,
    AllowedHosts,
    AnyHost,
    HostPattern,
    SelfHost,
    Subdomains,
    allowed_hosts,
    from_http_hosts,
    parse_host,
)
from edged.manifest.template import parse_template

ANY = range(65536)


def one(port: int) -> range:
    return range(port, port + 1)


@pytest.mark.parametrize(
    ("text", "scheme", "host", "ports"),
    [
        ("*://*:*", None, AnyHost(), ANY),
        ("http://example.com", "http", "example.com", one(80)),
        ("https://example.com/", "https", "example.com", one(443)),
        ("HTTPS://Example.COM.", "https", "example.com", one(443)),
        (" http://example.com ", "http", "example.com", one(80)),
        ("http://example.com:4444/", "http", "example.com", one(4444)),
        ("http://example.com:4444..5555", "http", "example.com", range(4444, 5555)),
        ("https://*", "https", AnyHost(), one(443)),
        ("https://*:*", "https", AnyHost(), ANY),
        ("https://*.example.com", "https", Subdomains("example.com"), one(443)),
        ("redis://db", "redis", "db", one(6379)),
        ("mysql://db", "mysql", "db", one(3306)),
        ("postgres://db", "postgres", "db", one(5432)),
        ("mqtt://db", "mqtt", "db", one(1883)),
        ("tcp://db:9", "tcp", "db", one(9)),
        ("http://self", "http", SelfHost(), one(80)),
        ("http://self.alt", "http", SelfHost(), one(80)),
        ("http://hello.spin.internal", "http", "hello.spin.internal", one(80)),
        ("http://192.168.1.1", "http", ip_address("192.168.1.1"), one(80)),
        ("http://[::1]", "http", ip_address("::1"), one(80)),
        ("http://[0:0::1]:8001", "http", ip_address("::1"), one(8001)),
        ("*://127.0.0.1/24:80", None, ip_network("127.0.0.0/24"), one(80)),
        ("*://ff00::/8:80", None, ip_network("ff00::/8"), one(80)),
        ("http://10.0.0.0/8", "http", ip_network("10.0.0.0/8"), one(80)),
        ("http://bücher.example", "http", "xn--bcher-kva.example", one(80)),
        ("http://my_host:1", "http", "my_host", one(1)),
        ("http://a:65535", "http", "a", one(65535)),
    ],
)
def test_parse(text: str, scheme: str | None, host: HostPattern, ports: range) -> None:
    assert parse_host(text) == AllowedHost(scheme, host, ports)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no scheme"),
        ("*", "no scheme"),
        ("example.com", "no scheme"),
        ("example.com:80", "no scheme"),
        ("http:example.com", "no scheme"),
        ("insecure:allow-all", "before Spin 2"),
        ("://example.com:80", "neither letters"),
        ("{http,https}://example.com", "neither letters"),
        ("h2c://example.com:80", "neither letters"),
        ("*://example.com", "needs a port"),
        ("tcp://example.com", "needs a port"),
        ("http://example.com/a", "path"),
        ("http://example.com//", "path"),
        ("http://example.com:80/a/b", "port that is not"),
        ("http://*.example.com/a", "path"),
        ("http://10.0.0.0/33", "network"),
        ("http://", "no valid host"),
        ("http://:80", "no valid host"),
        ("http://a b", "no valid host"),
        ("http://user@host", "no valid host"),
        ("http://a..b", "no valid host"),
        ("http://[::1", "without its"),
        ("http://[::1]80", "without its"),
        ("http://[host]:80", "no valid host"),
        ("http://a*b", "elsewhere"),
        ("http://*.*.com", "elsewhere"),
        ("http://*com", "elsewhere"),
        ("http://*.", "no valid host"),
        ("http://*.10.0.0.1", "before an address"),
        ("http://a:65536", "port that is not"),
        ("http://a:-1", "port that is not"),
        ("http://a:+1", "port that is not"),
        ("http://a:1..", "port that is not"),
        ("http://a:..1", "port that is not"),
        ("http://a:٣", "port that is not"),
        ("http://a:5..5", "empty port range"),
        ("http://a:6..5", "empty port range"),
        ("http://a:{1,2}", "port that is not"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_host(text)


# entry, scheme, host, port, allowed
REQUESTS = [
    ("*://*:*", "anything", "example.com", None, True),
    ("*://*:*", "https", "[::1]", 1, True),
    ("https://example.com", "https", "example.com", None, True),
    ("https://example.com", "HTTPS", "EXAMPLE.com.", 443, True),
    ("https://example.com", "https", "example.com", 444, False),
    ("https://example.com", "http", "example.com", 443, False),
    ("https://example.com", "https", "a.example.com", None, False),
    ("https://example.com", "https", "example.com.evil.org", None, False),
    ("*://example.com:443", "https", "example.com", None, True),
    ("*://example.com:443", "tcp", "example.com", None, False),
    ("https://*.example.com", "https", "a.example.com", None, True),
    ("https://*.example.com", "https", "b.a.example.com", None, True),
    ("https://*.example.com", "https", "example.com", None, False),
    ("https://*.example.com", "https", "myexample.com", None, False),
    ("http://a:4444..5555", "http", "a", 4444, True),
    ("http://a:4444..5555", "http", "a", 5554, True),
    ("http://a:4444..5555", "http", "a", 5555, False),
    ("http://a:4444..5555", "http", "a", 4443, False),
    ("http://[::1]:80", "http", "0:0:0:0:0:0:0:1", 80, True),
    ("http://[::1]:80", "http", "::2", 80, False),
    ("http://10.0.0.0/8:80", "http", "10.255.0.1", 80, True),
    ("http://10.0.0.0/8:80", "http", "11.0.0.1", 80, False),
    ("http://10.0.0.0/8:80", "http", "ten.example.com", 80, False),
    ("http://10.0.0.0/8:80", "http", "::1", 80, False),
    ("*://ff00::/8:80", "http", "[ff02::1]", 80, True),
    ("http://self", "http", "self", 80, False),
    ("http://bücher.example", "http", "xn--bcher-kva.example", None, True),
]


@pytest.mark.parametrize(("entry", "scheme", "host", "port", "allowed"), REQUESTS)
def test_allows(entry: str, scheme: str, host: str, port: int | None, allowed: bool) -> None:
    hosts = AllowedHosts((parse_host("http://unrelated.example"), parse_host(entry)))
    assert hosts.allows(scheme, host, port) is allowed


def test_no_name_is_longer_than_a_name_can_be() -> None:
    hosts = AllowedHosts((parse_host("http://*.example"),))
    longest = "\N{LATIN CAPITAL LETTER SHARP S}." * 122 + "x.example"  # IDNA: one letter becomes two
    assert len(longest) == 253
    assert hosts.allows("http", longest, 80)
    # Not read as IDNA any more, hence no name below the pattern's.
    assert not hosts.allows("http", "x" + longest.replace("example", "\N{FULLWIDTH LATIN SMALL LETTER E}xample"), 80)
    assert hosts.allows("http", longest.replace("example", "\N{FULLWIDTH LATIN SMALL LETTER E}xample"), 80)


def test_nothing_is_allowed_without_entries() -> None:
    assert not AllowedHosts().allows("http", "localhost", 80)
    assert not AllowedHosts().allows_self("http")


@pytest.mark.parametrize(
    ("entry", "allowed"),
    [("http://self", True), ("*://*:*", True), ("http://*", True), ("https://self", False), ("http://a", False)],
)
def test_allows_self(entry: str, allowed: bool) -> None:
    assert AllowedHosts((parse_host(entry),)).allows_self("http") is allowed


def test_variables_are_put_in() -> None:
    hosts = [parse_template("https://{{ host }}:{{ port }}"), parse_template("http://fixed")]
    found = allowed_hosts("c", hosts, {"host": "api.example.com", "port": "8443"})
    assert found.allows("https", "api.example.com", 8443)
    assert found.allows("http", "fixed")
    assert not found.allows("https", "api.example.com")


def test_a_value_that_is_not_a_host_is_not_told() -> None:
    with pytest.raises(VariableError) as caught:
        allowed_hosts("c", [parse_template("https://{{ host }}")], {"host": "geheim/path"})
    assert "`https://{{ host }}`" in caught.value.message
    assert "geheim" not in caught.value.message + caught.value.remedy
    assert "host" in caught.value.remedy


@pytest.mark.parametrize(
    ("hosts", "entries"),
    [
        ([], ()),
        (["insecure:allow-all"], ("http://*:*", "https://*:*", "http://self")),
        (["a.com", "insecure:allow-all"], ("http://*:*", "https://*:*", "http://self")),
        (["self"], ("http://self",)),
        (["a.com"], ("http://a.com", "https://a.com")),
        (["http://a.com"], ("http://a.com", "https://a.com")),
        (["https://a.com/"], ("http://a.com", "https://a.com")),
        (
            ["localhost:3001", "b.com"],
            ("http://localhost:3001", "https://localhost:3001", "http://b.com", "https://b.com"),
        ),
        (["[::1]:8001"], ("http://[::1]:8001", "https://[::1]:8001")),
    ],
)
def test_http_hosts(hosts: list[str], entries: tuple[str, ...]) -> None:
    assert from_http_hosts(hosts) == entries
    assert all(parse_host(entry) for entry in entries)


@pytest.mark.parametrize(
    "host",
    ["http://a.com/a", "a.com/a", "ftp://a.com", "a.com?x", "a.com#x", "", "user@a.com", "a.com:99999", "http://[x"],
)
def test_http_hosts_refused(host: str) -> None:
    with pytest.raises(ValueError, match="host"):
        from_http_hosts([host])
