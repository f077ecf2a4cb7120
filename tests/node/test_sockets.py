"""The sockets of workers, as the kernel sees them."""

from __future__ import annotations

import socket

import pytest

from edged.errors import ListenError
from edged.node.sockets import Addresses, Sockets

HERE = ("127.0.0.1", 0)


def test_each_worker_has_its_own_at_the_same_address() -> None:
    sockets = Sockets(Addresses(plain=[HERE], tls=[HERE, HERE], http3=True))
    first, second = sockets.open(), sockets.open()
    for each in (first, second):
        assert [sock.getsockname() for sock in each.plain] == sockets.plain
        assert [sock.getsockname() for sock in each.tls] == sockets.tls
        assert [sock.getsockname() for sock in each.udp] == sockets.tls, "HTTP/3 has the ports of TLS"
    assert not {sock.fileno() for sock in first.plain} & {sock.fileno() for sock in second.plain}
    for each in (first, second, sockets):
        each.close()


@pytest.mark.parametrize("absent", ["192.0.2.1", "2001:db8::1"])
def test_an_address_that_is_not_there_yet(absent: str) -> None:
    with pytest.raises(ListenError):
        Sockets(Addresses(plain=[(absent, 0)]))
    sockets = Sockets(Addresses(plain=[(absent, 0)], tls=[(absent, 0)], http3=True, may_be_absent=True))
    successor = sockets.open()
    assert [sock.getsockname()[:2] for sock in successor.plain] == sockets.plain
    assert [sock.getsockname()[:2] for sock in successor.udp] == sockets.tls
    successor.close()
    sockets.close()


def test_those_that_do_not_listen_take_no_share() -> None:
    sockets = Sockets(Addresses(plain=[HERE]))
    first, second = sockets.open(), sockets.open()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(sockets.plain[0])
    first.plain[0].listen()
    for _ in range(16):
        with socket.create_connection(sockets.plain[0]):
            accepted, _ = first.plain[0].accept()  # all of them
            accepted.close()
    for each in (first, second, sockets):
        each.close()


def test_an_address_that_is_taken() -> None:
    with socket.create_server(HERE) as other, pytest.raises(ListenError):
        Sockets(Addresses(plain=[HERE, other.getsockname()]))


def test_udp_that_is_taken_closes_the_others() -> None:
    sockets = Sockets(Addresses(tls=[HERE], http3=True))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(sockets.tls[0])
        with pytest.raises(ListenError):
            sockets.open()
    sockets.open().close()
    sockets.close()
