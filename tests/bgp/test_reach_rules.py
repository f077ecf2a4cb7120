"""Each row of the table that says why a session does not come up; and that there is a row for all evidence there is."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.attempt import Outcome, Variant
from bgp.greeting import Greeting
from bgp.peer import Peer
from bgp.reach import variants
from bgp.reach_rules import ANY_TTL, AS_CONFIGURED, RULES, WITH_TTL, WITHOUT_KEY, Facts, SessionFacts, explain
from bgp.wire import NotificationSeen


def peer(**others: Any) -> Peer:
    return Peer("up", ip_address("192.0.2.1"), 65101, ip_address("192.0.2.0"), **others)


def facts(outcome: Outcome = "open", *, seen: tuple[Any, ...] | None = None, **others: Any) -> Facts:
    """Keyword arguments of a peer, of `Facts`, and attempts by their names."""
    fields = {name: others.pop(name) for name in ("greeting", "alive") if name in others}
    attempts = {AS_CONFIGURED: outcome, **others.pop("also", {})}
    notification = None if seen is None else NotificationSeen("up", *seen)
    return Facts(peer(**others), SessionFacts(65200, notification), attempts, **fields)


BOTH_TTL, BOTH_ANY = f"{WITHOUT_KEY} and {WITH_TTL}", f"{WITHOUT_KEY} and {ANY_TTL}"
KEY: dict[str, Any] = {"password": "s3cret"}
GTSM: dict[str, Any] = {"ttl_security": True}
HOLD = ("sent", 4, 0)
SHUT = ("received", 6, 2, "maintenance")

ROWS: list[tuple[Facts, str]] = [
    (facts("not-ours"), "from 192.0.2.0, which is not an address of this machine"),
    (facts("no-interface", interface="eth7"), "bound to the interface eth7"),
    (facts("no-route", seen=HOLD), "no route to 192.0.2.1; before that, we ended the session: the hold timer expired"),
    (facts("timeout", also={WITHOUT_KEY: "open"}, **KEY), "the router has none"),
    (facts("unreachable", also={WITH_TTL: "open"}, multihop=2), "more than 2 hops away"),
    (facts("timeout", also={WITH_TTL: "open"}), "the router demands TTL security"),
    (facts("deaf", also={WITH_TTL: "open"}), "the router demands TTL security"),
    (facts("timeout", also={ANY_TTL: "open"}, **GTSM), "the router does no TTL security"),
    (facts("timeout", also={BOTH_TTL: "open"}, **KEY), "no password, and demands TTL security"),
    (facts("timeout", also={BOTH_ANY: "open"}, **KEY, **GTSM), "neither the password nor TTL security"),
    (facts("deaf"), "nothing that is sent on it arrives"),
    (facts("refused", seen=SHUT), 'administrative shutdown (6/2), saying "maintenance"; nothing listens'),
    (facts("refused"), "192.0.2.1 is up, but nothing listens at port 179"),
    (facts("timeout", also={WITHOUT_KEY: "refused"}, **KEY), "nothing listens at port 179"),
    (facts("refused", seen=HOLD), "nothing listens at port 179; before that, we ended the session"),
    (facts("timeout", alive=True, **KEY), "the passwords differ"),
    (facts("timeout", alive=True), "the router demands a password (TCP-MD5)"),
    (facts("unreachable"), "nobody on the link answers for 192.0.2.1"),
    (facts("unreachable", multihop=2), "the network says that 192.0.2.1 cannot be reached"),
    (facts("timeout"), "nothing at 192.0.2.1 answers"),
    (facts("failed"), "this machine cannot open a connection"),
    (facts(greeting=Greeting("open", asn=65102)), "192.0.2.1 is AS65102, and this node expects AS65101"),
    (facts(seen=("received", 2, 2)), "192.0.2.1 does not expect AS65200, which this node is"),
    (facts(seen=("sent", 2, 2), greeting=Greeting("closed")), "192.0.2.1 is not AS65101"),
    (facts(seen=HOLD, greeting=Greeting("open", asn=65101)), "we ended the session: the hold timer expired"),
    (facts(seen=HOLD, greeting=Greeting("closed")), "or the router demands another TTL"),
    (facts(seen=("received", 4, 0), greeting=Greeting("closed")), "the hold timer expired"),
    (facts(seen=("received", 6, 1)), "more prefixes than it takes"),
    (facts(greeting=Greeting("notification", code=6, subcode=5)), "Cease: connection rejected (6/5)"),
    (facts(greeting=Greeting("closed")), "closes it without a word"),
    (facts(greeting=Greeting("other")), "does not speak BGP"),
    (facts(greeting=Greeting("open", asn=65101)), "answers as AS65101, as it should"),
    (facts(), "takes the connection, and says nothing"),
]


@pytest.mark.parametrize(("evidence", "said"), ROWS, ids=[said for _, said in ROWS])
def test_rows(evidence: Facts, said: str) -> None:
    found = explain(evidence)
    assert said in found.error
    assert found.remedy


def test_every_row_has_its_evidence() -> None:
    reached = {next(index for index, rule in enumerate(RULES) if rule.holds(evidence)) for evidence, _ in ROWS}
    assert reached == set(range(len(RULES)))


GREETINGS = st.builds(
    Greeting,
    st.sampled_from(["silent", "closed", "open", "notification", "other"]),
    asn=st.integers(0, 2**32 - 1),
    code=st.integers(0, 255),
    subcode=st.integers(0, 255),
)
SEEN = st.none() | st.builds(
    NotificationSeen,
    st.just("up"),
    st.sampled_from(["sent", "received"]),
    st.integers(0, 255),
    st.integers(0, 255),
    st.text(max_size=20) | st.just("{password} {0}"),
)


@given(
    st.dictionaries(
        st.sampled_from([WITHOUT_KEY, WITH_TTL, ANY_TTL, BOTH_TTL, BOTH_ANY]), st.sampled_from(get_args(Outcome))
    ),
    st.sampled_from(get_args(Outcome)),
    GREETINGS,
    SEEN,
    st.booleans(),
    st.sampled_from(["", "s3cret"]),
)
def test_all_evidence_is_judged(
    also: dict[str, Outcome],
    outcome: Outcome,
    greeting: Greeting,
    seen: NotificationSeen | None,
    alive: bool,
    password: str,
) -> None:
    evidence = Facts(
        peer(password=password), SessionFacts(65200, seen), {**also, AS_CONFIGURED: outcome}, greeting, alive
    )
    found = explain(evidence)
    assert found.error
    assert "s3cret" not in found.error + found.remedy


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {AS_CONFIGURED: (False, 0, False), WITH_TTL: (False, 255, False)}),
        ({"multihop": 3}, {AS_CONFIGURED: (False, 3, False), WITH_TTL: (False, 255, False)}),
        (GTSM, {AS_CONFIGURED: (False, 255, True), ANY_TTL: (False, 255, False)}),
        (
            KEY,
            {
                AS_CONFIGURED: (True, 0, False),
                WITHOUT_KEY: (False, 0, False),
                WITH_TTL: (True, 255, False),
                BOTH_TTL: (False, 255, False),
            },
        ),
        (
            KEY | GTSM,
            {
                AS_CONFIGURED: (True, 255, True),
                WITHOUT_KEY: (False, 255, True),
                ANY_TTL: (True, 255, False),
                BOTH_ANY: (False, 255, False),
            },
        ),
    ],
    ids=str,
)
def test_what_is_tried(settings: dict[str, Any], expected: dict[str, tuple[bool, int, bool]]) -> None:
    found = variants(peer(**settings))
    assert found == {name: Variant(*how) for name, how in expected.items()}
    assert next(iter(found)) == AS_CONFIGURED
