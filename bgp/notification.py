"""What a NOTIFICATION means, in words: why a session ended, and what to do about it.

RFC 4271 6 (codes 1 to 6), RFC 4486 and 9384 (Cease), RFC 5492 and 9234 (OPEN), RFC 6608 (finite state machine),
RFC 7313 (ROUTE-REFRESH), RFC 8538 (hard reset), RFC 9687 (send hold timer), RFC 9003 (what may be said with a Cease).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from bgp.limits import NOTIFICATION_TEXT_CHARS_MAX
from bgp.wire import Direction


class Explanation(NamedTuple):
    """Both are sentences; `remedy` is "" if there is nothing to do."""

    error: str
    remedy: str


class _Meaning(NamedTuple):
    name: str
    remedy: str
    """What to do if the router said so."""
    remedy_ours: str = ""
    """What to do if we said so; "" for the same."""


_communication = re.compile(r'Shutdown Communication: "(.*)"', re.DOTALL).fullmatch
_REPORT = "Look at the router's log, and report this with ours."
_ASN = "Compare this node's AS number with the router's neighbor statement, and the peer's asn with the router's own."
_PATH = (
    "Look at the network between this machine and the router, and at how busy both are; a longer hold time bears more."
)
_NOTHING = "Nothing: the session comes back by itself."
_TOLD = "Ask whoever runs the router; the session comes back when the router lets it."

_MEANINGS: dict[tuple[int, int | None], _Meaning] = {
    (1, None): _Meaning("a message's header was wrong", _REPORT),
    (1, 1): _Meaning("the stream of messages was out of step", _REPORT),
    (1, 2): _Meaning("a message had a wrong length", _REPORT),
    (1, 3): _Meaning("a message was of an unknown type", _REPORT),
    (2, None): _Meaning("the OPEN message was not accepted", _REPORT),
    (2, 1): _Meaning("another version of BGP", "Have the router speak BGP-4."),
    (2, 2): _Meaning("wrong AS number (Bad Peer AS)", _ASN, _ASN),
    (2, 3): _Meaning(
        "wrong router id (Bad BGP Identifier)", "Give each node a router_id of its own, an IPv4 address of the node."
    ),
    (2, 4): _Meaning("an optional parameter that is not known", _REPORT),
    (2, 6): _Meaning(
        "a hold time that is not accepted",
        "Raise the peer's hold_s to what the router takes.",
        "Have the router ask for 3 s or more.",
    ),
    (2, 7): _Meaning(
        "a capability that is missing or not supported",
        "Have the router speak the address families that this node announces.",
    ),
    (2, 11): _Meaning(
        "roles that do not fit each other", "Have the router treat this node as its customer, or set no role."
    ),
    (3, None): _Meaning("an UPDATE message was wrong", _REPORT),
    (3, 1): _Meaning("malformed attributes", _REPORT),
    (3, 2): _Meaning("a well-known attribute that was not recognised", _REPORT),
    (3, 3): _Meaning("a well-known attribute that was missing", _REPORT),
    (3, 4): _Meaning("wrong flags of an attribute", _REPORT),
    (3, 5): _Meaning("a wrong length of an attribute", _REPORT),
    (3, 6): _Meaning("an ORIGIN that is none", _REPORT),
    (3, 8): _Meaning(
        "a next hop that is not valid",
        "Set the peer's local_address or next_hop to an address of this node in its network.",
    ),
    (3, 9): _Meaning("an optional attribute that was wrong", _REPORT),
    (3, 10): _Meaning("a prefix that is none", _REPORT),
    (3, 11): _Meaning("a malformed AS path", "Check that the router expects this node's AS first in the path."),
    (4, None): _Meaning("the hold timer expired: nothing was heard for the hold time", _PATH),
    (5, None): _Meaning("a message that does not belong into the session's state", _REPORT),
    (5, 1): _Meaning("a message that does not belong into OpenSent", _REPORT),
    (5, 2): _Meaning("a message that does not belong into OpenConfirm", _REPORT),
    (5, 3): _Meaning("a message that does not belong into Established", _REPORT),
    (6, None): _Meaning("Cease", _TOLD),
    (6, 1): _Meaning(
        "Cease: more prefixes than it takes (Maximum Number of Prefixes Reached)",
        "Raise the router's limit of prefixes for this node, then clear the session there.",
    ),
    (6, 2): _Meaning("Cease: administrative shutdown", _TOLD, "Nothing: this node left on purpose."),
    (6, 3): _Meaning(
        "Cease: peer de-configured",
        "Have the router's neighbor statement put back.",
        "Nothing: this node no longer has that peer.",
    ),
    (6, 4): _Meaning("Cease: administrative reset", _NOTHING),
    (6, 5): _Meaning(
        "Cease: connection rejected",
        "Check that the router knows this address and AS, and that it is not shut down there.",
    ),
    (6, 6): _Meaning("Cease: other configuration change", _NOTHING),
    (6, 7): _Meaning(
        "Cease: connection collision",
        "Have the router passive for this node, or see that no two speakers use one address.",
    ),
    (6, 8): _Meaning("Cease: out of resources", "Look at the router's memory and its number of sessions."),
    (6, 9): _Meaning("Cease: hard reset", _TOLD),
    (6, 10): _Meaning(
        "Cease: BFD is down", "Look at the path between this machine and the router, and at BFD on both ends."
    ),
    (7, None): _Meaning("a ROUTE-REFRESH message was wrong", _REPORT),
    (8, None): _Meaning("the send hold timer expired: what was sent was not taken", _PATH),
}


def explain(direction: Direction, code: int, subcode: int, text: str = "") -> Explanation:
    """Of one NOTIFICATION, known or not. `text` is that of `NotificationSeen`, from the wire: cut and made readable."""
    meaning = _MEANINGS.get((code, subcode)) or _MEANINGS.get((code, None))
    if meaning is None:
        meaning = _Meaning("a reason that no RFC known here names", _REPORT)
    who = "the router ended the session" if direction == "received" else "we ended the session"
    said = "".join(char if char.isprintable() else " " for char in _data(text)[:NOTIFICATION_TEXT_CHARS_MAX]).strip()
    error = f"{who}: {meaning.name} ({code}/{subcode})" + (f', saying "{said}"' if said else "")
    return Explanation(error, meaning.remedy if direction == "received" else meaning.remedy_ours or meaning.remedy)


def _data(text: str) -> str:
    """What came beside the codes, of `Cease / Administrative Shutdown / Shutdown Communication: "..."`."""
    names_and_data = text.split(" / ", 2)
    data = names_and_data[0] if len(names_and_data) == 1 else "".join(names_and_data[2:])
    communication = _communication(data)
    return data if communication is None else communication[1]
