"""The speaker without a process: what its child is told, when it is started and killed. The clock is a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.announcement import GRACEFUL_SHUTDOWN, Announcement, Attributes, Community
from bgp.limits import (
    ACK_GRACE_S,
    ACK_S_MAX,
    BEAT_S,
    EXPLANATION_S,
    QUERY_S,
    READY_S_MAX,
    RESPAWN_FAULT_COUNT,
    RESPAWN_FAULT_S,
    RESPAWN_S_MAX,
    RESPAWN_S_MIN,
    SESSION_DOWN_S,
    SESSION_RETRY_S,
    STOP_S_MAX,
)
from bgp.speaker_state import SpeakerState
from bgp.status import PeerStatus
from bgp.wire import (
    Applied,
    Beat,
    Cease,
    Configure,
    NotificationSeen,
    PeerChanged,
    Ready,
    Rib,
    Sent,
    SetAnnouncements,
)
from tests.bgp.played_child import ALLOWED, CONFIG, OUTSIDE, PLAIN, V4, V6, PlayedChild

LAST_RESORT = Announcement(V4, Attributes(prepend=4, communities=(GRACEFUL_SHUTDOWN, Community(65200, 1))))


class World:
    """A SpeakerState, a clock, and played children."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.state = SpeakerState(CONFIG, self.now)
        self.child: PlayedChild | None = None
        self.children: list[PlayedChild] = []
        self.frozen = False
        self.said: list[str] = []
        self.reconnects = True
        """Sessions come up by themselves with a new child."""

    def spawn(self) -> PlayedChild:
        assert self.state.spawn_at is not None
        assert self.state.spawn_at <= self.now
        self.child = PlayedChild()
        self.children.append(self.child)
        self.frozen = False
        self.state.begun(self.now)
        return self.child

    def settle(self) -> None:
        """All that happens at this moment."""
        for _ in range(100):
            self.said += [note.event for note in self.state.take_notes()]
            if self.state.kill:
                self.end("signal SIGKILL")
            elif self.child is None and self.state.spawn_at is not None and self.state.spawn_at <= self.now:
                child = self.spawn()
                if self.reconnects:
                    self.exchange()
                    for peer in CONFIG.peers:
                        child.session_up(peer.name)
            elif self.child is not None and self.state.deadline() <= self.now:
                self.state.tick(self.now)
            elif not self.exchange():
                return
        raise AssertionError("it does not come to rest")

    def exchange(self) -> bool:
        if self.child is None or self.frozen:
            return False
        requests, events = self.state.take_requests(), self.child.take_events()
        for request in requests:
            self.child.take(request)
        for event in events:
            self.state.received(event, self.now)
        if self.child.left and not self.child.events:
            self.end("status 0")
            return True
        return bool(requests or events)

    def end(self, reason: str) -> None:
        self.child = None
        self.state.ended(reason, self.now)

    def run(self, seconds: float) -> None:
        """Let time pass, stopping wherever something is due."""
        until = self.now + seconds
        self.settle()
        while True:
            times = [self.state.deadline() if self.child is not None else until]
            if self.child is None and self.state.spawn_at is not None:
                times.append(self.state.spawn_at)
            if min(times) > until:
                break
            reached = max(self.now, min(times))
            if reached >= until:
                break
            self.now = reached
            self.settle()
        self.now = until
        self.settle()

    def announce(self, *announcements: Announcement) -> None:
        self.state.set(announcements, self.now)
        self.settle()

    def living(self) -> PlayedChild:
        assert self.child is not None
        return self.child


@pytest.fixture
def world() -> World:
    world = World()
    world.settle()
    return world


def requests(world: World, kind: type) -> list[object]:
    return [request for request in world.living().requests if isinstance(request, kind)]


# --- telling ---


def test_a_child_is_configured_first_and_told_the_set_when_it_is_ready() -> None:
    world = World()
    world.reconnects = False
    world.state.set(PLAIN.values(), world.now)
    child = world.spawn()
    assert [type(request) for request in world.state.take_requests()] == [Configure]
    assert world.state.state == "starting"
    world.state.received(Ready(), world.now)
    (told,) = world.state.take_requests()
    assert isinstance(told, SetAnnouncements)
    assert told.announcements == tuple(PLAIN.values())
    assert world.state.state == "running"
    assert child.requests == []


def test_every_session_has_the_set(world: World) -> None:
    world.announce(*PLAIN.values())
    assert world.living().on_wire == {"a": PLAIN, "b": PLAIN}
    assert world.state.is_sent([V4, V6])
    assert [peer.announced for peer in statuses(world)] == [(str(V6), str(V4))] * 2


def statuses(world: World) -> list[PeerStatus]:
    return [session.status(0.0) for session in world.state.sessions.values()]


def test_the_same_set_again_is_not_told_again(world: World) -> None:
    world.announce(*PLAIN.values())
    before = len(requests(world, SetAnnouncements))
    world.announce(*reversed(PLAIN.values()))
    assert len(requests(world, SetAnnouncements)) == before


def test_sets_that_were_not_sent_yet_are_passed_over_and_one_answer_is_awaited(world: World) -> None:
    world.frozen = True
    for _ in range(1000):
        world.state.set([LAST_RESORT], world.now)
        world.state.set([PLAIN[V4]], world.now)
    world.frozen = False
    before = len(requests(world, SetAnnouncements))
    world.settle()
    assert len(requests(world, SetAnnouncements)) == before + 1
    assert world.living().announced == {V4: PLAIN[V4]}
    assert world.state.is_sent([V4])


def test_beats_come_often_enough(world: World) -> None:
    world.run(10.0)
    assert len(requests(world, Beat)) >= int(10.0 / BEAT_S)
    assert CONFIG.deadman_s > 3 * BEAT_S


# --- a child that ends or does not answer ---


def test_a_child_that_was_killed_is_started_again_and_told_all(world: World) -> None:
    world.announce(*PLAIN.values())
    world.end("signal SIGKILL")
    assert not world.state.is_sent([V4])
    assert world.state.restarts == 1
    assert world.state.error == "signal SIGKILL"
    assert world.state.spawn_at == world.now + RESPAWN_S_MIN
    world.run(RESPAWN_S_MIN)
    assert world.living().on_wire == {"a": PLAIN, "b": PLAIN}
    assert world.state.is_sent([V4, V6])
    assert [peer.flaps for peer in statuses(world)] == [1, 1]
    assert all("signal SIGKILL" in peer.error for peer in statuses(world))


def test_a_frozen_child_is_killed_after_a_set_that_it_does_not_answer(world: World) -> None:
    world.run(QUERY_S / 2)
    world.frozen = True
    world.announce(PLAIN[V4])
    frozen = world.living()
    world.run(ACK_S_MAX)
    assert world.child is frozen
    world.run(ACK_GRACE_S)
    assert world.child is not frozen
    assert "bgp.child-killed" in world.said
    assert "its answer to a set" in world.state.error
    world.run(1.0)
    assert world.living().announced == {V4: PLAIN[V4]}


def test_a_frozen_child_is_killed_when_nothing_is_set_too(world: World) -> None:
    world.frozen = True
    world.run(QUERY_S + ACK_S_MAX + ACK_GRACE_S)
    assert len(world.children) == 1
    assert world.child is None
    assert "its answer to a query" in world.state.error


def test_an_answer_that_is_here_when_we_come_late_is_no_reason_to_kill(world: World) -> None:
    world.run(QUERY_S / 2)
    child = world.living()
    world.state.set([PLAIN[V4]], world.now)
    for request in world.state.take_requests():
        child.take(request)
    world.now += 30.0  # we hung, not the child
    world.state.tick(world.now)
    assert not world.state.kill
    world.settle()
    assert world.child is child
    assert world.state.restarts == 0


def test_a_child_that_never_says_a_word_is_killed() -> None:
    world = World()
    world.spawn()
    world.frozen = True
    world.run(READY_S_MAX + ACK_GRACE_S)
    assert world.state.restarts == 1
    assert "its first word" in world.state.error


def test_a_child_that_hung_up_and_stays_is_killed(world: World) -> None:
    world.frozen = True
    world.state.hung_up(world.now)
    world.run(ACK_S_MAX + ACK_GRACE_S)
    assert "its end" in world.state.error


@pytest.mark.parametrize(
    "event",
    [
        Applied(10**6),
        Rib(10**6, {}),
        PeerChanged("nobody", "idle"),
        Sent("nobody", V4, "announce"),
        Sent("a", OUTSIDE, "announce"),
        NotificationSeen("nobody", "received", 6, 2),
    ],
    ids=lambda event: type(event).__name__,
)
def test_a_child_that_says_what_cannot_be_is_killed(world: World, event: object) -> None:
    world.state.received(event, world.now)  # type: ignore[arg-type]
    assert world.state.kill
    world.run(RESPAWN_S_MIN)
    assert len(world.children) == 2
    assert world.state.restarts == 1


def test_a_child_that_cannot_be_started_is_tried_again(world: World) -> None:
    world.end("status 1")
    for _ in range(3):
        assert world.state.spawn_at is not None
        world.now = world.state.spawn_at
        world.state.ended("no such file", world.now)
    assert world.state.restarts == 4
    world.run(1.0)
    assert world.child is not None


def test_many_ends_are_a_fault_that_heals(world: World) -> None:
    world.announce(PLAIN[V4])
    for _ in range(RESPAWN_FAULT_COUNT + 1):
        assert world.state.state != "fault"
        world.end("status 70")
        world.said += [note.event for note in world.state.take_notes()]
        assert world.state.spawn_at is not None
        pause_s = world.state.spawn_at - world.now
        world.run(pause_s)
    assert pause_s == RESPAWN_S_MAX
    assert world.state.state == "fault"
    assert world.living().announced == {V4: PLAIN[V4]}, "a fault is said, and what can be done is done"
    assert len(world.state.alarms()) == 1
    world.run(RESPAWN_FAULT_S)
    assert world.state.state == "running"
    assert world.state.alarms() == ()
    assert world.said.count("bgp.fault") == world.said.count("bgp.fault-ended") == 1


# --- what is announced is looked at ---


@pytest.mark.parametrize(
    "drift",
    [
        lambda child: child.announced.clear(),
        lambda child: child.announced.update({V4: LAST_RESORT}),
        lambda child: child.announced.update({V6: PLAIN[V6]}),
    ],
    ids=["forgotten", "other attributes", "one more"],
)
def test_what_differs_is_told_again(world: World, drift: Callable[[PlayedChild], None]) -> None:
    world.announce(PLAIN[V4])
    world.run(QUERY_S)
    drift(world.living())
    world.run(QUERY_S)
    assert world.living().announced == {V4: PLAIN[V4]}
    assert world.said.count("bgp.rib-different") == 1
    assert len(world.children) == 1


def test_what_goes_on_to_differ_is_another_childs_work(world: World) -> None:
    world.announce(PLAIN[V4])
    world.run(QUERY_S)
    for _ in range(2):
        world.living().announced.clear()
        world.run(QUERY_S)
    world.run(RESPAWN_S_MIN)
    assert len(world.children) == 2
    assert world.living().announced == {V4: PLAIN[V4]}


def test_one_session_that_differs_is_begun_anew_and_the_others_are_left_alone(world: World) -> None:
    """One router that reads nothing must not cost the sessions with all others."""
    world.announce(PLAIN[V4])
    world.run(QUERY_S)
    child = world.living()
    child.stuck = {"a"}
    world.run(QUERY_S)
    assert child.tried == []
    world.run(QUERY_S)
    assert child.tried == ["a"]
    child.session_down("a")
    child.stuck = set()
    world.run(10 * QUERY_S)
    assert child.tried == ["a"]
    assert len(world.children) == 1


def test_one_session_that_differs_although_it_was_begun_anew_is_another_childs_work(world: World) -> None:
    world.announce(PLAIN[V4])
    world.run(QUERY_S)
    world.living().stuck = {"a"}
    world.run(3 * QUERY_S + RESPAWN_S_MIN)
    assert len(world.children) == 2
    assert world.children[0].tried == ["a"]


def test_an_answer_of_before_a_set_does_not_differ(world: World) -> None:
    world.run(QUERY_S / 2)
    world.now += QUERY_S / 2
    world.state.tick(world.now)
    world.now += 0.01
    world.state.set([PLAIN[V4]], world.now)
    world.settle()
    assert "bgp.rib-different" not in world.said


def test_a_session_that_is_younger_than_the_question_does_not_differ(world: World) -> None:
    world.announce(PLAIN[V4])
    child = world.living()
    child.session_down("a")
    world.run(QUERY_S / 4)
    world.now += QUERY_S
    world.state.tick(world.now)
    for request in world.state.take_requests():
        child.take(request)
    world.now += 0.01
    world.state.received(PeerChanged("a", "established", 9), world.now)
    world.settle()
    assert "bgp.rib-different" not in world.said


def test_communities_in_another_order_do_not_differ(world: World) -> None:
    world.announce(LAST_RESORT)
    world.run(10 * QUERY_S)
    assert "bgp.rib-different" not in world.said


# --- sets that the child refuses ---


def test_a_refused_set_is_an_alarm_and_what_is_to_be_withdrawn_is(world: World) -> None:
    world.announce(*PLAIN.values())
    world.announce(PLAIN[V6], Announcement(OUTSIDE))
    assert world.living().announced == {V6: PLAIN[V6]}
    assert len(world.state.alarms()) == 1
    assert not world.state.is_sent([OUTSIDE])
    assert world.state.is_withdrawn([V4])
    world.run(10 * QUERY_S)
    assert len(world.children) == 1
    assert world.said.count("bgp.refused") == 1
    world.announce(PLAIN[V6])
    assert world.state.alarms() == ()
    assert world.state.is_withdrawn([OUTSIDE])


def test_a_set_of_which_nothing_was_accepted_is_not_repeated_for_ever(world: World) -> None:
    world.announce(Announcement(OUTSIDE))
    world.run(60.0)
    assert len(requests(world, SetAnnouncements)) <= 3
    assert world.living().announced == {}


# --- proof ---


def test_a_withdrawal_is_proven_by_what_was_sent_to_every_session(world: World) -> None:
    world.announce(*PLAIN.values())
    child = world.living()
    assert not world.state.is_withdrawn([V4])
    world.state.set([PLAIN[V6]], world.now)
    for request in world.state.take_requests():
        child.take(request)
    applied, *sent = child.take_events()
    world.state.received(applied, world.now)
    for event in sent:
        assert not world.state.is_withdrawn([V4])
        world.state.received(event, world.now)
    assert len(sent) == 2
    assert world.state.is_withdrawn([V4])
    assert not world.state.is_withdrawn([V4, V6])


def test_a_session_that_ends_needs_no_proof_and_a_new_one_neither(world: World) -> None:
    world.announce(*PLAIN.values())
    child = world.living()
    world.state.set([], world.now)
    for request in world.state.take_requests():
        child.take(request)
    child.take_events()
    world.state.received(Applied(requests(world, SetAnnouncements)[-1].id), world.now)  # type: ignore[attr-defined]
    assert not world.state.is_withdrawn([V4])
    world.now += 1.0
    for name in ("a", "b"):
        world.state.received(PeerChanged(name, "idle"), world.now)
    assert world.state.is_withdrawn([V4])
    world.state.received(PeerChanged("a", "established", 9), world.now)
    assert world.state.is_withdrawn([V4])


def test_what_may_be_on_its_way_is_not_proven_to_be_withdrawn(world: World) -> None:
    child = world.living()
    world.state.set([PLAIN[V4]], world.now)
    for request in world.state.take_requests():
        child.take(request)
    applied, *_ = child.take_events()  # and nobody says that it was sent
    world.state.received(applied, world.now)
    world.now += 0.1
    world.state.set([], world.now)
    (told,) = world.state.take_requests()
    assert isinstance(told, SetAnnouncements)
    world.state.received(Applied(told.id), world.now)
    assert not world.state.is_withdrawn([V4])
    for name in ("a", "b"):
        world.state.received(Sent(name, V4, "withdraw"), world.now)
    assert world.state.is_withdrawn([V4])


def test_a_set_that_is_not_answered_may_still_announce(world: World) -> None:
    world.announce(PLAIN[V4])
    world.announce()
    assert world.state.is_withdrawn([V4])
    for announcements in ([PLAIN[V4]], []):
        world.state.set(announcements, world.now)
        for request in world.state.take_requests():
            world.living().take(request)
    assert not world.state.is_withdrawn([V4])
    world.settle()
    assert world.state.is_withdrawn([V4])


def test_other_attributes_are_proven_when_they_were_sent(world: World) -> None:
    world.announce(*PLAIN.values())
    world.frozen = True
    world.announce(LAST_RESORT, PLAIN[V6])
    assert not world.state.is_sent([V4])
    assert world.state.is_sent([V6])
    world.frozen = False
    world.settle()
    assert world.state.is_sent([V4])


def test_nothing_is_sent_without_a_session_and_all_is_withdrawn() -> None:
    world = World()
    world.reconnects = False
    world.settle()
    world.announce(PLAIN[V4])
    assert not world.state.is_sent([V4])
    world.announce()
    assert world.state.is_withdrawn([V4, V6])


# --- sessions ---


def test_a_session_that_stays_down_is_tried_without_harm_to_the_others(world: World) -> None:
    world.living().session_down("a")
    world.run(SESSION_DOWN_S - 0.1)
    assert world.living().tried == []
    world.run(0.2)
    assert world.living().tried == ["a"]
    world.run(SESSION_RETRY_S * 3)
    assert world.living().tried == ["a"] * 4
    assert len(world.children) == 1


def test_when_all_are_down_another_child_tries_them_and_that_is_no_failure(world: World) -> None:
    world.announce(PLAIN[V4])
    for name in ("a", "b"):
        world.living().session_down(name)
    world.run(SESSION_DOWN_S)
    assert len(world.children) == 2
    assert isinstance(world.children[0].requests[-1], Cease)
    assert world.state.restarts == 0
    assert world.state.is_sent([V4])


def test_another_child_is_not_tried_more_often_than_that() -> None:
    world = World()
    world.reconnects = False
    world.run(10 * SESSION_RETRY_S + 1)
    assert len(world.children) == 11


def test_bfd_that_comes_up_does_not_wait(world: World) -> None:
    world.run(SESSION_RETRY_S)
    for name in ("a", "b"):
        world.living().session_down(name)
    world.settle()
    world.run(SESSION_RETRY_S - 1.0)
    world.state.bfd_up("a", world.now)
    world.settle()
    assert len(world.children) == 1, "it went down too short a time ago"


def test_bfd_that_comes_up_while_the_session_stands_changes_nothing(world: World) -> None:
    world.run(60.0)
    world.state.bfd_up("a", world.now)
    world.settle()
    assert len(world.children) == 1


def test_why_a_session_ended_is_known_in_words(world: World) -> None:
    world.state.received(NotificationSeen("a", "received", 6, 2, "maintenance"), world.now)
    world.living().session_down("a")
    world.settle()
    status = statuses(world)[0]
    assert status.state == "idle"
    assert "administrative shutdown" in status.error
    assert "maintenance" in status.error
    assert status.flaps == 1
    assert status.announced == ()


def test_the_words_of_a_notification_stand_against_what_the_child_makes_of_it(world: World) -> None:
    world.state.received(NotificationSeen("a", "received", 2, 2), world.now)
    world.state.received(PeerChanged("a", "idle", error="peer reset"), world.now)
    assert "wrong AS number" in statuses(world)[0].error
    for after_s, error in ((EXPLANATION_S - 1.0, "wrong AS number"), (1.0, "connection refused")):
        world.now += after_s
        world.state.received(PeerChanged("a", "connect", error="peer reset"), world.now)
        world.state.received(PeerChanged("a", "idle", error="connection refused"), world.now)
        assert error in statuses(world)[0].error


def test_the_last_notification_is_kept_until_the_session_is_up(world: World) -> None:
    said = NotificationSeen("a", "received", 6, 2)
    session = world.state.sessions["a"]
    world.state.received(said, world.now)
    world.state.received(PeerChanged("a", "idle", error="connection refused"), world.now)
    assert session.notification == said
    world.state.received(PeerChanged("a", "established", hold_s=9), world.now)
    assert session.notification is None


def test_tries_do_not_change_since_when_it_is_down(world: World) -> None:
    world.living().session_down("a")
    world.settle()
    since = statuses(world)[0].since
    world.now += 3.0
    for state in ("connect", "active", "opensent", "idle"):
        world.state.received(PeerChanged("a", state), world.now)  # type: ignore[arg-type]
    assert statuses(world)[0].since == since


# --- stopping, and another configuration ---


def test_a_stop_takes_leave(world: World) -> None:
    child = world.living()
    world.state.stop(world.now)
    world.settle()
    assert isinstance(child.requests[-1], Cease)
    assert world.child is None
    assert world.state.spawn_at is None
    assert world.state.state == "stopped"
    assert world.state.restarts == 0


def test_who_does_not_leave_is_killed(world: World) -> None:
    world.frozen = True
    world.state.stop(world.now)
    world.run(STOP_S_MAX - 0.1)
    assert world.child is not None
    world.run(0.1)
    assert world.child is None
    assert world.state.state == "stopped"


def test_a_stop_while_there_is_no_child_starts_none(world: World) -> None:
    world.end("status 70")
    world.state.stop(world.now)
    world.run(60.0)
    assert world.child is None
    assert world.state.state == "stopped"


def test_a_stop_while_a_child_is_being_started_ends_it() -> None:
    world = World()
    world.state.stop(world.now)
    world.state.begun(world.now)
    assert [type(request) for request in world.state.take_requests()] == [Configure, Cease]


def test_another_configuration_is_another_child(world: World) -> None:
    world.announce(PLAIN[V4])
    world.state.configure(CONFIG, world.now)
    world.settle()
    assert len(world.children) == 2
    assert world.state.restarts == 0
    assert world.state.is_sent([V4])


def test_a_peer_that_is_gone_is_not_spoken_of_while_its_session_ends(world: World) -> None:
    child = world.living()
    world.state.configure(replace(CONFIG, peers=CONFIG.peers[:1]), world.now)
    child.session_down("b")
    world.state.received(child.take_events()[-1], world.now)
    assert not world.state.kill
    assert [peer.name for peer in statuses(world)] == ["a"]


def test_another_configuration_does_not_wait_for_the_pause(world: World) -> None:
    for _ in range(4):
        world.end("status 70")
    world.state.configure(CONFIG, world.now)
    world.settle()
    assert world.child is not None


# --- whatever happens ---

_SETS = st.sampled_from(
    [
        (),
        (PLAIN[V4],),
        (PLAIN[V6],),
        tuple(PLAIN.values()),
        (LAST_RESORT, PLAIN[V6]),
        (PLAIN[V4], Announcement(OUTSIDE)),
    ]
)
_STEPS = st.one_of(
    st.tuples(st.just("set"), _SETS),
    st.tuples(st.just("run"), st.floats(0.0, 15.0)),
    st.tuples(st.just("crash"), st.none()),
    st.tuples(st.just("freeze"), st.none()),
    st.tuples(st.just("thaw"), st.none()),
    st.tuples(st.just("forget"), st.none()),
    st.tuples(st.just("down"), st.sampled_from(["a", "b"])),
    st.tuples(st.just("up"), st.sampled_from(["a", "b"])),
    st.tuples(st.just("garbage"), st.none()),
    st.tuples(st.just("configure"), st.none()),
    st.tuples(st.just("bfd"), st.sampled_from(["a", "b"])),
)


def _step(world: World, what: str, value: object) -> None:
    child = world.child
    if what == "set":
        world.announce(*value)  # type: ignore[misc]
    elif what == "run":
        world.run(value)  # type: ignore[arg-type]
    elif what == "configure":
        world.state.configure(CONFIG, world.now)
    elif what == "bfd":
        world.state.bfd_up(value, world.now)  # type: ignore[arg-type]
    elif child is None:
        return
    elif what == "crash":
        world.end("signal SIGSEGV")
    elif what in ("freeze", "thaw"):
        world.frozen = what == "freeze"
    elif what == "forget":
        child.announced.clear()
    elif what == "down":
        child.session_down(value)  # type: ignore[arg-type]
    elif what == "up":
        child.session_up(value)  # type: ignore[arg-type]
    elif what == "garbage":
        world.state.broken("it is not understood", world.now)
    world.settle()


@given(st.lists(_STEPS, max_size=25), _SETS)
def test_any_order_of_events_ends_with_what_is_desired(
    steps: list[tuple[str, object]], last: tuple[Announcement, ...]
) -> None:
    world = World()
    world.settle()
    for what, value in steps:
        _step(world, what, value)
        for child in world.children:
            assert child.announced.keys() <= set(ALLOWED)
            assert all(sent.keys() <= set(ALLOWED) for sent in child.on_wire.values())
    world.announce(*last)
    world.run(2 * RESPAWN_FAULT_S)
    wanted = {one.prefix: one for one in last if one.prefix in ALLOWED}
    child = world.living()
    for peer in CONFIG.peers:
        child.session_up(peer.name)
    world.run(2 * QUERY_S)
    assert world.child is child
    if OUTSIDE not in {one.prefix for one in last}:
        assert child.announced == wanted
        assert child.on_wire == {"a": wanted, "b": wanted}
        assert world.state.is_sent(wanted)
        assert world.state.is_withdrawn({V4, V6} - wanted.keys())
        assert world.state.alarms() == ()
    else:
        assert world.state.alarms()
    assert world.state.state == "running"


@given(st.lists(_STEPS, max_size=25))
def test_a_withdrawal_that_is_proven_is_on_the_wire(steps: list[tuple[str, object]]) -> None:
    world = World()
    world.settle()
    for what, value in steps:
        _step(world, what, value)
        if world.child is not None and not world.frozen:
            for prefix in (V4, V6):
                if world.state.is_withdrawn([prefix]):
                    assert all(prefix not in sent for sent in world.child.on_wire.values())
                if world.state.is_sent([prefix]):
                    assert all(prefix in sent for sent in world.child.on_wire.values())
