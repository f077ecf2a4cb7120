"""Addresses and listening sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edged.errors import ListenError, UsageError
from edged.http import bind as bind_module
from edged.http.bind import bind, parse_address
from edged.limits import LISTEN_PORT_TRIES_MAX


@contextmanager
def bound(host: str, port: int, **options: bool) -> Iterator[list[socket.socket]]:
    sockets = bind(host, port, **options)
    try:
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


def reach(host: str, port: int) -> None:
    socket.create_connection((host, port), timeout=60).close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:3000", ("127.0.0.1", 3000)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:8080", ("::1", 8080)),
        (":80", ("::", 80)),
        ("a:65535", ("a", 65535)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "localhost", "localhost:", "a:65536", "a:-1", "a:b", "::1:80", "a:٣", "3000"])
def test_no_addresses(text: str) -> None:
    with pytest.raises(UsageError):
        parse_address(text)


def test_any_free_port() -> None:
    with bound("127.0.0.1", 0) as sockets:
        (sock,) = sockets
        assert not sock.getblocking()
        with socket.create_connection(sock.getsockname(), timeout=60):
            accepted, _ = sock.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_all_interfaces() -> None:
    with bound("::", 0) as sockets:
        reach("127.0.0.1", sockets[0].getsockname()[1])
        if socket.has_dualstack_ipv6():
            reach("::1", sockets[0].getsockname()[1])


def test_all_interfaces_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bind_module.socket, "has_dualstack_ipv6", lambda: False)
    with bound("::", 0) as sockets:
        assert sockets[0].family == socket.AF_INET
        reach("127.0.0.1", sockets[0].getsockname()[1])


def test_a_name_with_two_addresses_has_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.1", "127.0.0.2")]

    monkeypatch.setattr(bind_module.socket, "getaddrinfo", resolve)
    with bound("two", 0) as sockets:
        assert [sock.getsockname()[0] for sock in sockets] == ["127.0.0.1", "127.0.0.2"]
        assert len({sock.getsockname()[1] for sock in sockets}) == 1


def test_an_address_that_is_not_here_is_left_out_if_another_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("192.0.2.1", "127.0.0.1")]

    monkeypatch.setattr(bind_module.socket, "getaddrinfo", resolve)
    with bound("two", 0) as sockets:
        assert [sock.getsockname()[0] for sock in sockets] == ["127.0.0.1"]


def test_a_taken_port() -> None:
    with bound("127.0.0.1", 0) as sockets:
        port = sockets[0].getsockname()[1]
        with pytest.raises(ListenError, match=f"port {port} on 127.0.0.1 is taken"):
            bind("127.0.0.1", port)


def test_find_free_port() -> None:
    with bound("127.0.0.1", 0) as sockets:
        port = sockets[0].getsockname()[1]
        with bound("127.0.0.1", port, find_free_port=True) as others:
            assert port < others[0].getsockname()[1] < port + LISTEN_PORT_TRIES_MAX


def test_find_free_port_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bind_module, "LISTEN_PORT_TRIES_MAX", 1)
    with bound("127.0.0.1", 0) as sockets, pytest.raises(ListenError):
        bind("127.0.0.1", sockets[0].getsockname()[1], find_free_port=True)


def test_reuse_port() -> None:
    with bound("127.0.0.1", 0, reuse_port=True) as sockets:
        port = sockets[0].getsockname()[1]
        with bound("127.0.0.1", port, reuse_port=True) as others:
            assert others[0].getsockname()[1] == port


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours(host: str) -> None:
    with pytest.raises(ListenError, match=host):
        bind(host, 0)
