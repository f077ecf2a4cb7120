"""SCRAM-SHA-256 by the example of RFC 7677, section 3, and servers that cheat."""

from __future__ import annotations

import pytest

from edged.host.postgres.scram import Scram
from edged.host.rdbms.failure import ConnectionFailed
from edged.limits import SQL_SCRAM_ITERATIONS_MAX

NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"


def test_the_login_of_the_rfc_but_for_the_name() -> None:
    """PostgreSQL takes the name from elsewhere, so that the proof is another; what is before it is the same."""
    scram = Scram("pencil", None, NONCE)
    assert scram.first() == b"n,,n=,r=" + NONCE.encode()
    assert scram.final(SERVER_FIRST).startswith(b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=")


def test_binding_is_part_of_what_is_signed() -> None:
    scram = Scram("pencil", b"hash", NONCE)
    assert scram.first().startswith(b"p=tls-server-end-point,,")
    assert scram.final(SERVER_FIRST) != Scram("pencil", b"hush", NONCE).final(SERVER_FIRST)


@pytest.mark.parametrize(
    "first",
    [b"", b"r=other,s=W22Z,i=4096", SERVER_FIRST[:-5], SERVER_FIRST + b"x", b"r=" + NONCE.encode() + b",s=W22Z,i=1"],
)
def test_malformed_servers(first) -> None:
    with pytest.raises(ConnectionFailed, match="malformed"):
        Scram("pencil", None, NONCE).final(first)


def test_iterations_at_the_limit_and_over() -> None:
    head = SERVER_FIRST.rpartition(b"=")[0] + b"="
    Scram("pencil", None, NONCE).final(head + b"%d" % SQL_SCRAM_ITERATIONS_MAX)
    for iterations in (SQL_SCRAM_ITERATIONS_MAX + 1, 2**31, 0, -1):
        with pytest.raises(ConnectionFailed, match="hashes"):
            Scram("pencil", None, NONCE).final(head + b"%d" % iterations)


@pytest.mark.parametrize("final", [b"", b"v=", b"v=AAAA", b"e=other-error", "v=é".encode()])
def test_servers_that_do_not_know_the_password(final) -> None:
    scram = Scram("pencil", None, NONCE)
    with pytest.raises(ConnectionFailed, match="password"):
        scram.check(final)
    scram.final(SERVER_FIRST)
    with pytest.raises(ConnectionFailed, match="password"):
        scram.check(final)
