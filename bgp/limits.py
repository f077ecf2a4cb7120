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
LINE_BYTES_MAX = 256 * 1024  # between daemon and child; 16 peers with 4 prefixes and all communities are 80 KiB
TEXT_CHARS_MAX = 500  # of a message between them: a sentence; a peer's shutdown communication has 255 bytes
OUTBOX_BYTES_MAX = 1024 * 1024  # that the child keeps for a daemon that does not read: some 10 s of a flapping peer
READ_BYTES = 64 * 1024  # that are taken from a socket at once
FIRST_LINE_TIMEOUT_S = 5.0  # until the daemon has said whom to speak to; it does so at once
CONNECTING_TICK_MS = 5  # the child looks at a connection that is being made; 1.4 % of a core while one is down
GOODBYE_TIMEOUT_S = 0.2  # for the child's last lines; the daemon kills it after two seconds
DEADMAN_GRACE_S = 0.5  # for a daemon's first beat after both were stopped; the child's loop turns each 0.1 s
CEASE_READ_BYTES_MAX = 8 * 1024 * 1024  # of a router's last words: more than Linux gives a socket for them (6 MiB)
REFRESH_S = 1.0  # between two times that a router is told everything again because it asks
DEADMAN_S_HIGHEST = 60.0  # a child that outlives its daemon for longer keeps a dead node's route
METADATA_BYTES_MAX = 1024 * 1024  # of a provider's answer; a machine with many addresses has 20 KiB
METADATA_TIMEOUT_S = 5.0  # for all of it; the service is one hop away
IP_TIMEOUT_S = 5.0  # of one run of ip(8), which takes milliseconds
IP_OUTPUT_BYTES_MAX = 4 * 1024 * 1024  # of one answer of ip(8): a full table is never asked for

# --- the child that speaks BGP, as its parent keeps it (bgp.speaker) ---

RESPAWN_S_MIN = 0.1  # until the first try: a child that was killed by hand is back before routers have turned away
RESPAWN_S_MAX = 5.0  # between two: a machine that cannot start it has time for something else
RESPAWN_RESET_S = 30.0  # a child that lasted so long has not failed at its start
RESPAWN_FAULT_COUNT = 5  # ends within RESPAWN_FAULT_S that may be chance; one more is a fault that somebody looks at
RESPAWN_FAULT_S = 60.0
BEAT_S = 0.4  # three and a bit fit into the deadman's 1.5 s: two may be late on a busy machine
READY_S_MAX = 60.0  # from the start of a child to its first word: 0.2 s, 5 s among hogs, 15 s in an emulated machine
ACK_S_MAX = 1.0  # for any answer; a living child gives it within 20 ms, and among eight hogs on two cores within 80
ACK_GRACE_S = 0.1  # more, from when the lateness is noticed: it may be us who were late, with the answer unread
QUERY_S = 0.5  # between two looks at the adj-rib-out, which also show that the child is not stopped; 0.1 % of a CPU
RIB_DIFFERENT_MAX = 2  # looks in a row that differ: the first sends the set again, the second begins sessions anew
SESSION_DOWN_S = 10.0  # a session that is down for so long is tried anew: ExaBGP's own delay grows to a minute
SESSION_RETRY_S = 10.0  # between two such tries
EXPLANATION_S = 300.0  # a NOTIFICATION says more than tries after it that are refused; BIRD refuses for up to so long
STOP_S_MAX = 2.0  # for a child that was asked to leave; the Cease takes it 20 ms
SPEAKER_LINE_BYTES_MAX = 1024  # of the child's stderr, in one log line
SPEAKER_LINES_MAX = 20  # of its stderr within SPEAKER_LINES_S; more are counted, not logged
SPEAKER_LINES_S = 1.0
NOTIFICATION_TEXT_CHARS_MAX = 255  # RFC 9003 2: what a router may say with a Cease

# --- why a session does not come up (bgp.reach) ---

REACH_CONNECT_S_MAX = 4.0  # of one try: Linux asks three times by ARP, for 3 s, before it says that nobody is there
REACH_GREETING_S_MAX = 0.5  # for a router's first word: it sends its OPEN at once, a round trip after ours

# --- gate ----------------------------------------------------------------------------------------------------

GATE_RISE = 3  # observations in a row: one good answer of a sick worker announces nothing
GATE_FALL = 3  # likewise: one lost probe withdraws nothing; at 100 ms between suspicious ones that is 0.3 s
GATE_WARM_S = 2.0  # from the first look to the first announcement: workers of one node do not start at one moment
GATE_PARTIAL_S = 15.0  # that a worker may be away before others are preferred: a busy machine has a new one in 5 s
GATE_DEGRADED_S = 10.0  # shortest stay as a last resort; each change is an UPDATE that travels far
GATE_DOWN_S = 10.0  # first withdrawal for bad health; doubles with each of late
GATE_DOWN_S_MAX = 600.0  # networks suppress a route that flaps for longer than this themselves (RIPE-580)
GATE_FLAP_DECAY_S = 3600.0  # after which a flap is forgotten
GATE_STALE_S = 3.0  # six rounds of probes: who is not looking does not know; twice that, and it is withdrawn
GATE_DRAIN_S_MAX = 300.0  # a drain whose author is gone ends by itself; longer than any that is configured

# --- drain ---------------------------------------------------------------------------------------------------

DRAIN_CLOSE_S = 2.0  # in which kept connections end between two requests, while routers still lead here
DRAIN_SHIFT_S = 2.0  # for paths to move before the route goes: measured, nothing is unreachable then
DRAIN_PROOF_S = 1.0  # for the withdrawal to be written to each session; later it is no use to wait
DRAIN_LINGER_S = 30.0  # for requests under way; who streams for longer is cut off
DRAIN_LINGER_S_LEAST = 5.0  # although nothing is open: routers far away send new connections until they know
DRAIN_LOOK_S = 0.1  # between two looks at what is open

# --- BFD -----------------------------------------------------------------------------------------------------

BFD_PACKET_BYTES_MAX = 512  # read of a datagram; a control packet has 24, with authentication up to 52
BFD_SLOW_TX_S = 1.0  # RFC 5880 6.8.3: at least one second between packets while the session is not up
BFD_SOURCE_PORT_FIRST = 49152  # RFC 5881 4, and unique to each session
BFD_SOURCE_PORT_LAST = 65535
BFD_SOURCE_PORT_TRIES = 32  # random ones until one is free; more taken ones in a row are no chance
BFD_OPEN_RETRY_S = 5.0  # an address that is not there yet, or a port that another program has
BFD_LEAVE_S = 1.0  # for routers to confirm that we went by intention; then we go without
