"""Outputs are those of BIRD 2.0.12 and FRR 8.4.4, shortened."""

from __future__ import annotations

from bgp.announcement import GRACEFUL_SHUTDOWN, NO_EXPORT, Community, LargeCommunity
from tests.lab.router_output import Session, bird_routes, bird_session, frr_routes, frr_session

BIRD = """BIRD 2.0.12 ready.
Table master4:
203.0.113.10/32      unicast [ams_1 09:18:57.779] * (100) [AS65200i]
\tvia 10.0.0.2 on to-ams-1
\tType: BGP univ
\tBGP.origin: IGP
\tBGP.as_path: 65200 65200
\tBGP.next_hop: 10.0.0.2
\tBGP.med: 10
\tBGP.local_pref: 0
\tBGP.community: (65200,1) (65535,0)
\tBGP.large_community: (1, 2, 3)
                     unicast [nyc 09:18:58.000] (100) [AS65200i]
\tvia 10.0.0.5 on to-nyc
\tType: BGP univ
\tBGP.origin: IGP
\tBGP.as_path: 65105 65102 65200
\tBGP.next_hop: fd00:1::5 fe80::1
\tBGP.local_pref: 100
"""
BIRD_SESSION = """BIRD 2.0.12 ready.
Name       Proto      Table      State  Since         Info
ams_1      BGP        ---        up     2026-11-21 09:18:09.070112  Established
  BGP state:          Established
    Neighbor AS:      65200
    Hold timer:       2.686/3
    Keepalive timer:  0.648/1
"""
BIRD_LOST = """BIRD 2.0.12 ready.
ams_1      BGP        ---        start  2026-11-21 09:18:09.070112  Active        Socket: Connection refused
  BGP state:          Active
    Neighbor AS:      65200
    Last error:       Socket: Connection refused
"""
BIRD_DISABLED = "BIRD 2.0.12 ready.\nams_1      BGP        ---        down   2026-11-21 09:18:09.070112\n"
FRR = """{"prefix":"203.0.113.10/32","paths":[
{"aspath":{"string":"65101 65200"},"bestpath":{"overall":true},"community":{"list":["65200:1"]},
 "nexthops":[{"ip":"10.0.0.0","used":true}],"peer":{"peerId":"10.0.0.0"}},
{"aspath":{"string":"65200"},"metric":10,"locPrf":0,
 "community":{"list":["65200:7","gracefulShutdown","noExport"]},"largeCommunity":{"list":["1:2:3"]},
 "nexthops":[{"ip":"fd00:1::4"},{"ip":"fe80::1","used":true}],"peer":{"peerId":"10.0.0.4"}}]}"""


def test_bird_routes() -> None:
    first, second = bird_routes(BIRD)
    assert (first.by, first.best, first.next_hop, first.as_path) == ("ams_1", True, "10.0.0.2", (65200, 65200))
    assert (first.med, first.local_preference) == (10, 0)
    assert first.communities == {Community(65200, 1), GRACEFUL_SHUTDOWN}
    assert first.large_communities == {LargeCommunity(1, 2, 3)}
    assert (second.by, second.best, second.next_hop, second.med) == ("nyc", False, "fd00:1::5", None)
    assert second.communities == frozenset()


def test_no_route() -> None:
    assert bird_routes("BIRD 2.0.12 ready.\nNetwork not found\n") == ()
    assert frr_routes("{\n}\n") == ()


def test_bird_sessions() -> None:
    assert bird_session(BIRD_SESSION) == Session("established", "", 3)
    assert bird_session(BIRD_SESSION).established
    assert bird_session(BIRD_LOST) == Session("active", "Socket: Connection refused", 0)
    assert bird_session(BIRD_DISABLED) == Session("down", "", 0)


def test_frr_routes() -> None:
    first, second = frr_routes(FRR)
    assert (first.by, first.best, first.as_path, first.med) == ("10.0.0.0", True, (65101, 65200), None)
    assert (second.by, second.best, second.next_hop) == ("10.0.0.4", False, "fe80::1")
    assert second.communities == {Community(65200, 7), GRACEFUL_SHUTDOWN, NO_EXPORT}
    assert second.large_communities == {LargeCommunity(1, 2, 3)}
    assert second.local_preference == 0


def test_frr_sessions() -> None:
    up = '{"10.0.0.4":{"bgpState":"Established","bgpTimerHoldTimeMsecs":3000}}'
    assert frr_session(up) == Session("established", "", 3)
    lost = '{"10.0.0.4":{"bgpState":"Active","lastNotificationReason":"Cease/Administrative Shutdown"}}'
    assert frr_session(lost) == Session("active", "Cease/Administrative Shutdown", 0)
