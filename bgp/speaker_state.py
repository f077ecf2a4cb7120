"""What the speaker's child is told, when it is started and when it is killed. Sans-IO: the clock is passed in.

Theory of operation. `desired` is what is to be announced. A child that is ready is told the whole set; it answers, and
says what it sent. Nothing that it says is believed alone:

    an answer that does not come in ACK_S_MAX          the child is killed
    what it cannot say, or a prefix it was never told  the child is killed
    an adj-rib-out that differs from what it was told  the set is told again; then its session is begun anew, if others
                                                       are as they should be; if it still differs, the child is killed
    a session that stays down                          is tried anew, by another child if no session is lost by that

A child that ends is started again after a pause (`bgp.backoff`), and told everything again. A set that it refuses is
told again without the prefixes that it had not taken before: what is to be withdrawn always is.

Around it, a shell starts the child at `spawn_at`, sends what `take_requests` gives, passes on what the child says,
kills it when `kill` says why, and calls `tick` at `deadline`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from bgp.announcement import Announcement
from bgp.awaited import Awaited
from bgp.backoff import Backoff
from bgp.limits import ACK_S_MAX, BEAT_S, QUERY_S, READY_S_MAX, RIB_DIFFERENT_MAX, STOP_S_MAX
from bgp.note import Note, NoteLevel
from bgp.peer import SpeakerConfig
from bgp.prefix import Network
from bgp.session import Session
from bgp.status import SpeakerState as StateName
from bgp.told_sets import ToldSets
from bgp.wire import (
    Applied,
    Beat,
    Cease,
    Configure,
    Event,
    Log,
    NotificationSeen,
    PeerChanged,
    Query,
    Ready,
    Refused,
    Request,
    RestartPeer,
    Rib,
    Sent,
    SetAnnouncements,
    canonical,
)


class SpeakerState:
    """See the module.

    Attributes:
        spawn_at: when a child is to be started; None while there is one, or none is wanted.
        kill: why the child is to be killed now; "" while it is not.
        restarts: children that ended, and nobody had asked for that.
        error: why the last of them ended.
        sessions: by name of the peer.
    """

    def __init__(self, config: SpeakerConfig, now: float) -> None:
        self.config = config
        self.sessions = {peer.name: Session(peer, now) for peer in config.peers}
        self.desired: dict[Network, Announcement] = {}
        self.spawn_at: float | None = now
        self.kill = ""
        self.restarts = 0
        self.error = ""
        self.since = now

        self._backoff = Backoff()
        self._stopped = False
        self._number = 0
        self._notes: list[Note] = []
        self._state: StateName = "starting"
        self._asked_at: dict[Network, float] = {}
        """When each prefix that is not desired was last to be withdrawn."""
        self._refused = ""
        self._no_child()

    def _no_child(self) -> None:
        self._outbox: dict[object, Request] = {}
        """What was not sent yet, each kind once: a child that does not read cannot make it grow."""
        self._begun_at: float | None = None
        self._ready = False
        self._ending_due: float | None = None
        """The child was asked to leave, and is killed then."""
        self._beat_at = self._query_at = float("inf")
        self._awaited = Awaited()
        self._told = ToldSets()
        self._queried_at = 0.0
        self._different = 0

    # --- what is wanted ---

    def set(self, announcements: Collection[Announcement], now: float) -> None:
        """The full set that is to be announced from now on."""
        desired = {announcement.prefix: announcement for announcement in announcements}
        assert len(desired) == len(announcements), "a prefix is named once"
        if desired == self.desired:
            return
        self._asked_at |= dict.fromkeys(self.desired.keys() - desired.keys(), now)
        self._asked_at = {prefix: at for prefix, at in self._asked_at.items() if prefix not in desired}
        self.desired = desired
        if self._ready and self._ending_due is None:
            self._tell(desired, now)

    def configure(self, config: SpeakerConfig, now: float) -> None:
        """Another configuration, which is another child. Sessions end with a Cease meanwhile."""
        self.config = config
        self._leave(now)
        if self.spawn_at is not None:
            self.spawn_at = now  # what failed may be mended
        kept = self.sessions
        self.sessions = {
            peer.name: kept[peer.name] if peer.name in kept and kept[peer.name].peer == peer else Session(peer, now)
            for peer in config.peers
        }

    def stop(self, now: float) -> None:
        """Let the child take leave of its peers, and start none after it."""
        if self._stopped:
            return
        self._stopped = True
        self.spawn_at = None
        self._leave(now)
        if self._begun_at is None:
            self._to("stopped", now)

    def bfd_up(self, name: str, now: float) -> None:
        """BFD reaches a peer again: a session that is down need not wait for its next try."""
        session = self.sessions[name]
        retry_at = session.retry_at(at_once=True)
        if retry_at is not None and retry_at <= now:
            self._retry(session, now)

    # --- the child ---

    def begun(self, now: float) -> None:
        """A child was started."""
        self.spawn_at = None
        self._begun_at = now
        self._put("configure", Configure(self.config))
        self._awaited.expect("its first word", now + READY_S_MAX)
        self._beat_at = now
        if self._stopped:  # asked while it was being started
            self._leave(now)
        for session in self.sessions.values():
            session.tried(now)

    def ended(self, reason: str, now: float) -> None:
        """It is gone, or could not be started; `reason` is of its exit: `signal SIGKILL`, `status 70`."""
        lasted_s = 0.0 if self._begun_at is None else now - self._begun_at
        wanted = self._ending_due is not None
        why = self.kill or reason
        for session in self.sessions.values():
            if session.up:
                self._notes.append(Note("warning", "bgp.session-down", peer=session.peer.name, reason=why, remedy=""))
            session.lost("the node ended it" if wanted else f"the speaker's child ended: {why}", now)
        self.kill = ""
        self._no_child()
        if self._stopped:
            self._notes.append(Note("info", "bgp.child-stopped", reason=reason))
            self._to("stopped", now)
            return
        if wanted:
            self.spawn_at = now
            self._to("starting", now)
            return
        self.restarts += 1
        self.error = why
        was_fault = self._backoff.fault(now)
        retry_s = self._backoff.ended(now, lasted_s)
        self._notes.append(Note("warning", "bgp.child-ended", reason=why, lasted_s=round(lasted_s, 3), retry_s=retry_s))
        self.spawn_at = now + retry_s
        fault = self._backoff.fault(now)
        if fault and not was_fault:
            self._notes.append(Note("error", "bgp.fault", reason=why))
        self._to("fault" if fault else "starting", now)

    def broken(self, reason: str, now: float) -> None:
        """The child said what cannot be."""
        self._kill(reason, now)

    def hung_up(self, now: float) -> None:
        """The child closed its end: it is about to be gone."""
        self._awaited.only("its end", now + ACK_S_MAX)
        self._query_at = self._beat_at = float("inf")

    def received(self, event: Event, now: float) -> None:
        """The child says something."""
        match event:
            case Ready():
                self._on_ready(now)
            case Applied():
                self._on_applied(event, now)
            case Refused():
                self._on_refused(event, now)
            case PeerChanged():
                self._on_peer(event, now)
            case Sent():
                self._on_sent(event, now)
            case NotificationSeen():
                self._on_notification(event, now)
            case Rib():
                self._on_rib(event, now)
            case Log():
                # What it warns of comes as events, too; ExaBGP does so for every try to connect.
                level: NoteLevel = "error" if event.level == "error" else "info"
                self._notes.append(Note(level, "bgp.child-said", text=event.text))

    def _on_ready(self, now: float) -> None:
        self._awaited.came("its first word")
        self._ready = True
        self._query_at = now + QUERY_S
        self._settle(now)
        if self._ending_due is None:
            self._tell(self.desired, now)

    def _on_applied(self, event: Applied, now: float) -> None:
        self._awaited.came("its answer to a set", event.id)
        if not self._told.applied(event.id):
            self._kill("it answered what it was not told", now)
        elif self._told.accepted == self.desired:
            self._refused = ""

    def _on_refused(self, event: Refused, now: float) -> None:
        self._awaited.came("its answer to a set", event.id)
        refused = self._told.refused(event.id)
        if refused is None:
            self._kill("it answered what it was not told", now)
            return
        if event.message != self._refused:
            self._refused = event.message
            remedy = "Compare the prefixes that this node announces with those of the signed roster."
            self._notes.append(
                Note("error", "bgp.refused", subject="speaker", code=event.code, message=event.message, remedy=remedy)
            )
        accepted = self._told.accepted
        rest = {prefix: one for prefix, one in self.desired.items() if prefix in accepted}
        if self._told.settled and rest not in (accepted, refused):
            self._tell(rest, now)

    def _on_peer(self, event: PeerChanged, now: float) -> None:
        session = self._session(event.name, now)
        if session is None:
            return
        was_up = session.up
        session.changed(event, now)
        if session.up and not was_up:
            self._notes.append(Note("info", "bgp.session-up", peer=event.name, hold_s=event.hold_s))
        elif was_up and not session.up:
            self._notes.append(
                Note("warning", "bgp.session-down", peer=event.name, reason=session.error, remedy=session.remedy)
            )

    def _on_sent(self, event: Sent, now: float) -> None:
        session = self._session(event.peer, now)
        if session is None:
            return
        if not self._told.was_told(event.prefix):
            self._kill(f"it sent {event.prefix}, which it was never told", now)
            return
        announcement = self._told.latest.get(event.prefix)
        if event.kind == "announce" and announcement is None:
            # Told to withdraw it meanwhile: what was sent is still an announcement until the withdrawal is sent.
            announcement = Announcement(event.prefix)
        session.on_wire[event.prefix] = announcement if event.kind == "announce" else None
        self._notes.append(Note("info", "bgp.sent", peer=event.peer, prefix=str(event.prefix), kind=event.kind))

    def _on_notification(self, event: NotificationSeen, now: float) -> None:
        session = self._session(event.peer, now)
        if session is not None and not (self._ending_due is not None and event.direction == "sent"):
            # Leaving says Cease, which says nothing about a session that is down for another reason.
            session.notified(event, now)
            self._notes.append(
                Note("warning", "bgp.notification", peer=event.peer, reason=session.error, remedy=session.remedy)
            )

    def _on_rib(self, event: Rib, now: float) -> None:
        if not self._awaited.came("its answer to a query", event.number):
            self._kill("it answered what it was not asked", now)
            return
        if not self._told.settled or self._told.at >= self._queried_at:
            return  # the answer is of before
        different = [session.peer.name for session in self.sessions.values() if self._differs(session, event)]
        if not different:
            self._different = 0
            return
        self._different += 1
        self._notes.append(Note("warning", "bgp.rib-different", peers=different))
        same = any(session.up and session.peer.name not in different for session in self.sessions.values())
        if self._different < RIB_DIFFERENT_MAX:
            self._tell(self._told.latest, now)
        elif self._different == RIB_DIFFERENT_MAX and same:
            for name in different:
                self._restart(self.sessions[name], now)
        else:
            self._kill("what it announces is not what it was told", now)

    def _differs(self, session: Session, rib: Rib) -> bool:
        if not session.up or session.since > self._queried_at:
            return False
        expected = {canonical(one) for prefix, one in self._told.latest.items() if session.takes(prefix)}
        return set(rib.peers.get(session.peer.name, ())) != expected

    def _session(self, name: str, now: float) -> Session | None:
        if name not in self.sessions and self._ending_due is None:
            self._kill("it spoke of a peer that it does not have", now)
        return self.sessions.get(name)

    # --- time ---

    def deadline(self) -> float:
        """When `tick` is to be called; infinity for not at all."""
        if self._begun_at is None or self.kill:
            return float("inf")
        if self._ending_due is not None:
            return min(self._beat_at, self._ending_due)
        times = [self._beat_at, self._query_at, self._awaited.deadline()]
        if self._state == "fault" and self._ready:
            times.append(self._backoff.fault_until)
        times += [at for session in self.sessions.values() if (at := self._retry_at(session)) is not None]
        return min(times)

    def tick(self, now: float) -> None:
        """Whatever is due by now."""
        if self._begun_at is None or self.kill:
            return
        if now >= self._beat_at:
            self._number += 1
            self._put("beat", Beat(self._number))
            self._beat_at = now + BEAT_S
        if self._ending_due is not None:
            if now >= self._ending_due:
                self._kill(f"it did not leave within {STOP_S_MAX:g} s", now)
            return
        late = self._awaited.late(now)
        if late is not None:
            self._kill(f"{late} did not come in time", now)
            return
        if now >= self._query_at:
            self._query_at = now + QUERY_S
            if "its answer to a query" not in self._awaited:
                self._queried_at = now
                self._number += 1
                self._awaited.expect("its answer to a query", now + ACK_S_MAX, self._number)
                self._put("query", Query(self._number))
        for session in self.sessions.values():
            retry_at = self._retry_at(session)
            if retry_at is not None and now >= retry_at and self._ending_due is None:
                self._retry(session, now)
        if self._ready:
            self._settle(now)

    def _settle(self, now: float) -> None:
        """A child that is ready runs, and ends a fault when the ends of those before are long enough ago."""
        fault = self._backoff.fault(now)
        if self._state == "fault" and not fault:
            self._notes.append(Note("info", "bgp.fault-ended"))
        self._to("fault" if fault else "running", now)

    def _retry_at(self, session: Session) -> float | None:
        return session.retry_at() if self._ready and self._ending_due is None else None

    def _retry(self, session: Session, now: float) -> None:
        if not self._ready or self._ending_due is not None:
            return
        self._notes.append(Note("debug", "bgp.session-retried", peer=session.peer.name))
        if any(other.up for other in self.sessions.values()):
            self._restart(session, now)
        else:
            self._leave(now)

    # --- what comes of it ---

    def take_requests(self) -> list[Request]:
        """What is to be sent to the child, in order."""
        requests = list(self._outbox.values())
        self._outbox.clear()
        return requests

    def take_notes(self) -> list[Note]:
        notes, self._notes = self._notes, []
        return notes

    @property
    def state(self) -> StateName:
        return self._state

    def alarms(self) -> tuple[str, ...]:
        """What is wrong and does not pass by itself: sentences."""
        found = []
        if self._refused:
            found.append(f"the speaker refuses what it is told: {self._refused}")
        if self._state == "fault":
            found.append(f"the speaker's child ends again and again: {self.error}")
        return tuple(found)

    def is_sent(self, prefixes: Iterable[Network]) -> bool:
        """Each is desired, and was sent as desired to every established peer that takes it, of which there is one."""
        return all(
            prefix in self.desired
            and bool(takers := [one for one in self.sessions.values() if one.up and one.takes(prefix)])
            and all(session.is_announced(self.desired[prefix]) for session in takers)
            for prefix in prefixes
        )

    def is_withdrawn(self, prefixes: Iterable[Network]) -> bool:
        """None is desired, and for each a withdrawal was sent to every established peer that may have had it."""
        return all(prefix not in self.desired and self._is_withdrawn(prefix) for prefix in prefixes)

    def _is_withdrawn(self, prefix: Network) -> bool:
        if not self._told.is_gone(prefix):
            return False
        if not self._told.may_have_announced(prefix):
            return True
        asked_at = self._asked_at.get(prefix, 0.0)
        return all(
            session.is_withdrawn(prefix, asked_at)
            for session in self.sessions.values()
            if session.up and session.takes(prefix)
        )

    # --- helpers ---

    def _tell(self, announcements: Mapping[Network, Announcement], now: float) -> None:
        unsent = self._outbox.get("set")
        if isinstance(unsent, SetAnnouncements):
            self._told.unsent(unsent.id)
        self._number += 1
        self._told.tell(self._number, announcements, now)
        self._awaited.expect("its answer to a set", now + ACK_S_MAX, self._number)
        self._put("set", SetAnnouncements(self._number, tuple(announcements.values())))

    def _put(self, key: object, request: Request) -> None:
        self._outbox[key] = request

    def _leave(self, now: float) -> None:
        """The child that there is takes leave of its peers and ends."""
        if self._begun_at is not None and self._ending_due is None:
            self._put("cease", Cease())
            self._ending_due = now + STOP_S_MAX

    def _restart(self, session: Session, now: float) -> None:
        session.tried(now)
        self._put(("restart", session.peer.name), RestartPeer(session.peer.name))

    def _kill(self, reason: str, now: float) -> None:
        if self._begun_at is None or self.kill:
            return
        self.kill = reason
        self._outbox.clear()
        lasted_s = round(now - self._begun_at, 3)
        self._notes.append(Note("error", "bgp.child-killed", reason=reason, lasted_s=lasted_s))

    def _to(self, state: StateName, now: float) -> None:
        if state != self._state:
            self._state, self.since = state, now
