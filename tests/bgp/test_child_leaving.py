"""Every way out of the child ends with a Cease; what it is told wrongly, by either side, does not hurt."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from bgp.wire import (
    Applied,
    Beat,
    Cease,
    Configure,
    Log,
    NotificationSeen,
    PeerChanged,
    Query,
    Ready,
    Rib,
    SetAnnouncements,
    encode_request,
)
from tests.bgp import sink
from tests.bgp.parent import Child, announcement, config_of, peer_of, speaking

V4 = "203.0.113.0/24"
CEASE = bytes.fromhex("ff" * 16 + "0015 03 06 02")  # RFC 4271 4.5, RFC 4486: Administrative Shutdown


async def _terminate(child: Child) -> None:
    os.kill(child.pid, signal.SIGTERM)


async def _hang_up(child: Child) -> None:
    child.sock.close()


async def _cease(child: Child) -> None:
    await child.say(Cease())


async def _garbage(child: Child) -> None:
    await child.say_raw(b"announce route 203.0.113.0/24 next-hop self\n")


async def _second_configuration(child: Child) -> None:
    await child.say(Configure(config_of()))


async def _endless_line(child: Child) -> None:
    while not child.over:
        with contextlib.suppress(OSError):  # it hangs up in the middle
            await child.say_raw(b"a" * 65536)


async def _silence(child: Child) -> None:
    pass


@pytest.mark.parametrize(
    ("way", "deadman_s", "status"),
    [
        (_terminate, 30.0, 0),
        (_hang_up, 30.0, 0),
        (_cease, 30.0, 0),
        (_silence, 1.0, 70),
        (_garbage, 30.0, 76),
        (_endless_line, 30.0, 76),
        (_second_configuration, 30.0, 70),
    ],
)
async def test_every_way_out_is_a_cease(way: Callable[[Child], Awaitable[None]], deadman_s: float, status: int) -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router), deadman_s=deadman_s)) as child:
        session = await router.session()
        await child.say(SetAnnouncements(1, (announcement(V4),)))
        await session.update(announces=V4)
        await way(child)
        last = await session.ended()
        assert last is not None
        assert last.raw == CEASE
        assert await child.ended() == status


async def test_a_child_that_is_killed_is_gone_without_a_word() -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        os.kill(child.pid, signal.SIGKILL)
        assert await session.ended() is None
        assert await child.ended() == -signal.SIGKILL


async def test_an_interrupt_is_the_daemons_to_act_upon() -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        os.kill(child.pid, signal.SIGINT)
        await child.say(SetAnnouncements(1, (announcement(V4),)))
        await session.update(announces=V4)


async def test_beats_keep_it_alive_beyond_the_deadman() -> None:
    """The session's own keepalives, one a second at this hold time, are the clock: three deadmen pass between two."""
    async with sink.listening(hold_s=3) as router, AsyncExitStack() as stack:
        config = config_of(peer_of(router), deadman_s=0.3)
        child = await stack.enter_async_context(speaking(config, beats=True))
        session = await router.session()
        for _ in range(2):
            await session.until(lambda one: isinstance(one, sink.Keepalive), after=len(session.got))
        await child.say(Query(1))
        await child.event(Rib)


async def test_a_deadman_counts_from_the_last_line_of_any_kind() -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router), deadman_s=1.0)) as child:
        session = await router.session()
        await child.say(Beat(1))
        await session.ended()
        await child.event(Log, lambda event: "no word from the daemon" in event.text)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "byte by byte"])
async def test_lines_come_in_any_pieces(whole: bool) -> None:
    async with sink.listening() as router, speaking(None) as child:
        data = encode_request(Configure(config_of(peer_of(router))))
        data += encode_request(SetAnnouncements(1, (announcement(V4),)))
        for piece in [data] if whole else [data[at : at + 1] for at in range(len(data))]:
            await child.say_raw(piece)
        await child.event(Applied)
        await (await router.session()).update(announces=V4)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"\n", 76),
        (b"{}\n", 76),
        (b'{"beat":1}\n', 76),
        (b'{"configure":{"asn":1}}\n', 76),
        (b"\xff\xfe\n", 76),
        (b"[" * 100_000 + b"\n", 76),
    ],
)
async def test_a_beginning_that_means_nothing_ends_it(said: bytes, status: int) -> None:
    async with speaking(None) as child:
        await child.say_raw(said)
        assert await child.ended() == status
        assert b"bgp.wire-invalid" in child.stderr
        assert not any(isinstance(event, Ready) for event in child.got)


async def test_peers_that_cannot_be_told_apart_end_it() -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router, "a"), peer_of(router, "b"))) as child:
        assert await child.ended() == 78
        await child.event(Log, lambda event: "two peers" in event.text)


# --- what a router may say ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asn", "hold_s", "code", "subcode"),
    [(65999, 90, 2, 2), (65101, 1, 2, 6), (65101, 2, 2, 6)],
    ids=["another AS", "hold 1", "hold 2"],
)
async def test_a_router_that_is_not_who_it_should_be(asn: int, hold_s: int, code: int, subcode: int) -> None:
    async with sink.listening(asn=65101, hold_s=hold_s) as router, speaking(config_of(peer_of(router))) as child:
        router.asn = asn
        seen = await child.event(NotificationSeen)
        assert (seen.peer, seen.direction, seen.code, seen.subcode) == ("up", "sent", code, subcode)
        down = await child.event(PeerChanged, lambda event: event.error != "")
        assert down.state == "idle"
        assert not any(isinstance(event, PeerChanged) and event.state == "established" for event in child.got)


@pytest.mark.parametrize(("offered", "agreed"), [(3, 3), (8, 8), (90, 9)])
async def test_the_lower_hold_time_is_agreed(offered: int, agreed: int) -> None:
    async with sink.listening(hold_s=offered) as router, speaking(config_of(peer_of(router))) as child:
        up = await child.event(PeerChanged, lambda event: event.state == "established")
        assert up.hold_s == agreed


_HOSTILE = [
    b'", "type": "state", "state": "up',  # a string that ends the JSON it is put into
    b'\n{"applied":{"id":1}}\n',
    b"\r\nshutdown\r\n",
    b"\x1b[2J\x1b]0;owned\x07",
    "\u2028\u202e\u0000".encode(),
    b"\xff\xfe\x00",
    b"A" * 128,
]


@pytest.mark.parametrize("text", _HOSTILE)
async def test_a_text_of_a_router_is_a_text_and_nothing_else(text: bytes) -> None:
    """GHSA-jcrv-p53f-v5w5: what a router said became lines of the API."""
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        await session.send(sink.notification_message(6, 2, bytes((len(text),)) + text))
        seen = await child.event(NotificationSeen)
        assert (seen.direction, seen.code, seen.subcode) == ("received", 6, 2)
        await router.session(1)  # it lives, and comes again
        assert not any(isinstance(event, Applied) for event in child.got)
        said = "".join(event.text for event in child.got if isinstance(event, Log | NotificationSeen))
        assert said.isascii()
        assert said.isprintable()
    assert child.stderr == b""


_BAD = {
    "no marker": b"\0" * 19,
    "short": sink.MARKER + b"\0\x05\x04",
    "long": sink.MARKER + b"\xff\xff\x02",
    "unknown type": sink.message(9),
    "short NOTIFICATION": sink.message(sink.NOTIFICATION, b"\6"),
    "KEEPALIVE with a body": sink.message(sink.KEEPALIVE, b"x"),
}


@pytest.mark.parametrize("said", _BAD.values(), ids=_BAD)
async def test_what_no_router_says(said: bytes) -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        await child.say(SetAnnouncements(1, (announcement(V4),)))
        await session.update(announces=V4)
        await session.send(said)
        await session.ended()
        await (await router.session(1)).update(announces=V4)


async def test_routes_that_a_router_tells_are_not_even_read() -> None:
    """An UPDATE of a length that is right and a body that means nothing: nothing is imported, so nothing is parsed."""
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        await session.send(sink.message(sink.UPDATE, b"\xff" * 200) * 50)
        await child.say(SetAnnouncements(1, (announcement(V4),)))
        await session.update(announces=V4)
        assert not session.over


async def test_a_router_that_refreshes_is_told_again() -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        await child.say(SetAnnouncements(1, (announcement(V4),)))
        await session.update(announces=V4)
        after = len(session.got)
        await session.send(sink.message(sink.ROUTE_REFRESH, bytes((0, 1, 0, 1))))  # RFC 2918
        await session.update(announces=V4, after=after)


# --- secrets and privileges --------------------------------------------------------------------------------

SECRET = 's3cret "quoted" \\ # {};\''


async def _seen(child: Child) -> bytes:
    """All that others can see of the process; root more than others, since the child is closed to its own user."""
    folder = Path(f"/proc/{child.pid}")
    root = os.geteuid() == 0
    names = ["cmdline", "status", *(["environ", "mountinfo"] if root else [])]
    texts = [await trio.Path(folder / name).read_bytes() for name in names]
    targets = [os.readlink(each) for each in (folder / "fd").iterdir()] if root else []
    assert not [each for each in targets if each.startswith("/") and not each.startswith("/dev/")], "an open file"
    return b"\n".join(texts)


async def test_md5_with_the_right_password_and_nobody_sees_it(tmp_path: Path) -> None:
    async with sink.listening() as router:
        peer = peer_of(router, password=SECRET)
        router.require_password(peer.local_address, SECRET)
        async with speaking(config_of(peer), environment={"TMPDIR": str(tmp_path)}) as child:
            session = await router.session()
            await child.say(SetAnnouncements(1, (announcement(V4),)))
            await session.update(announces=V4)
            assert SECRET.encode() not in await _seen(child)
            await child.say_raw(b"garbage\n")  # so that it says why it ends
            await child.ended()
        assert SECRET.encode() not in child.stderr
        assert SECRET not in repr(child.got)
        assert SECRET not in repr(config_of(peer))
        assert os.listdir(tmp_path) == []


async def test_md5_with_another_password_is_no_session() -> None:
    async with sink.listening(asn=65101) as locked, sink.listening(asn=65102) as open_to_all:
        wrong = peer_of(locked, "locked", password="another")
        locked.require_password(wrong.local_address, SECRET)
        async with speaking(config_of(wrong, peer_of(open_to_all, "open", local="127.0.0.3"))) as child:
            await open_to_all.session()
            await child.event(PeerChanged, lambda event: event.state == "connect" and event.name == "locked")
            assert locked.connections == []


async def test_ttl_security_with_a_direct_neighbour_and_with_one_that_is_farther_away() -> None:
    async with sink.listening(asn=65101) as near, sink.listening(asn=65102) as far:
        near.send_with_ttl(255)
        far.send_with_ttl(254)
        peers = (
            peer_of(near, "near", ttl_security=True),
            peer_of(far, "far", local="127.0.0.3", ttl_security=True),
        )
        async with speaking(config_of(*peers)) as child:
            await near.session()
            await child.event(PeerChanged, lambda event: event.state == "connect" and event.name == "far")
            assert far.connections == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to give up")
async def test_root_is_given_up_before_a_router_is_spoken_to() -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        await router.session()
        status = await trio.Path(f"/proc/{child.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert set(fields["Uid"].split()) != {"0"}
    assert "0" not in fields["Uid"].split() + fields["Gid"].split()
    assert fields["Groups"].strip() == ""
    assert {fields[each] for each in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {"0" * 16}
    assert fields["NoNewPrivs"].strip() == "1"


async def test_an_environment_that_happens_to_be_there_configures_nothing() -> None:
    hostile = {
        "exabgp_tcp_port": "1",
        "exabgp.bgp.passive": "true",
        "EXABGP_ENVFILE": "/nowhere",
        "exabgp_tcp_attempts": "1",
    }
    async with sink.listening() as router, speaking(config_of(peer_of(router)), environment=hostile):
        await router.session()
