"""What a node does with one peer that does not come up, as a process for a namespace: speaks, then finds out why.

    python -m tests.bgp.reach_probe '{"peer": {...}, "speaks": true, "prefixes": [...]}'

Prints `established` when the session is, and the finding as JSON once it has ended. Without `speaks` there is no
session, only the finding.
"""

from __future__ import annotations

import json
import sys
from ipaddress import IPv4Address, ip_address
from typing import Any

import trio

from bgp.announcement import Announcement
from bgp.peer import Peer, SpeakerConfig
from bgp.prefix import parse_prefix
from bgp.reach import investigate
from bgp.reach_rules import SessionFacts
from bgp.wire import NotificationSeen, PeerChanged, SetAnnouncements
from tests.bgp import parent

ASN = 65200


async def main(told: dict[str, Any]) -> None:
    settings = told["peer"] | {key: ip_address(told["peer"][key]) for key in ("address", "local_address")}
    peer = Peer(name="up", **settings)
    seen = await _speak(peer, told["prefixes"]) if told["speaks"] else None
    finding = await investigate(peer, SessionFacts(ASN, seen))
    sys.stdout.write(json.dumps({"error": finding.error, "remedy": finding.remedy}) + "\n")


async def _speak(peer: Peer, prefixes: list[str]) -> NotificationSeen:
    config = SpeakerConfig(ASN, IPv4Address("10.9.9.9"), (peer,), deadman_s=30.0)
    async with parent.speaking(config, prefixes, beats=True) as child:
        await child.say(SetAnnouncements(1, tuple(Announcement(parse_prefix(each)) for each in prefixes)))

        async def tell_of_session() -> None:
            await child.event(PeerChanged, lambda event: event.state == "established")
            sys.stdout.write("established\n")
            sys.stdout.flush()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell_of_session)
            seen = await child.event(NotificationSeen)
            nursery.cancel_scope.cancel()
        return seen


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))
