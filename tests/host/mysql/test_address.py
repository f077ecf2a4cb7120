"""Addresses of MySQL servers: those of Spin's client, and those that reach for this machine."""

from __future__ import annotations

import pytest

from edged.host.mysql.address import MysqlAddress, parse_address
from edged.host.rdbms.failure import ConnectionFailed
from edged.limits import SQL_ADDRESS_CHARS_MAX


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mysql://app@db", MysqlAddress("db", 3306, "app", "", "")),
        ("mysql://a%40:p%2F%3A@db:99/sh%20op", MysqlAddress("db", 99, "a@", "p/:", "sh op")),
        ("mysql://app@[::1]/shop", MysqlAddress("::1", 3306, "app", "", "shop")),
        ("mysql://app@db?SsLmOdE=VERIFY_CA&pool_max=10", MysqlAddress("db", 3306, "app", "", "", has_tls=True)),
        ("mysql://app@db?ssl-mode=REQUIRED", MysqlAddress("db", 3306, "app", "", "", has_tls=True)),
        ("mysql://app@db?require_ssl=true", MysqlAddress("db", 3306, "app", "", "", has_tls=True)),
        ("mysql://app@db?ssl-mode=DISABLED", MysqlAddress("db", 3306, "app", "", "")),
        ("mysql://app@db?client_found_rows=true", MysqlAddress("db", 3306, "app", "", "", counts_found=True)),
    ],
)
def test_addresses(text, expected) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mysql://app@a,b", "more than one host"),
        ("mysql://app@a:1,b:2", "not a URL"),
        ("mysql:///shop", "no host"),
        ("mysql://app@%2Frun%2Fmysqld.sock", "neither a name"),
        ("mysql://app@db?socket=/run/mysqld/mysqld.sock", "'socket'"),
        ("mysql://app@db?unix_socket=/x", "'unix_socket'"),
        ("mysql://app@db?read_default_file=/root/.my.cnf", "'read_default_file'"),
        ("mysql://app@db?local_infile=1", "'local_infile'"),
        ("mysql://app@db?ssl_ca=/etc/passwd", "'ssl_ca'"),
        ("mysql://app@db?enable_cleartext_plugin=true", "'enable_cleartext_plugin'"),
        ("mysql://app@db?init=x", "'init'"),
        ("mysql://app@db?verify_ca=false", "'verify_ca'"),
        ("mysql://app@db:0", "port"),
        ("mysql://app@db:65536", "not a URL"),
        ("mysql://app@db#x", "fragment"),
        ("mysql://app@d b", "blanks"),
        ("mysql://app:%00@db", "NUL"),
        ("mariadb://app@db", "not a mysql://"),
        ("host=db user=app", "blanks"),
        ("", "not a mysql://"),
    ],
)
def test_addresses_that_are_refused(text, reason) -> None:
    with pytest.raises(ConnectionFailed, match=reason):
        parse_address(text)


def test_length_at_the_limit_and_over() -> None:
    text = "mysql://app@db/".ljust(SQL_ADDRESS_CHARS_MAX, "x")
    assert parse_address(text).host == "db"
    with pytest.raises(ConnectionFailed, match="characters"):
        parse_address(text + "x")


def test_no_secret_is_shown() -> None:
    assert "hidden" not in repr(parse_address("mysql://app:hidden@db"))
    with pytest.raises(ConnectionFailed) as failure:
        parse_address("mysql://app:hidden@db?socket=hidden")
    assert "hidden" not in str(failure.value)
