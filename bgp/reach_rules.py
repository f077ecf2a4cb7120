"""The table that says why a session does not come up, and the evidence that it looks at. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bgp.attempt import Outcome
from bgp.greeting import Greeting
from bgp.notification import explain as explain_notification
from bgp.peer import Peer
from bgp.wire import NotificationSeen


class Finding(NamedTuple):
    """Both are sentences, as `PeerStatus` has them."""

    error: str
    remedy: str


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What the speaker knows of a session that is down.

    Attributes:
        asn: ours.
        notification: the last that was sent or received on it; None for none since this node started.
    """

    asn: int
    notification: NotificationSeen | None = None


AS_CONFIGURED = "as configured"
WITHOUT_KEY = "without the key"
WITH_TTL = "with a TTL of 255"
ANY_TTL = "taking any TTL"


@dataclass(frozen=True, slots=True)
class Facts:
    """All evidence.

    Attributes:
        attempts: what was tried, by the names above, joined by " and " -> what came of it.
        greeting: what the router said first, if it took the connection as configured.
        alive: its machine answers something.
    """

    peer: Peer
    session: SessionFacts
    attempts: Mapping[str, Outcome]
    greeting: Greeting = field(default_factory=lambda: Greeting("silent"))
    alive: bool = False

    @property
    def outcome(self) -> Outcome:
        return self.attempts[AS_CONFIGURED]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: where it holds, this is why. Texts are templates; `words` says of what."""

    holds: Callable[[Facts], bool]
    error: str
    remedy: str


def explain(facts: Facts) -> Finding:
    """The first rule that holds. Pure."""
    words = _words(facts)
    rule = next(rule for rule in RULES if rule.holds(facts))
    return Finding(rule.error.format_map(words), rule.remedy.format_map(words))


def _words(facts: Facts) -> dict[str, object]:
    peer, seen = facts.peer, facts.session.notification
    said = seen and explain_notification(seen.direction, seen.code, seen.subcode, seen.text)
    return {
        "router": f"{peer.address} port {peer.port}",
        "address": peer.address,
        "port": peer.port,
        "local": peer.local_address,
        "interface": peer.interface,
        "asn": peer.asn,
        "ours": facts.session.asn,
        "hops": peer.multihop,
        "actual": facts.greeting.asn,
        "said": said.error if said else "",
        "to_do": said.remedy if said else "",
        "before": f"; before that, {said.error}" if said else "",
        "greeting": _greeting_words(facts.greeting).error,
        "greeting_to_do": _greeting_words(facts.greeting).remedy,
    }


def _greeting_words(greeting: Greeting) -> Finding:
    return Finding(*explain_notification("received", greeting.code, greeting.subcode))


def _is(*outcomes: Outcome) -> Callable[[Facts], bool]:
    return lambda facts: facts.outcome in outcomes


def _opens(name: str) -> Callable[[Facts], bool]:
    """It works so, and not as configured."""
    return lambda facts: facts.outcome != "open" and facts.attempts.get(name) == "open"


def _refused(facts: Facts) -> bool:
    """Somewhere a reset came. With a key or a demand for a TTL, ours is dropped by this machine, not by the router."""
    return "refused" in facts.attempts.values()


def _greets(kind: str) -> Callable[[Facts], bool]:
    return lambda facts: facts.outcome == "open" and facts.greeting.kind == kind


def _notified(*codes: int) -> Callable[[Facts], bool]:
    return lambda facts: facts.session.notification is not None and facts.session.notification.code in codes


def _wrong_asn(direction: str) -> Callable[[Facts], bool]:
    def holds(facts: Facts) -> bool:
        seen = facts.session.notification
        return seen is not None and (seen.direction, seen.code, seen.subcode) == (direction, 2, 2)

    return holds


def _all(*conditions: Callable[[Facts], bool]) -> Callable[[Facts], bool]:
    return lambda facts: all(condition(facts) for condition in conditions)


def _hold_timer_expired_here(facts: Facts) -> bool:
    seen = facts.session.notification
    return seen is not None and (seen.direction, seen.code) == ("sent", 4)


def _has_password(facts: Facts) -> bool:
    return bool(facts.peer.password)


def _is_direct(facts: Facts) -> bool:
    return facts.peer.multihop == 1


def _is_alive(facts: Facts) -> bool:
    return facts.alive


_UNREACHED = _is("timeout", "unreachable")

# What this machine lacks, then what TCP shows now, then what was said on the session, then what is left. Evidence of
# now goes before a message of then, except where the message is the cause: who was shut down is also closed to us.
RULES: tuple[Rule, ...] = (
    Rule(
        _is("not-ours"),
        "the session is to come from {local}, which is not an address of this machine",
        "Give this machine the address, or correct the peer's local_address.",
    ),
    Rule(
        _is("no-interface"),
        "the session is bound to the interface {interface}, which this machine has not",
        "Correct the peer's interface.",
    ),
    Rule(
        _is("no-route"),
        "this machine has no route to {address}{before}",
        "Look at `ip route get {address}`: bring the interface up, or add the route.",
    ),
    Rule(
        _opens(WITHOUT_KEY),
        "{router} takes connections without TCP-MD5, and drops those with the password: the router has none",
        "Set the same password for this node at the router, or remove the peer's password_file.",
    ),
    Rule(
        _all(_opens(WITH_TTL), _is("unreachable")),
        "{address} is more than {hops} hops away: packets with that TTL do not arrive",
        "Raise the peer's multihop.",
    ),
    Rule(
        _opens(WITH_TTL),
        "{router} takes only packets with a TTL of 255: the router demands TTL security (GTSM)",
        "Set `ttl_security = true` for the peer, or turn it off at the router.",
    ),
    Rule(
        _opens(ANY_TTL),
        "{address} answers with a TTL below 255, which this node drops: the router does no TTL security (GTSM)",
        "Turn TTL security on for this node at the router, or remove ttl_security of the peer.",
    ),
    Rule(
        _opens(f"{WITHOUT_KEY} and {WITH_TTL}"),
        "{router} takes connections without TCP-MD5 and with a TTL of 255: the router has no password, and demands TTL"
        " security (GTSM)",
        "Make password and TTL security the same on both ends.",
    ),
    Rule(
        _opens(f"{WITHOUT_KEY} and {ANY_TTL}"),
        "{router} takes connections without TCP-MD5 and answers with a TTL below 255: the router has neither the"
        " password nor TTL security (GTSM)",
        "Make password and TTL security the same on both ends.",
    ),
    Rule(
        _is("deaf"),
        "{router} takes the connection, and nothing that is sent on it arrives: a filter drops it, or the router"
        " demands another TTL",
        "Compare ttl_security and multihop of the peer with the router's, and look for filters on the way.",
    ),
    Rule(_all(_refused, _notified(6)), "{said}; nothing listens at {router} now", "{to_do}"),
    Rule(
        _refused,
        "{address} is up, but nothing listens at port {port}{before}",
        "Start BGP at the router, and check its address and port, and that it knows this node as a neighbour.",
    ),
    Rule(
        _all(_UNREACHED, _is_alive, _has_password),
        "{address} is up, but port {port} answers neither with the password nor without: the passwords differ, or a"
        " filter drops it{before}",
        "Set the same password on both ends, and let TCP port {port} pass from {local} to {address}.",
    ),
    Rule(
        _all(_UNREACHED, _is_alive),
        "{address} is up, but port {port} does not answer: the router demands a password (TCP-MD5), or a filter drops"
        " it{before}",
        "Put the router's password into the peer's password_file, and let TCP port {port} pass from {local} to"
        " {address}.",
    ),
    Rule(
        _all(_is("unreachable"), _is_direct),
        "nobody on the link answers for {address} (ARP, neighbour discovery): the router is down, or not on this"
        " link{before}",
        "Look at the router, the cable or VLAN, and the addresses on both ends.",
    ),
    Rule(
        _is("unreachable"),
        "the network says that {address} cannot be reached{before}",
        "Look at the way there with `mtr {address}`.",
    ),
    Rule(
        _is("timeout"),
        "nothing at {address} answers: the router is down, the way there is broken, or a filter drops all{before}",
        "Look at the router, and at the way there with `mtr {address}`.",
    ),
    Rule(
        _is("failed"),
        "this machine cannot open a connection to {router} with the session's settings{before}",
        "Look at the kernel's log, and at the limits of the node's service.",
    ),
    Rule(
        lambda facts: _greets("open")(facts) and facts.greeting.asn != facts.peer.asn,
        "wrong AS number: {address} is AS{actual}, and this node expects AS{asn}",
        "Set `asn = {actual}` for the peer if that is the router that is meant, or correct its address.",
    ),
    Rule(
        _wrong_asn("received"),
        "wrong AS number: {address} does not expect AS{ours}, which this node is; {said}",
        "Have the router's neighbor statement for this node say AS{ours}, or correct the node's asn.",
    ),
    Rule(
        _wrong_asn("sent"),
        "wrong AS number: {address} is not AS{asn}, which this node expects; {said}",
        "Correct the peer's asn, or its address.",
    ),
    # BIRD keeps a connection on which it hears nothing for its initial hold time of 240 s, and turns all others away:
    # until then no try can tell whether another TTL arrives.
    Rule(
        _all(_greets("closed"), _hold_timer_expired_here),
        "{said}; {router} closes new connections without a word: it may still hold one on which nothing of ours"
        " arrives, since a filter drops it, or the router demands another TTL",
        "Compare ttl_security and multihop of the peer with the router's, and look for filters on the way and at the"
        " router's log.",
    ),
    Rule(_notified(1, 2, 3, 4, 5, 6, 7, 8), "{said}", "{to_do}"),
    Rule(_greets("notification"), "{greeting}", "{greeting_to_do}"),
    Rule(
        _greets("closed"),
        "{router} takes the connection and closes it without a word: the router does not know {local} as a neighbour,"
        " has it shut down, or waits after an error",
        "Check the router's neighbor statement for {local}, and look at its log.",
    ),
    Rule(
        _greets("other"),
        "what answers at {router} does not speak BGP",
        "Correct the peer's address or port.",
    ),
    Rule(
        _greets("open"),
        "{address} answers as AS{actual}, as it should, and the session is not up yet{before}",
        "Wait for the next try; if it stays so, look at the router's log.",
    ),
    Rule(
        lambda _: True,
        "{router} takes the connection, and says nothing{before}",
        "Look whether the router waits for another neighbour than {local}, and at its log.",
    ),
)
