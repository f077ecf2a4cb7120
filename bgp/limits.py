"""Every limit and interval of bgp, with its unit and the reason for its value."""

from __future__ import annotations

PREFIX_COUNT_MAX = 4  # that one node announces: an anycast service has one or two, each of both families
PEER_COUNT_MAX = 16  # sessions of one node: two routers, two families, and some to spare
PREPEND_COUNT_MAX = 10  # times our AS more in a path; networks drop what is far longer
COMMUNITY_COUNT_MAX = 32  # of one announcement, of either kind
HOLD_S_LOWEST = 3  # RFC 4271 4.2: 0 or at least three seconds; 0 would never notice a silent death
HOLD_S_HIGHEST = 240
HOLD_S = 9  # a silent death without BFD is noticed after it; 3 flaps on a busy machine
PASSWORD_CHARS_MAX = 80  # what Linux takes as a key of TCP-MD5
