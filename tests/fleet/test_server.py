"""Real TLS over loopback: who gets in, who does not, and who has to leave."""

from __future__ import annotations

import ssl
import time
from contextlib import AsyncExitStack

import pytest
import trio

from edged.errors import LinkError, PeerUntrusted, ProtocolError, RemoteError, TlsError
from edged.fleet.certificate import Identity, fingerprint, make_identity
from edged.fleet.client import connect
from edged.fleet.depth import Depth
from edged.fleet.peer import ANYONE, Anchors, Peer
from edged.fleet.server import Server, serve
from edged.fleet.session import Hello
from edged.fleet.tls import ALPN
from edged.limits import (
    LINK_ANYONE_COUNT_MAX,
    LINK_ANYONE_S_MAX,
    LINK_COUNT_MAX,
    LINK_HANDSHAKE_TIMEOUT_S,
    LINK_PER_ADDRESS_MAX,
    LINK_PER_PEER_MAX,
)
from tests.fleet import kit
from tests.fleet.fakes import HELLO, anchors_of, identity, nodes, peer_of, serving, table

ONE, TWO, STRANGER = identity("one"), identity("two"), identity("stranger")


def who(peer: Peer, _args: object) -> list[str]:
    return [peer.name, peer.kind, *sorted(peer.roles)]


WHO = table(who=who)


async def test_both_ends_know_each_other() -> None:
    publisher = identity("publisher")
    trusted = anchors_of((ONE, peer_of(ONE)), (publisher, peer_of(publisher, "key", roles=frozenset({"deploy"}))))
    async with (
        serving(ONE, trusted, WHO) as served,
        connect(served.address, publisher, nodes(ONE), hello=HELLO) as client,
    ):
        assert await client.call("who") == ["publisher", "key", "deploy"]
        assert (client.peer.name, client.peer.kind) == ("one", "node")
        assert client.hello == HELLO
        assert served.server.statistics().peers == {"publisher": 1}
        links, outbox = served.server.depths()
        assert links == Depth("links", 1, 1, LINK_COUNT_MAX)
        assert 0 < outbox.highest < outbox.limit


async def test_without_a_certificate_one_is_anyone() -> None:
    async with (
        serving(ONE, nodes(ONE), WHO) as served,
        connect(served.address, None, nodes(ONE), hello=HELLO) as client,
    ):
        assert await client.call("who") == ["", "anyone"]


async def test_a_certificate_that_is_not_in_the_roster_is_refused() -> None:
    async with serving(ONE, nodes(ONE, TWO), WHO) as served:
        with pytest.raises(PeerUntrusted, match="our certificate"):
            async with connect(served.address, STRANGER, nodes(ONE), hello=HELLO):
                pass
        async with connect(served.address, TWO, nodes(ONE), hello=HELLO) as client:
            assert await client.call("who") == ["two", "node"]
        assert served.server.statistics().refused == 1


async def test_an_expired_certificate_is_refused() -> None:
    old = make_identity("old", now=time.time() - 20 * 86_400, days=10)
    async with serving(ONE, nodes(ONE, old)) as served:
        with pytest.raises(PeerUntrusted):
            async with connect(served.address, old, nodes(ONE), hello=HELLO):
                pass


async def test_a_node_that_is_not_in_our_roster_is_not_talked_to() -> None:
    async with serving(STRANGER, nodes(STRANGER, TWO), WHO) as served:
        with pytest.raises(PeerUntrusted, match="is not trusted"):
            async with connect(served.address, TWO, nodes(ONE), hello=HELLO):
                pass


async def test_a_key_that_plays_a_node_is_not_talked_to() -> None:
    publisher = identity("publisher")
    known = anchors_of((publisher, peer_of(publisher, "key")), (TWO, peer_of(TWO)))
    async with serving(publisher, known, WHO) as served:
        with pytest.raises(PeerUntrusted, match="no node"):
            async with connect(served.address, TWO, known, hello=HELLO):
                pass


async def test_a_node_at_the_address_of_another() -> None:
    async with serving(TWO, nodes(ONE, TWO)) as served:
        with pytest.raises(PeerUntrusted, match="is the node two"):
            async with connect(served.address, ONE, nodes(ONE, TWO), hello=HELLO, fingerprint=ONE.fingerprint):
                pass
        async with connect(served.address, ONE, nodes(ONE, TWO), hello=HELLO, fingerprint=TWO.fingerprint):
            pass


async def test_another_fleet() -> None:
    async with serving(ONE, nodes(ONE, TWO)) as served:
        with pytest.raises(ProtocolError, match="fleet"):
            async with connect(served.address, TWO, nodes(ONE), hello=Hello("other")):
                pass


async def test_nobody_there() -> None:
    async with serving(ONE, nodes(ONE)) as served:
        address = served.address
    with pytest.raises(LinkError, match=r"cannot be reached: .*Connection refused"):
        async with connect(address, TWO, nodes(ONE), hello=HELLO):
            pass
    with pytest.raises(LinkError, match="not host:port"):
        async with connect("nowhere", TWO, nodes(ONE), hello=HELLO):
            pass


@pytest.mark.parametrize("highest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_3_only(highest: ssl.TLSVersion) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = highest
    context.set_alpn_protocols([ALPN])
    async with serving(ONE, nodes(ONE)) as served:
        host, port = served.address.split(":")
        stream = trio.SSLStream(await trio.open_tcp_stream(host, int(port)), context, server_hostname=host)
        if highest is ssl.TLSVersion.TLSv1_3:
            await stream.do_handshake()
        else:
            with pytest.raises(trio.BrokenResourceError):
                await stream.do_handshake()
        await trio.aclose_forcefully(stream)


async def test_a_roster_without_somebody_cuts_his_links_and_nobody_elses() -> None:
    three = identity("three")
    async with serving(ONE, nodes(ONE, TWO, three), WHO) as served, AsyncExitStack() as stack:
        leaver = await stack.enter_async_context(connect(served.address, TWO, nodes(ONE), hello=HELLO))
        stayer = await stack.enter_async_context(connect(served.address, three, nodes(ONE), hello=HELLO))
        served.anchors = nodes(ONE, three)
        served.server.refresh()
        await leaver.wait_closed()
        with pytest.raises(LinkError):
            await leaver.call("who")
        assert await stayer.call("who") == ["three", "node"]
        with pytest.raises(PeerUntrusted):
            async with connect(served.address, TWO, nodes(ONE), hello=HELLO):
                pass


async def test_other_rights_are_a_reason_to_come_again() -> None:
    async with serving(ONE, anchors_of((TWO, peer_of(TWO, "key", roles=frozenset({"deploy"})))), WHO) as served:
        async with connect(served.address, TWO, nodes(ONE), hello=HELLO) as client:
            served.anchors = anchors_of((TWO, peer_of(TWO, "key", roles=frozenset({"read"}))))
            served.server.refresh()
            await client.wait_closed()
        async with connect(served.address, TWO, nodes(ONE), hello=HELLO) as client:
            assert await client.call("who") == ["two", "key", "read"]


@pytest.mark.parametrize(("credentials", "count_max"), [(TWO, LINK_PER_PEER_MAX), (None, LINK_ANYONE_COUNT_MAX)])
async def test_links_of_one_party_at_the_limit_and_over(credentials: object, count_max: int) -> None:
    async with serving(ONE, nodes(ONE, TWO), WHO) as served, AsyncExitStack() as stack:
        for _ in range(count_max):
            client = await stack.enter_async_context(connect(served.address, credentials, nodes(ONE), hello=HELLO))
        with pytest.raises(PeerUntrusted):
            async with connect(served.address, credentials, nodes(ONE), hello=HELLO):
                pass
        assert await client.call("who")


async def test_who_never_says_hello_is_cut(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(ONE, nodes(ONE)) as served:
        host, port = served.address.split(":")
        silent = await trio.open_tcp_stream(host, int(port))
        before = trio.current_time()
        assert await silent.receive_some() == b""
        assert trio.current_time() - before >= LINK_HANDSHAKE_TIMEOUT_S
        await silent.aclose()
        assert served.server.statistics().connections == 0


async def test_anyone_may_not_stay(mock_clock: trio.testing.MockClock) -> None:
    async with (
        serving(ONE, nodes(ONE), WHO) as served,
        connect(served.address, None, nodes(ONE), hello=HELLO) as client,
    ):
        assert await client.call("who") == ["", "anyone"]
        mock_clock.jump(LINK_ANYONE_S_MAX)
        await client.wait_closed()


async def test_rubbish_ends_only_its_own_connection() -> None:
    async with (
        serving(ONE, nodes(ONE, TWO), WHO) as served,
        connect(served.address, TWO, nodes(ONE), hello=HELLO) as client,
    ):
        host, port = served.address.split(":")
        rubbish = await trio.open_tcp_stream(host, int(port))
        await rubbish.send_all(b"GET / HTTP/1.1\r\n\r\n")
        while await rubbish.receive_some():
            pass
        await rubbish.aclose()
        assert await client.call("who") == ["two", "node"]


async def test_remote_errors_come_as_they_were() -> None:
    async with (
        serving(ONE, nodes(ONE, TWO)) as served,
        connect(served.address, TWO, nodes(ONE), hello=HELLO) as client,
    ):
        with pytest.raises(RemoteError) as caught:
            await client.call("nothing")
        assert (caught.value.code, caught.value.exit_status) == ("fleet.request", 76)


def test_anchors() -> None:
    assert nodes(ONE, TWO) == nodes(TWO, ONE)
    assert nodes(ONE) != nodes(TWO)
    assert hash(nodes(ONE, TWO)) == hash(nodes(TWO, ONE))
    assert nodes(ONE).find(ONE.certificate) == peer_of(ONE)
    assert nodes(ONE).find(TWO.certificate) is None
    first = Anchors([(ONE.certificate, peer_of(ONE)), (ONE.certificate, peer_of(ONE, "key"))])
    assert [peer.kind for peer in first.nodes] == ["node"]
    assert ANYONE.kind == "anyone"


async def test_connections_of_one_address_at_the_limit_and_over() -> None:
    async with serving(ONE, nodes(ONE)) as served:
        host, port = served.address.split(":")
        streams = [await trio.open_tcp_stream(host, int(port)) for _ in range(LINK_PER_ADDRESS_MAX + 1)]
        assert await streams[-1].receive_some() == b""
        assert served.server.statistics().connections == LINK_PER_ADDRESS_MAX
        assert served.server.statistics().refused == 1
        for stream in streams:
            await stream.aclose()


async def test_a_key_that_is_not_the_certificates() -> None:
    mixed = Identity("mixed", ONE.certificate, TWO.key)
    with pytest.raises(TlsError, match="not a pair"):
        async with connect("127.0.0.1:1", mixed, nodes(ONE), hello=HELLO):
            pass
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        server = Server(mixed, lambda: nodes(ONE), lambda: HELLO, WHO)
        with pytest.raises(TlsError, match="not a pair"):
            await nursery.start(server.run, listeners)
    await listeners[0].aclose()


def test_no_key_in_a_repr() -> None:
    assert ONE.key.private.private_bytes_raw().hex() not in repr(ONE)
    assert "PRIVATE" not in repr(ONE)


async def test_a_certificate_that_openssl_does_not_take_locks_out_nobody_else() -> None:
    bad = kit.forged(b"\x0c\x08abcdefgh", b"\x0c\x08abcd\xff\xffgh")
    trusted = Anchors(
        [(bad, Peer("bad", "node", fingerprint(bad))), *((who.certificate, peer_of(who)) for who in (ONE, TWO))]
    )
    async with (
        serving(ONE, trusted, WHO) as served,
        connect(served.address, TWO, trusted, hello=HELLO) as client,
    ):
        assert await client.call("who") == ["two", "node"]


async def test_who_leaves_the_roster_during_the_handshake_does_not_get_in() -> None:
    asked = 0

    def shrinking() -> Anchors:
        nonlocal asked
        asked += 1
        return nodes(ONE, TWO) if asked <= 2 else nodes(ONE)  # at the start, and at the connection

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, listeners, ONE, shrinking, lambda: HELLO, WHO)
        with pytest.raises(PeerUntrusted):
            async with connect(address, TWO, nodes(ONE), hello=HELLO):
                pass
        nursery.cancel_scope.cancel()
    assert asked == 3
