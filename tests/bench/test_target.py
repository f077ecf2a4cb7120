from __future__ import annotations

import pytest

from edged.bench.target import ANYCAST, parse_target, parse_targets
from edged.errors import UsageError
from edged.limits import BENCH_TARGETS_MAX


@pytest.mark.parametrize(
    ("url", "host", "words"),
    [
        ("http://203.0.113.10", "", ("-g", "http://203.0.113.10/")),
        ("http://203.0.113.10:80/a?b=c", "", ("-g", "http://203.0.113.10/a?b=c")),
        ("https://edge.example:8443/", "", ("-g", "https://edge.example:8443/")),
        (
            "http://203.0.113.10:8080/",
            "shop.example",
            ("--divert-connect", "203.0.113.10", "-g", "http://shop.example:8080/"),
        ),
        ("http://[2001:db8::10]/", "", ("-6", "--divert-connect", "2001:db8::10", "-g", "http://edged.invalid/")),
        (
            "https://[2001:db8::10]:443/x",
            "shop.example",
            ("-6", "--divert-connect", "2001:db8::10", "-g", "https://shop.example/x"),
        ),
    ],
)
def test_as_httping_takes_it(url: str, host: str, words: tuple[str, ...]) -> None:
    assert parse_target("a", url, host).httping == words


def test_the_address_that_packets_go_to() -> None:
    assert parse_target("a", "http://[2001:db8::10]/").address == "2001:db8::10"
    assert parse_target("a", "http://Edge.example:81/").address == "edge.example"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "203.0.113.10",
        "ftp://203.0.113.10/",
        "http:///",
        "http://user@203.0.113.10/",
        "http://203.0.113.10/#a",
        "http://203.0.113.10:99999/",
        "http://203.0.113.10:x/",
        "http://[2001:db8::10/",
        "http://[2001:db8::10]:8080/",
        "http://-c/",
        "http://a b/",
        "http://a/b c",
        "http://a/" + "x" * 201,
    ],
)
def test_no_url_that_can_be_measured(url: str) -> None:
    with pytest.raises(UsageError):
        parse_target("a", url)


@pytest.mark.parametrize("host", ["-x", "a b", "a\r\nb", "a/b", "[::1]"])
def test_no_host(host: str) -> None:
    with pytest.raises(UsageError):
        parse_target("a", "http://203.0.113.10/", host)


def test_several() -> None:
    targets = parse_targets(["ams=http://198.51.100.1/?a=b", "nyc=http://198.51.100.2/"])
    assert [(target.name, target.address) for target in targets] == [("ams", "198.51.100.1"), ("nyc", "198.51.100.2")]


@pytest.mark.parametrize(
    "texts",
    [["http://a/"], ["=http://a/"], ["a b=http://a/"], ["a=http://a/", "a=http://b/"], [f"{ANYCAST}=http://a/"]],
)
def test_no_targets(texts: list[str]) -> None:
    with pytest.raises(UsageError):
        parse_targets(texts)


def test_as_many_as_there_may_be() -> None:
    texts = [f"r{number}=http://a/" for number in range(BENCH_TARGETS_MAX + 1)]
    assert len(parse_targets(texts[:-1])) == BENCH_TARGETS_MAX
    with pytest.raises(UsageError, match="at most"):
        parse_targets(texts)
