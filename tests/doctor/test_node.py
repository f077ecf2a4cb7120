"""`bgp`, `node` and `fleet`: what the node says of itself, and routers that are tried while it does not run."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from bgp.greeting import Greeting
from bgp.peer import Peer
from bgp.reach_rules import AS_CONFIGURED, Facts, SessionFacts
from edged.admin.api import Source
from edged.admin.serve import open_admin
from edged.doctor import sessions
from edged.doctor.node import judge_fleet, judge_node, look_at_fleet, look_at_node
from edged.doctor.own_status import Unanswered, own_status
from edged.limits import DOCTOR_COMMAND_S_MAX, DOCTOR_STATUS_BYTES_MAX
from tests.doctor.scene import Scene, one, said
from tests.doctor.views import node, view
from tests.status.anycast import V4, anycast, down, peer, withdrawn

PEER = (
    '[bgp]\nasn = 65000\n[[bgp.peer]]\naddress = "127.0.0.1"\nport = {port}\nasn = 65001\nlocal_address = "127.0.0.1"\n'
)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


# --- sessions that the node tells of ---


def test_sessions_that_are_up() -> None:
    found = one(sessions.judge_told(view(node(anycast=anycast()))))
    assert (found.state, found.message) == ("ok", "2 of 2 sessions are established")


def test_a_session_that_is_down_with_the_reason_that_the_node_found() -> None:
    lost = down("tor1", error="wrong AS number", remedy="Correct it.", flaps=2)
    found = one(sessions.judge_told(view(node(anycast=anycast(peers=(lost,))))))
    assert found.state == "problem"
    assert found.message.startswith("the session with tor1 (192.0.2.1, AS65101) is down")
    assert "wrong AS number" in found.message
    assert found.remedy == "Correct it."


def test_with_another_session_it_is_a_warning() -> None:
    lost = down("tor1", error="wrong AS number", flaps=2)
    found = one(sessions.judge_told(view(node(anycast=anycast(peers=(lost, peer("tor2")))))))
    assert found.state == "warning"


def test_a_prefix_that_is_withdrawn_and_only_here() -> None:
    there = node("n2", anycast=anycast())
    mine = node(anycast=anycast(prefixes=(withdrawn(V4, reason="no worker"),)))
    assert "has withdrawn" in one(sessions.judge_told(view(mine, there))).message
    assert one(sessions.judge_told(view(node(anycast=anycast()), node("n2", anycast=mine.anycast)))).state == "ok"


def test_a_node_that_announces_nothing_or_is_unknown() -> None:
    assert list(sessions.judge_told(view(node()))) == []
    assert list(sessions.judge_told(view(node("n2", anycast=anycast())))) == []


# --- routers that are tried ---


def tried(outcome: str, greeting: Greeting) -> Facts:
    router = Peer("tor1", ip_address("192.0.2.1"), 65001, ip_address("192.0.2.2"))
    return Facts(router, SessionFacts(65000), {AS_CONFIGURED: outcome}, greeting)  # type: ignore[dict-item]


def test_routers_that_would_speak_to_a_node() -> None:
    found = one(sessions.judge_tried([tried("open", Greeting("open", asn=65001))]))
    assert (found.state, found.message.endswith("could come up with 192.0.2.1")) == ("note", True)
    assert list(sessions.judge_tried([])) == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (tried("open", Greeting("open", asn=65009)), "wrong AS number"),
        (tried("timeout", Greeting("silent")), "nothing at 192.0.2.1 answers"),
        (tried("open", Greeting("closed")), "closes it without a word"),
    ],
)
def test_routers_that_would_not(facts: Facts, words: str) -> None:
    found = one(sessions.judge_tried([facts]))
    assert found.state == "problem"
    assert "no session with tor1 (192.0.2.1, AS65001) could come up" in found.message
    assert words in found.message
    assert found.remedy


async def test_a_real_port_that_refuses(scene: Scene) -> None:
    with trio.socket.socket() as taken:  # bound and not listening: nobody else gets the port
        await taken.bind(("127.0.0.1", 0))
        scene.node_toml(PEER.format(port=taken.getsockname()[1]))
        found = one(await sessions.look(scene.subject()))
    assert (found.state, "127.0.0.1" in found.message) == ("problem", True)


async def test_passwords_that_cannot_be_read(scene: Scene) -> None:
    scene.node_toml(PEER.format(port=179) + 'password_file = "password"\n')
    found = one(await sessions.look(scene.subject()))
    assert (found.state, "password cannot be read" in found.message) == ("problem", True)


async def test_sessions_are_not_looked_at(scene: Scene) -> None:
    """By who may not see the passwords, of a node that may be at work, and where nothing is announced."""
    assert list(await sessions.look(scene.subject())) == []
    scene.node_toml(PEER.format(port=179))
    assert list(await sessions.look(scene.subject(may_see=False))) == []
    assert list(await sessions.look(scene.subject(may_ask=False))) == []
    assert list(await sessions.look(scene.subject(config=None))) == []
    scene.node_toml('[bgp]\n[bgp.metadata]\nprovider = "vultr"\n')
    assert list(await sessions.look(scene.subject())) == [], "the check `metadata` says why"


# --- the node ---


def test_a_node_that_is_well() -> None:
    found = one(judge_node(view(node())))
    assert (found.state, found.message) == ("ok", "n1 answers: 2 of 2 workers ready, 0 apps")


def test_what_a_node_says_of_itself() -> None:
    mine = node(workers_ready=0, certificate_days=3.0, roster_version=2, alarms=("the disk is full",))
    found = said(judge_node(view(mine, node("n2"))))
    assert found == [
        ("problem", "has 0 of 2 workers ready"),
        ("problem", "the disk is full"),
        ("warning", "the certificate of node n1 expires in 3 days"),
        ("warning", "node n1 has roster 2, not 3"),
    ]
    assert said(judge_fleet(view(mine, node("n2")))) == [("ok", "2 of 2 nodes of demo are up")]


def test_what_it_says_of_others_is_no_problem_of_this_machine() -> None:
    """Also of one whose name begins as its own."""
    found = view(node(), node("n1-b", state="dead", heard_s=90.0), alarms=("a conflict",))
    assert one(judge_node(found)).state == "ok"
    assert said(judge_fleet(found)) == [
        ("warning", "node n1-b in eu is dead: not heard of for 90 s"),
        ("warning", "a conflict"),
    ]


def test_sessions_are_told_by_their_own_check() -> None:
    lost = anycast(peers=(down("tor1", error="wrong AS number", flaps=2),))
    assert one(judge_node(view(node(anycast=lost)))).state == "ok"
    assert not any("tor1" in text for _, text in said(judge_fleet(view(node(anycast=lost)))))


def test_a_node_that_the_fleet_does_not_know() -> None:
    found = one(judge_node(view(node("n2"))))
    assert (found.state, "edged fleet admissions" in found.remedy) == ("problem", True)
    assert one(judge_fleet(view(node("n2")))).state == "ok"


async def test_a_silent_node(scene: Scene) -> None:
    found = one(await look_at_node(scene.subject(status_why="there is no admin.sock")))
    assert (found.state, found.message) == ("problem", "the node does not answer: there is no admin.sock")
    assert one(await look_at_node(scene.subject(status_why="not for you", may_ask=False))).state == "unknown"
    assert list(await look_at_node(scene.subject(config=None))) == []
    assert list(await look_at_fleet(scene.subject())) == []


# --- asking it ---


async def test_a_real_answer(tmp_path: Path) -> None:
    wanted = view(node(anycast=anycast()), node("n2"))
    path = str(tmp_path / "admin.sock")
    async with open_admin(Source(lambda: wanted, lambda: ""), path):
        assert await own_status(path) == wanted


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "is no node"),
        (b"SSH-2.0-x\r\n", "is no node"),
        (HEAD + b"content-length: 9\r\n\r\n{}", "is no node"),
        (HEAD + b"content-length: 2\r\n\r\n{}", "is of another edged"),
        (HEAD + b"content-length: 1\r\n\r\n{", "it is no JSON"),
        (HEAD + b"\r\n" + b"[" * 100_000, "it is no JSON"),
        (b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", "with the status 503"),
        (HEAD + b"\r\n" + b" " * (DOCTOR_STATUS_BYTES_MAX + 1), "more than"),
    ],
)
async def test_what_is_no_answer(answer: bytes, why: str, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    async def speak() -> None:
        connection, _ = await listening.accept()
        async with trio.SocketStream(connection) as stream:
            await stream.receive_some(1000)
            with suppress(trio.BrokenResourceError):  # whoever asks has heard enough
                await stream.send_all(answer)

    with trio.socket.socket(trio.socket.AF_UNIX) as listening:
        await listening.bind(path)
        listening.listen()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(speak)
            with pytest.raises(Unanswered, match=why):
                await own_status(path)


async def test_nobody_there(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with pytest.raises(Unanswered, match="there is no"):
        await own_status(str(path))
    with trio.socket.socket(trio.socket.AF_UNIX) as alone:
        await alone.bind(str(path))
    with pytest.raises(Unanswered, match="nothing listens"):
        await own_status(str(path))
    with pytest.raises(Unanswered, match="is no node"):
        await own_status("no-address")


async def test_one_that_says_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = str(tmp_path / "socket")
    with trio.socket.socket(trio.socket.AF_UNIX) as silent:
        await silent.bind(path)
        silent.listen()
        with pytest.raises(Unanswered, match=f"in {DOCTOR_COMMAND_S_MAX:g} s"):
            await own_status(path)
