from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.host.redis.address import RedisAddress, parse_address
from edged.limits import REDIS_ADDRESS_BYTES_MAX


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("redis://localhost", RedisAddress("redis", "localhost")),
        ("redis://LocalHost:7000/", RedisAddress("redis", "localhost", 7000)),
        ("rediss://db.example.com/3", RedisAddress("rediss", "db.example.com", database=3)),
        ("redis://[::1]:7000", RedisAddress("redis", "::1", 7000)),
        ("redis://:p%40ss@h", RedisAddress("redis", "h", password="p@ss")),
        ("redis://ann:p:w@h/0", RedisAddress("redis", "h", user="ann", password="p:w")),
        ("redis://h?protocol=resp3", RedisAddress("redis", "h")),
    ],
)
def test_addresses(text: str, address: RedisAddress) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:6379",
        "http://h",
        "redis:h",
        "redis://",
        "redis://:6379",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:x",
        "redis://h/x",
        "redis://h/1/2",
        "redis://h/-1",
        "redis://h/\u0661",
        "redis://[::1",
        "redis://h h",
        "redis://h\r\n",
        "rediss://h#insecure",
        "redis+unix:///run/redis.sock",
        "redis://" + "a" * REDIS_ADDRESS_BYTES_MAX,
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any reason will do
        parse_address(text)


def test_the_longest() -> None:
    text = "redis://:@h".replace(":@", f":{'p' * (REDIS_ADDRESS_BYTES_MAX - 11)}@")
    assert len(text) == REDIS_ADDRESS_BYTES_MAX
    assert parse_address(text).host == "h"


def test_the_password_is_not_shown() -> None:
    address = parse_address("redis://ann:geheim@h:1")
    assert "geheim" not in repr(address) + str(address) + address.server
    assert address.server == "h:1"
    assert parse_address("redis://[::1]").server == "[::1]:6379"


def test_reasons_do_not_show_the_text() -> None:
    with pytest.raises(ValueError, match="database") as failure:
        parse_address("redis://:geheim@h/geheim")
    assert "geheim" not in str(failure.value)


@given(st.sampled_from(["", "redis://", "rediss://:p@"]), st.text())
def test_any_text_ends_well(start: str, text: str) -> None:
    try:
        address = parse_address(start + text)
    except ValueError:
        return
    assert address.host
    assert 0 < address.port < 1 << 16
