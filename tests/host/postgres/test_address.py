"""Addresses of PostgreSQL servers: those of Spin's client, and those that reach for this machine."""

from __future__ import annotations

import pytest

from edged.host.postgres.address import PostgresAddress, parse_address
from edged.host.rdbms.failure import ConnectionFailed
from edged.limits import SQL_ADDRESS_CHARS_MAX

PLAIN = PostgresAddress("db", 5432, "app", "", "app")


def like(**changes: object) -> PostgresAddress:
    return PostgresAddress(**{name: getattr(PLAIN, name) for name in PLAIN.__slots__} | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://app@db", PLAIN),
        ("postgresql://app@db/", PLAIN),
        ("host=db user=app", PLAIN),
        (" host = db\tuser='app' ", PLAIN),
        ("postgres://app:p%40%2F:+x@db:99/shop", like(password="p@/:+x", port=99, database="shop")),
        ("postgres://db?user=app&password=a%26b&dbname=shop", like(password="a&b", database="shop")),
        (r"host=db user=app password='it\'s \\' dbname=a\ b", like(password="it's \\", database="a b")),
        ("postgres://app@[::1]:6/app", like(host="::1", port=6)),
        ("host=::1 port=6 user=app", like(host="::1", port=6)),
        ("postgres://app@db?sslmode=disable", like(tls="disable")),
        ("postgres://app@db?sslmode=require&channel_binding=require", like(tls="require", channel_binding="require")),
        ("postgres://app@db?sslmode=verify-full", like(tls="require")),
        (
            "postgres://app@db?application_name=x&options=-c%20search_path%3Da",
            like(settings=(("application_name", "x"), ("options", "-c search_path=a"))),
        ),
        ("postgres://app@db?connect_timeout=1&keepalives=0&target_session_attrs=any", PLAIN),
    ],
)
def test_addresses_of_urls_and_keywords(text, expected) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("postgres://app@a,b/d", "more than one host"),
        ("postgres://app@a:1,b:2/d", "more than one host"),
        ("postgres://app@a?host=b", "more than one host"),
        ("host=a,b user=app", "more than one host"),
        ("host=a host=b user=app", "more than one host"),
        ("host=a port=1,2 user=app", "more than one host"),
        ("host=a hostaddr=127.0.0.1 user=app", "'hostaddr'"),
        ("postgres://app@a?hostaddr=169.254.169.254", "'hostaddr'"),
        ("postgres://app@%2Fvar%2Frun/d", "Unix socket"),
        ("postgres:///d?host=/var/run/postgresql&user=app", "Unix socket"),
        ("host=/var/run user=app", "Unix socket"),
        ("host=@abstract user=app", "Unix socket"),
        ("user=app", "names no host"),
        ("postgres:///d?user=app", "names no host"),
        ("host='' user=app", "names no host"),
        ("postgres://db", "names no user"),
        ("postgres://app@d b", "blanks"),
        ("postgres://app@a%20b", "neither a name nor"),
        ("postgres://app@db:0", "port"),
        ("postgres://app@db:65536", "port"),
        ("postgres://app@db:x", "port"),
        ("host=db user=app service=prod", "'service'"),
        ("host=db user=app passfile=/root/.pgpass", "'passfile'"),
        ("postgres://app@db?sslcert=/etc/hostname", "'sslcert'"),
        ("postgres://app@db?sslkey=/etc/hostname", "'sslkey'"),
        ("postgres://app@db?sslrootcert=/etc/passwd", "'sslrootcert'"),
        ("postgres://app@db?sslcrl=/etc/passwd", "'sslcrl'"),
        ("postgres://app@db?krbsrvname=x", "'krbsrvname'"),
        ("postgres://app@db?replication=database", "'replication'"),
        ("postgres://app@db?sslmode=allow", "`sslmode`"),
        ("postgres://app@db?target_session_attrs=read-write", "`target_session_attrs`"),
        ("postgres://app@db?user=b", "`user` twice"),
        ("mysql://app@db", "neither a postgres://"),
        ("file:///etc/passwd", "neither a postgres://"),
        ("postgres://app@db#x", "fragment"),
        ("postgres://app@[::1", "not a URL"),
        ("host=db user=app password='open", "nor a list"),
        ("db", "nor a list"),
        ("", "names no host"),
        ("host=db user=a\0b", "NUL"),
        ("postgres://app:%00@db", "NUL"),
    ],
)
def test_addresses_that_are_refused(text, reason) -> None:
    with pytest.raises(ConnectionFailed, match=reason):
        parse_address(text)


def test_length_at_the_limit_and_over() -> None:
    text = "host=db user=app password=".ljust(SQL_ADDRESS_CHARS_MAX, "x")
    assert parse_address(text).host == "db"
    with pytest.raises(ConnectionFailed, match="characters"):
        parse_address(text + "x")


def test_no_secret_is_shown() -> None:
    assert "hidden" not in repr(parse_address("postgres://app:hidden@db"))
    for text in (
        "postgres://app:hidden@db?service=hidden",
        "host=a,b password=hidden user=x",
        "host=h password='hidden",
    ):
        with pytest.raises(ConnectionFailed) as failure:
            parse_address(text)
        assert "hidden" not in str(failure.value)


def test_environment_is_not_read(monkeypatch) -> None:
    for name in ("PGHOST", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGHOSTADDR", "PGOPTIONS", "PGSSLMODE"):
        monkeypatch.setenv(name, "disable")
    assert parse_address("host=db user=app") == PLAIN
