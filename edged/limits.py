"""Every limit, with its unit and the reason for its value.

Two kinds. Constants are the same for all apps. `GuestLimits` are defaults that the operator may override per app.
A test at the limit and one over it stands in tests/ for each.
"""

from __future__ import annotations

from dataclasses import dataclass

KiB = 1024
MiB = 1024 * KiB

# --- a request from a client (edged.http) ---

REQUEST_LINE_BYTES_MAX = 8 * KiB  # what nginx and most proxies in front of an app let through
HEADER_BYTES_MAX = 64 * KiB  # all header fields of one message, names and values
HEADER_COUNT_MAX = 128  # more is a hash-flooding attempt, not a browser
HEADER_TIMEOUT_S = 10.0  # from the first byte of a request to its blank line: slowloris ends here
IDLE_TIMEOUT_S = 75.0  # a kept-alive connection without a request; browsers keep theirs 60 to 115 s
BODY_TIMEOUT_S = 30.0  # between two pieces of a request body
WRITE_TIMEOUT_S = 30.0  # a client that takes nothing for this long is gone
CONNECTION_COUNT_MAX = 10_000  # per worker; a trio task with buffers is about 30 KiB
CONNECTION_OWN_COUNT = 64  # beyond those, for clients on this machine: the prober's, a few rounds of them
CONNECTION_PER_ADDRESS_MAX = 1_000  # one address may be a whole office behind NAT, but not the whole worker
REQUEST_PER_CONNECTION_MAX = 100_000  # then the connection is closed politely, so that load can move
READ_CHUNK_BYTES = 64 * KiB  # one recv; also how much of a body is read ahead of the guest
WRITE_BUFFER_BYTES = 64 * KiB  # response bytes gathered before they are sent to the socket
SHUTDOWN_GRACE_S = 10.0  # requests under way may finish for this long, then they are cut
AUTHORITY_BYTES_MAX = 261  # a Host header: a DNS name of 255, a colon, a port of 5
CHUNK_LINE_BYTES_MAX = 256  # a chunk's size and its extensions, which nobody sends but attackers
CHUNK_COUNT_PER_READ = 256  # chunks decoded before others run: one-byte chunks would hold the loop for ms
DRAIN_BYTES_MAX = 256 * KiB  # of a body its handler left unread, swallowed to keep the connection
DRAIN_TIMEOUT_S = 2.0  # and for how long
LINGER_BYTES_MAX = 1 * MiB  # taken from a client after our last byte, so that it reads our answer before a reset
LINGER_TIMEOUT_S = 2.0  # and for how long
SWEEP_INTERVAL_S = 0.25  # how late a header or idle timeout, or a client's reset, may be noticed
CLOSING_COUNT_PER_SWEEP = 1_000  # connections told at once that clients are to go elsewhere: each is 50 us of the loop
CLOSING_IDLE_S = 1.0  # what is told so, or has not asked yet, has this time for a request that is on its way
LISTEN_BACKLOG = 1024  # connections the kernel holds for us while the loop is busy
LISTEN_PORT_TRIES_MAX = 10  # --find-free-port: as many as Spin tries
ACCEPT_PAUSE_S = 0.1  # after an accept that failed for want of descriptors or memory
REFUSAL_COUNT_MAX = 128  # connections over the cap that still get a 503; more are closed unanswered
TLS_HANDSHAKE_TIMEOUT_S = 10.0
HTTP2_STREAM_COUNT_MAX = 100  # requests under way on one HTTP/2 connection; RFC 9113 advises no less
HTTP2_RESET_COUNT_MAX = 200  # streams a client may give up, beyond half of all: rapid reset (CVE-2023-44487) ends here
HTTP2_CHATTER_COUNT_MAX = 1_000  # pings, settings, resets and the like, beyond what requests and data explain
HTTP2_WINDOW_BYTES = 1 * MiB  # unread request bodies of one connection; a single stream has READ_CHUNK_BYTES
HTTP2_READ_BYTES = 16 * KiB  # one recv: frames may be 9 bytes, and each costs the loop 10 us
HTTP3_INBOX_COUNT_MAX = 256  # datagrams that wait for their connection's turn; QUIC sends dropped ones again
HTTP3_PACKETS_PER_TURN = 16  # datagrams taken before others run: each costs the loop 100 us
HTTP2_BACKLOG_BYTES_MAX = 1 * MiB  # answers to a client's control frames that it does not read

# --- another version on a machine (edged.upgrade) ---

UPGRADE_BINARY_BYTES_MAX = 512 * MiB  # the one file has 50 MiB; what is larger is not one
UPGRADE_CHUNK_BYTES = 1 * MiB  # read, hashed and written at once, in a thread
UPGRADE_CONNECT_TIMEOUT_S = 10.0  # to whoever serves it
UPGRADE_SILENCE_S_MAX = 30.0  # of whoever serves it: then it is asked no more
UPGRADE_FETCH_S_MAX = 900.0  # for all of it: 50 MiB at half a megabit a second
UPGRADE_REDIRECT_COUNT_MAX = 5  # of a download page to its mirror there are two
UPGRADE_TRIAL_S_MAX = 120.0  # for a new version to unpack itself on a slow disk, and to say which it is
UPGRADE_OUTPUT_BYTES_MAX = 64 * KiB  # of what a program that we start says; the rest ends it
UPGRADE_RESTART_S_MAX = (
    900.0  # of `systemctl restart`: a drain may take DRAIN_SHIFT_S_HIGHEST and DRAIN_LINGER_S_HIGHEST
)
UPGRADE_SYSTEMCTL_S_MAX = 30.0  # of its questions
UPGRADE_WATCH_S = 180.0  # until a node is as before: hold-down is 10 s, a router may take a minute to connect again
UPGRADE_LOOK_INTERVAL_S = 0.5  # how often it is looked whether it is
UPGRADE_LOOK_S_MAX = 5.0  # for one answer of the admin API
UPGRADE_STATUS_BYTES_MAX = 64 * MiB  # of an answer: a fleet of 100 nodes and 1 000 apps has 30 MiB
UPGRADE_RESTART_COUNT_MAX = 3  # starts by systemd after ours that end at once: it will not come up
UPGRADE_RECORD_BYTES_MAX = 4 * MiB  # what a node served, with 1 000 apps: 100 KiB

# --- links between the parties of a fleet (edged.fleet) ---

FRAME_BYTES_MAX = 1 * MiB + 64 * KiB  # a chunk of 1 MiB that zstd could not shrink, and what stands around it
FRAME_ANYONE_BYTES_MAX = 64 * KiB  # a frame of a party without a certificate: a voucher and a new certificate are 4 KiB
FRAME_ANYONE_ITEM_COUNT_MAX = 64  # values of such a frame: joining takes three
FRAME_DEPTH_MAX = 12  # maps and arrays inside each other; `status` has 7
FRAME_INLINE_VALUE_COUNT_MAX = 2_048  # decoded on the loop in 1 ms; what may hold more is decoded in a thread
FRAME_ITEM_COUNT_MAX = 200_000  # values of one frame: an empty array takes one byte here and 56 in memory
LINK_READ_BYTES = 64 * KiB  # one receive, and one send
LINK_HANDSHAKE_TIMEOUT_S = 10.0  # TCP, TLS and both hellos: four round trips of 250 ms are one second
LINK_WRITE_TIMEOUT_S = 30.0  # a peer that takes less than LINK_READ_BYTES in this time is cut
LINK_PING_INTERVAL_S = 10.0  # how often the round trip is measured, and how fast silence is noticed
LINK_SILENCE_S_MAX = 30.0  # three pings without any answer: the peer is gone, or the way to it
LINK_OUTBOX_BYTES_MAX = 4 * MiB  # frames that wait to be sent; whoever has more to send waits
LINK_REQUESTS_OPEN_MAX = 32  # each way on one link: so many chunks at once are 16 MiB/s over 250 ms
LINK_CALL_TIMEOUT_S = 30.0  # an answer to a call that names no time of its own
LINK_COUNT_MAX = 512  # links into one node: 100 nodes, and publishers
LINK_PER_ADDRESS_MAX = 64  # of one IPv4 address or IPv6 /64: a lab of nodes, or an office of publishers
LINK_PER_PEER_MAX = 16  # of one certificate: a node needs one, a build server one for each push
LINK_ANYONE_COUNT_MAX = 16  # without a certificate, at once: new nodes; each makes one call
LINK_ANYONE_S_MAX = 60.0  # and for how long: one call, whose answer may be a megabyte
LINK_ANYONE_BYTES_MAX = 128 * KiB  # in all that such a party sends: a hello, a call, some pings
JOIN_THREAD_COUNT_MAX = 1  # who may join is decided one after another: strangers keep nobody else waiting
SYNC_THREAD_COUNT_MAX = 4  # comparisons of records answered at once for all nodes, so that publishers have their turn
STREAM_WINDOW = 64  # items of a stream that are under way unasked; more when the reader has taken some
STREAM_ITEM_BYTES_MAX = 64 * KiB  # one item: a log line has 4 KiB. With the window: 4 MiB for one stream
LINK_KEPT_MAX = 100  # nodes of a fleet in which each keeps a link to all others; each node has 198 links then
LINK_CHOSEN_COUNT = 32  # links that a node keeps in a larger one: a thousand nodes are three hops from each other
LINK_NEAR_COUNT = 8  # of them, to the nearest: releases are fetched from three at once
LINK_TURN_S = 60.0  # until one of the others is given up for another, with jitter: each lasts some 20 minutes
RECONNECT_S_LOWEST = 0.5  # first pause after a link broke, doubled each time, with jitter
RECONNECT_RESET_S = 10.0  # a link that lasted as long was no refusal, nor was it a peer that plays: pauses begin anew
RECONNECT_S_HIGHEST = 60.0  # and the longest: an hour's outage ends a minute after its cause does
REMOTE_TEXT_CHARS_MAX = 2_000  # message or remedy of an error from the other end

# --- what parties of a fleet tell each other (edged.fleet) ---

SPREAD_PEER_COUNT = 3  # peers that a new record is offered to at once: reaches 100 nodes in five hops
SPREAD_QUEUE_MAX = 1_000  # new records that wait to be offered; anti-entropy brings the rest
SYNC_INTERVAL_S_LOWEST = 5.0  # between two comparisons with a random peer, with jitter
SYNC_INTERVAL_S_HIGHEST = 15.0
SYNC_ROUND_COUNT_MAX = 64  # messages of one comparison: 200 apps that differ in all take about 10
REPORT_INTERVAL_S_LOWEST = 2.0  # between two exchanges of reports
REPORT_INTERVAL_S_HIGHEST = 5.0
REPORT_UP_S = 15.0  # heard of within: three exchanges may be lost
REPORT_DIRECT_S = (
    5.0  # for which a node's own word keeps others' out: a third of REPORT_UP_S, so that nobody seems silent
)
REPORT_STALE_BEATS = 60  # a report that says nothing new is sent on when the one over there is so much older: a minute
REPORT_INCARNATION_STEP_MAX = 2**32  # s, 136 years: from any clock to any other. Hearsay that is more is a lie
REPORT_NEWS_S = 10.0  # for which news are told to everybody who is asked, as well as to everybody who asks
BEATS_PEER_COUNT = 2  # peers that beats are exchanged with at once: of 500 nodes hardly one ever seems silent by chance
REPORT_COUNT_MAX = 1_000  # nodes in one message, or on the board
REPORTS_BYTES_MAX = 1 * MiB  # all reports of one message: 25 nodes with 200 apps each; others say the rest
REPORT_APP_COUNT_MAX = 1_000  # apps in one report
REPORT_ALARM_COUNT_MAX = 100  # alarms in one report
REPORT_ANYCAST_ALARM_COUNT_MAX = 32  # of announcing, in one report: one for each prefix and peer, and some more
REPORT_TEXT_CHARS_MAX = 500  # a message of an error or an alarm in a report
RECORDS_PER_MESSAGE_MAX = 256  # records or names of records in one message; FRAME_BYTES_MAX holds too
CHUNKS_PER_MESSAGE_MAX = 10_000  # digests in one question: 72 bytes each; 1.2 GB of chunks of the usual size
UPLOAD_LEASE_S = 3_600.0  # what an upload has brought is kept so long for its release to come
UPLOAD_BYTES_MAX = 1024 * MiB  # of one key, in blocks of the disk, uploaded and not yet of what a record names
UPLOAD_LEASES_PER_KEY_MAX = 8  # uploads of one key at once
UPLOAD_RELEASE_COUNT_MAX = 64  # of one key that no record names: pushes that failed today; the store has 10 000 for all
UPLOAD_CHUNK_COUNT_MAX = 65_536  # announced in one upload: as many as a lease of the chunk store takes
SERVABLE_UPLOAD_COUNT_MAX = 64  # releases that were uploaded and no record names: pushes under way
SERVE_THREAD_COUNT_MAX = 4  # chunks read and verified at once for all peers: other threads are for others

# --- records of the fleet (edged.fleet) ---

RECORD_BYTES_MAX = 512 * KiB  # one signed record: two fit into a frame; a roster has 600 bytes for a node
RECORD_COUNT_MAX = 10_000  # apps and admissions of one fleet, removed apps included: 60 MB of heads at the very most
RECORD_HISTORY_COUNT_MAX = 50  # versions of a record kept on disk: to go back to, and to look up who did what
RECORD_ALARM_COUNT_MAX = 100  # alarms about records at once; the oldest goes
RECORD_REFUSED_COUNT_MAX = 10_000  # digests of refused records, so that peers are not asked for them again
SEQUENCE_JUMP_MAX = 1_000_000  # ahead of what is known: a stolen key cannot use up all numbers
EPOCH_MAX = 1_000_000  # a root key counts these by hand
REGION_COUNT_MAX = 256
NODE_COUNT_MAX = 500  # of one roster: what RECORD_BYTES_MAX has room for, with certificates
KEY_COUNT_MAX = 200  # likewise, publishers' and operators'
ROOT_KEY_COUNT_MAX = 8  # people who hold one; a roster may have to be signed by old and new ones, 16 in all
REVOKED_COUNT_MAX = 1_000  # keys; 64 bytes each
FLOOR_COUNT_MAX = 1_000  # apps with a lowest number
REMOVAL_COUNT_MAX = RECORD_COUNT_MAX  # apps that one publisher removes together: all that there can be
REMOVAL_WINDOW_S = 60.0  # removals of one signer that count together: a script that loops takes seconds for each app
PREFIX_COUNT_MAX = 64  # anycast prefixes
KEY_APP_COUNT_MAX = 64  # globs of apps of one key
HOST_COUNT_MAX = 64  # host names of one app
DEPLOYMENT_LIMIT_COUNT_MAX = 64  # limits of one app: more than there are
DEPLOYMENT_VARIABLES_BYTES_MAX = 256 * KiB  # names and values of one record, which has RECORD_BYTES_MAX in all
MESSAGE_BYTES_MAX = 1 * KiB  # of a deployment, as of a commit
VOUCHER_S_MAX = 7 * 86_400  # a voucher is for a machine that is being installed
VOUCHER_BYTES_MAX = 16 * KiB  # with a few seeds, whose certificates have 400 bytes; it travels in user-data of 16 KiB
MEMBERSHIP_ASK_S = 20.0  # a node whose links are not all open asks a peer so often, with jitter: was it removed?
CHECKPOINT_S_MAX = 30 * 86_400  # a checkpoint that lasts longer would not notice a freeze in time
CHECKPOINT_GRACE_S = 300.0  # until what a checkpoint names has to be here: 20 comparisons with peers
CHECKPOINT_LOOK_S = 30.0  # between two looks at the newest checkpoint
BACKUP_BYTES_MAX = 256 * MiB  # of a backup, unpacked: four keys' worth of apps; it is in memory three times
BACKUP_WINDOW_BYTES_MAX = 8 * MiB  # what zstd may keep to unpack one
BACKUP_FETCHES_MAX = 4  # chunks asked for at once, for a backup: it has time, and pushes go on
BACKUP_ROSTER_COUNT_MAX = 1_000  # rosters of one fleet, those that lead to the newest
LEDGER_VOUCHER_COUNT_MAX = 2_000  # vouchers that a node remembers as used, for as long as they could be used again
LEDGER_ALARM_COUNT_MAX = 32  # vouchers that came with a second key, remembered over restarts
LEDGER_SIGNER_COUNT_MAX = 1_000  # keys whose last deployment others have replaced; a roster has 200 keys
LEDGER_BYTES_MAX = 1 * MiB  # of the file with these: 160 bytes for a voucher, 8 KiB for an alarm, 80 bytes for a key
RECORDS_PER_SIGNER_MAX = 2_000  # apps of one key, or admissions of one node: the rest is for the others
RECORD_BYTES_PER_SIGNER_MAX = 64 * MiB  # and their newest versions together, which are in memory
VOUCHER_SEED_COUNT_MAX = 8  # nodes that a new one may ask
CERTIFICATE_BYTES_MAX = 4 * KiB  # of one party; ours have 400
CERTIFICATE_CACHE_COUNT = 2_048  # whose signature was looked at and found good; 8 MiB at most, 1 MiB of our own
CERTIFICATE_DAYS = 365  # of a new certificate, where nothing else is said
FLEET_TOML_BYTES_MAX = 1 * MiB  # written by people
PASSPHRASE_BYTES_MAX = 1 * KiB
SYNC_BUCKET_COUNT = 256  # second level of a comparison: 200 apps lie alone in most of them
SYNC_HEAD_COUNT_MAX = 4_000  # heads of one answer: 150 bytes each, in one frame
SYNC_RECORD_BYTES_MAX = 512 * KiB  # records of one message; together with a last one of RECORD_BYTES_MAX, a frame

# --- bringing a release here (edged.fleet.fetch) ---

FETCH_RATE_BYTES_S_LOWEST = 1 * MiB  # an operator's limit; chunks come whole, and a peer that stalls is left
FETCH_RATE_BYTES_S_HIGHEST = 100 * 1024 * MiB
FETCH_CALL_TIMEOUT_S = 300.0  # one chunk, behind a whole window of others; a stalled source is given up far sooner
FETCH_LEASE_S = 3_600.0  # what is here of a release stays so long for the rest to come; taken anew at each attempt
FETCH_STORE_COUNT_MAX = 4  # chunks decompressed and written at once

# --- a component, before it runs (edged.wasm) ---

COMPONENT_BYTES_MAX = 64 * MiB  # a Spin Python SDK app has 37 MB; compile time and memory grow with it
COMPILE_MEMORY_BYTES_MAX = 4096 * MiB  # RLIMIT_AS of the compile child; 37 MB of wasm need 1.3 GB
COMPILE_CPU_S_MAX = 120  # RLIMIT_CPU; 37 MB take 10 s on one slow core
CACHE_BYTES_MAX = 4096 * MiB  # compiled artefacts on disk; the ones longest unused go first
INTERFACE_ITEM_COUNT_MAX = 1_000  # imports, or functions and types of one interface; wasi:http/types has a hundred
INTERFACE_TYPE_COUNT_MAX = 20_000  # of all interfaces: the loop waits 10 us for each. Python guests have 5 600
COMPONENT_NAME_BYTES_MAX = 100_000  # one name inside of it, as wasmtime has it; mangled C++ symbols have thousands
CORE_ITEM_COUNT_MAX = 1_000_000  # types, functions, imports, exports of one core module, as wasmtime has it
COMPONENT_ITEM_COUNT_MAX = 200_000  # definitions, types, fields, names: read in 1 us each. Python guests have 13 000
COMPONENT_SKELETON_BYTES_MAX = (
    4 * MiB
)  # all but code and data: read in 1 us a byte at every load. Python guests have 0.6
COMPONENT_DEPTH_MAX = 32  # components and types inside each other; SDKs nest four
COMPONENT_ELABORATION_COUNT_MAX = 200_000  # definitions followed, those of a nested component each time: 5 us each
COMPONENT_INSTANCE_COUNT_MAX = 1_000  # component instances; a hundred composed apps make a few hundred
COMPONENT_STEP_COUNT_MAX = 1_000  # core instances: each has its module compiled for it. Python guests have 14
COMPONENT_TRAMPOLINE_COUNT_MAX = 10_000  # core functions of ours, each a C callback; Python guests have 1 000
COMPONENT_TYPE_NODE_COUNT_MAX = 10_000  # of one type, written out; the largest of WASI, an http error code, has 70
COMPONENT_TYPE_USE_COUNT_MAX = 200_000  # of all functions imported, lifted and lowered; Python guests have 27 000
COMPONENT_TYPE_DEPTH_MAX = 64  # types inside each other; codecs take two Python frames for each
COMPONENT_TYPE_BYTES_MAX = 1 * MiB  # of one value in memory, what it points to not counted: lists of fixed length
COMPONENT_TRAMPOLINE_DEPTH_MAX = 8  # functions lowered, lifted and lowered again without a core module between them
FLAGS_COUNT_MAX = 32  # of one flags type, as the canonical ABI has it: they are one i32
COMPILE_TIMEOUT_S = 180.0  # wall time, should the child hang instead of computing

# --- an engine, per worker (edged.wasm) ---

EPOCH_TICK_S = 0.001  # a busy guest yields to the loop after one to two ticks
PASS_GUEST_S_MAX = 0.005  # of guests in one pass of the loop: then requests queue to begin, and those under way go on
PASS_START_COUNT_MAX = 64  # requests of that queue that begin in one pass, where they are small
STACK_WASM_BYTES_MAX = 512 * KiB  # wasmtime's own default: deep recursion traps here
STACK_ASYNC_BYTES = 2 * MiB  # a guest's fiber; host callbacks run Python on it above the wasm stack
NESTED_CALL_S_MAX = 0.25  # a guest's allocator or destructor, which cannot give way: 64 MiB are zeroed in 20 ms
ALLOCATIONS_S_MAX = 1.0  # all that a guest allocates without giving way, likewise; 200 000 strings take as long
CALL_DEPTH_MAX = 32  # calls between a component's guests inside each other: each is ten frames of Python's 1 000
FIBER_COUNT_MAX = 128  # calls of one instance that wait on stacks of their own
FIBER_OWN_COUNT = 1  # of them that any instance may have: a worker has 2 000 stacks, and a thousand instances
FIBER_SPARE_COUNT_MAX = 900  # of the others, of all instances of a worker together: no app takes the last stack
HOST_CALLS_HELD_MAX = 32  # host calls of one request with values of any size, at once: the others wait to be begun
HOST_CALLS_HELD_BYTES_MAX = 64 * MiB  # of their arguments, past which the others wait, too
CANCEL_GRACE_S = 1.0  # for a guest that is told that nobody wants its answer, to clean up behind itself
INSTANCE_IDLE_S = 10.0  # an instance that may serve more requests waits so long for the next one
STREAM_READ_BYTES_MAX = 64 * 1024  # asked of a host's stream at once, whatever the guest has room for
STREAM_READ_COUNT_MAX = 1_024  # the same of a stream of other values than bytes: one costs the loop 3 us

# --- the admin API (edged.admin) ---

ADMIN_GRACE_S = 1.0  # answers under way when a node stops; all of them are short

# --- a manifest and what it names (edged.manifest) ---

MANIFEST_BYTES_MAX = 256 * KiB  # the largest in public use are some 20 KiB
MANIFEST_DEPTH_MAX = 32  # tables and arrays inside each other; a real one has 6
MANIFEST_DOTS_PER_LINE_MAX = 1_000  # tomllib takes quadratic time over a dotted key: this many cost it 13 ms
MANIFEST_PROBLEM_COUNT_MAX = 20  # a screenful; after these the rest are often consequences
MANIFEST_SHOWN_CHARS_MAX = 120  # of a key or value in a message; longer ones are cut
MANIFEST_GUESS_COUNT_MAX = 200  # known names that an unknown one is compared with: milliseconds each time
MOUNT_FILE_COUNT_MAX = 50_000  # files of one component; a glob that swallows node_modules ends here
MOUNT_ENTRY_COUNT_MAX = 500_000  # files and folders looked at for them: twice a large node_modules
SOURCE_TIMEOUT_S = 300.0  # a whole component download; 64 MiB at 2 Mbit/s
SOURCE_READ_TIMEOUT_S = 30.0  # between two pieces of it, and for the connection
SOURCE_REDIRECT_COUNT_MAX = 5  # a release page needs two

# --- an app as a release (edged.bundle) ---

LOCK_BYTES_MAX = 4 * MiB  # the names of 50 000 files; decoded, a byte is at most 60, so a worker is never out of memory
PLACEMENT_HOST_COUNT_MAX = 100  # hosts of one app: more belong behind a wildcard
PLACEMENT_REGION_COUNT_MAX = 100  # of one app; the largest clouds have 40
HOST_NAME_CHARS_MAX = 253  # RFC 1035 2.3.4, without the final dot
HOST_LABEL_CHARS_MAX = 63  # likewise
OCI_PASSWORD_BYTES_MAX = 16 * KiB  # --password-file: a token may be long, a wrong file is longer
PROBE_CHARS_MAX = 1_024  # a path that answers whether the app is well

# --- a runtime config and what it names (edged.runtime_config, edged.variables_provider) ---

RUNTIME_CONFIG_BYTES_MAX = 256 * KiB  # as a manifest
RUNTIME_CONFIG_CONNECTIONS_HIGHEST = 1_000_000  # of one kind, as an operator may write it; edged's own limits hold too
CLIENT_TLS_FILE_BYTES_MAX = 4 * MiB  # a PEM file of certificates or a key; the system's whole bundle has 0.2 MiB
DOTENV_BYTES_MAX = 1 * MiB  # a file of variables; as --variable @FILE
VAULT_TIMEOUT_S = 15.0  # all variables of one load; a load waits for them
VAULT_RESPONSE_BYTES_MAX = 1 * MiB  # one secret with what describes it; Vault itself keeps no larger ones
VAULT_REQUEST_COUNT_MAX = 8  # requests at once to one server
SQL_FILE_BYTES_MAX = 16 * MiB  # --sqlite @FILE: a schema and what to begin with, not a dump

# --- a folder under development (edged.up) ---

WATCH_ENTRY_COUNT_MAX = 50_000  # files and folders looked at for changes: a look takes a third of a second then
WATCH_HASH_BYTES_MAX = 1 * MiB  # larger files count as changed when they were written, whatever with
WATCH_QUIET_S = 0.1  # a tool that writes a file pauses for less
WATCH_GATHER_S = 1.6  # and this long at most until changes are looked at all the same
BUILD_KILL_S = 2.0  # between asking a build to end and ending it
SHOWN_PATHS_MAX = 5  # changed files that a message names
VARIABLE_FILE_BYTES_MAX = 1 * MiB  # --variable @FILE

# --- connections of guests to the outside (edged.host.network) ---

DIAL_TIMEOUT_S = 10.0  # name and connection together, where the guest names no time of its own
DIAL_ADDRESS_COUNT_MAX = 4  # of a name: more would be a long wait for whatever is wrong with the first ones
REFUSALS_LOGGED_MAX = 100  # destinations of one app; a guest that scans ports does not fill the log
CHAIN_DEPTH_MAX = 16  # components that call each other in turn: more is a circle
CHAIN_WAIT_S_MAX = 1.0  # for an instance, inside of a chain: callers that hold what each other waits for end here
CHAIN_CALLS_OPEN_MAX = 128  # calls of components by each other, at once and in all, that one request has led to
RESOLVE_THREAD_COUNT_MAX = 8  # names of one app looked up at once, each in a thread: slow DNS holds up this app only
PORTS_REFUSED = frozenset({22, 25, 179})  # logins, mail and BGP: what a stolen guest would be used for

# --- outbound HTTP (edged.host.http_client) ---

HTTP_CLIENT_CONNECTION_COUNT_MAX = 1_000  # of one app in one worker, as many as it has instances
HTTP_CLIENT_CONNECTION_PER_ORIGIN_MAX = 512  # to one scheme, host, port and TLS: what stolen guests could flood it with
HTTP_CLIENT_QUEUE_MAX = 1_000  # requests of one app that wait for a connection; each holds a request of ours
HTTP_CLIENT_IDLE_COUNT_MAX = 64  # connections of one app kept without a request: a file descriptor each
HTTP_CLIENT_IDLE_S = 60.0  # and for how long: most servers close theirs after 60 to 75 s
HTTP_CLIENT_REQUESTS_OPEN_MAX = 128  # of one guest's request, each with up to BODY_WRITE_BYTES_MAX of its body
HTTP_CLIENT_CONNECT_S_MAX = 30.0  # queue, name, connection and TLS, where the guest names no shorter time
HTTP_CLIENT_FIRST_BYTE_S_MAX = 600.0  # until the response's head: Spin's own number; the guest's wall time is less
HTTP_CLIENT_BETWEEN_BYTES_S_MAX = 600.0  # likewise
HTTP_CLIENT_TARGET_BYTES_MAX = 64 * KiB  # path and query: hyper's number, and with it Spin's
HTTP_CLIENT_CHUNKS_AT_CLOSE = 8  # looked at for the end of a body that is let go of, or its connection is closed
HTTP_CLIENT_INTERIM_COUNT_MAX = 16  # 1xx before a response; a server has use for one or two

# --- the redis trigger (edged.triggers) ---

REDIS_TRIGGER_CALLS_MAX = 32  # of one server at once; then its messages wait in the socket, and later in the server
REDIS_TRIGGER_PING_S = 30.0  # of silence until the server is asked whether it is there, and how long it may take
REDIS_TRIGGER_BACKOFF_S_MIN = 0.5  # until a lost server is tried again, twice as long each time
REDIS_TRIGGER_BACKOFF_S_MAX = 30.0  # and no longer; a connection that lasted as long begins anew

# --- the cron trigger (edged.triggers) ---

CRON_EXPRESSION_CHARS_MAX = 1_024  # every second of a minute, written as a list, is 169
CRON_CLOCK_CHECK_S = 5.0  # between two looks at the wall clock: how late a tick is when the clock was set forward
CRON_GRACE_S = 60.0  # how old a missed tick may be and still run, of all that were missed the last

# --- triggers with a scope (edged.fleet.scope, edged.node.scopes) ---

SCOPE_TAKEOVER_S = 30.0  # age of a tick that nobody says is done, until the next node calls it: reports take ten or so
SCOPE_SETTLE_S = 10.0  # a trigger is here before its ticks are called: until others are heard of, and they of us
SCOPE_LISTEN_S = 10.0  # the node before us does not say that it listens, until we do: two or three reports
SCOPE_RANK_MAX = 4  # nodes that one waits for; those that come later call a tick when all four were up and did not
SCOPE_LATE_S_MAX = 300.0  # age of a tick that is still called; twice what the last of them waits, and then some
SCOPE_SKEW_S_MAX = 60.0  # how far another node's clock may be ahead, and what it says is done still counts
SCOPE_LOOK_S = 1.0  # between two looks at what other nodes say
SCOPE_ORDER_S = 5.0  # until a worker has begun a call that it was told to make; then it is told again
SCOPE_TRIGGER_COUNT_MAX = 256  # triggers in one report: 20 KiB. One more is called by each node, as with no scope
SCOPE_APP_COUNT_MAX = 64  # scopes in one manifest

# --- workers and other children (edged.worker, edged.node) ---

CONTROL_FRAME_BYTES_MAX = 32 * MiB  # a table: a thousand sites with 16 KiB of variables each; reports are smaller
TABLE_SITES_BYTES_MAX = 24 * MiB  # of it for sites; those that find no room, the largest, are not loaded
CONTROL_GONE_S_MAX = 5.0  # a worker that has closed its control connection and does not end by then is killed
CONTROL_READ_BYTES = 64 * KiB  # one recv of a control connection
REPORT_INTERVAL_S = 1.0  # between a worker's reports when nothing changes
REPORT_GATHER_S = 0.05  # changes of a worker that are told together
LOOP_STALL_S = 15.0  # a loop that stood still so long ends its process; less than systemd's 30 s, which name no culprit
LOOP_BEAT_S = 1.0  # between two times that the loop puts that off
REPORT_SILENCE_S_MAX = 30.0  # a worker that reports nothing for so long hangs, and is killed
WORKER_START_S_MAX = 60.0  # before its first report. To begin anew makes a busy machine busier, and starts none sooner
CLOSED_RESOLVE_INTERVAL_S = 300.0  # until names of nodes, which guests must not reach, are looked up again
CLOSED_RESOLVE_S_MAX = 5.0  # for all of them; a start waits for it
WORKERS_SILENCE_S_MAX = 90.0  # all workers together: each was killed and started again, in vain
LOOP_LAG_S_MAX = 5.0  # of the supervisor: peers and workers give up on a node that is as late several times
HEALTH_LOOK_S = 1.0  # between two looks at that
LOG_LINES_S_MAX = 1_000  # of one app on one node; more are dropped, and one line a second says how many
LOG_DROPPED_INTERVAL_S = 1.0  # between two such lines
LOG_LINES_BURST_MAX = 5_000  # at once, after a time with fewer
PROBE_TIMEOUT_S = 10.0  # a candidate's answer, all of it
SITE_LOAD_S_MAX = 300.0  # of one app, all its components compiled and probed; the other apps wait for it
SITE_RETRY_S = 30.0  # until a site that should be served and cannot be loaded is tried again
WARM_S_MAX = 5.0  # a started worker accepts then at the latest, loaded or not: what it has is served
LOAD_CRASH_COUNT_MAX = 2  # workers that may die while they load a site; then it is loaded no more
CHILD_BACKOFF_S_MIN = 0.1  # until a child that ended is started again, twice as long each time
CHILD_BACKOFF_S_MAX = 10.0  # and no longer
CHILD_BACKOFF_RESET_S = 30.0  # a child that lasted as long begins anew
CHILD_LINE_BYTES_MAX = 64 * KiB  # of a child's stderr; a longer line is cut into several
CHILD_STOP_S_MAX = 2 * SHUTDOWN_GRACE_S + 2.0  # from SIGTERM to SIGKILL: requests, then other triggers, have theirs
CHILD_STDERR_S_MAX = 1.0  # for what a child that has ended said last; its own children may hold its stderr open
SOCKETS_WAIT_S_MAX = 2.0  # connections wait so long for a worker that died, or are refused and try another
LOG_TAIL_LINE_COUNT = 1_000  # kept for each app: some screens, 4 MiB at most
LOG_TAIL_CHARS_MAX = 64 * MiB  # of all apps together; the lines of those longest silent go
LOG_TAIL_APP_COUNT_MAX = 1_000  # apps that lines are kept for; the one longest silent goes
LOG_TAIL_SUBSCRIBER_COUNT_MAX = 100  # `edged logs -f` at once
LOG_TAIL_QUEUE_COUNT_MAX = 1_000  # lines that wait for one of them; more are counted and dropped

# --- anycast: asking each worker, and leaving (edged.anycast) ---

CANARY_INTERVAL_S = 0.5  # between two rounds of requests to all workers
CANARY_FAST_INTERVAL_S = 0.1  # likewise, while an answer is missing
CANARY_TIMEOUT_S = 0.5  # of one request; an idle worker answers in 3 ms, one full of guests that compute in 30
CANARY_ANSWER_BYTES_MAX = 16 * KiB  # all that is read of one
CANARY_PORTS_PER_WORKER = 3  # source ports that lead to a worker: so many requests to it may wait at once
CANARY_SEARCH_PER_WORKER = 7  # connections of a search: chance sends 3 to each of 32 workers in 99 of 100 searches
CANARY_SEARCH_EXTRA_COUNT = 24  # and these: of two workers, one that hangs has half of them
CANARY_SEARCH_S_MAX = 0.25  # of a search: half of a request's time; some of its connections may go to one that hangs
CANARY_SEARCH_TASK_COUNT = 16  # connections at once of a search for such ports
CANARY_RETRY_S = 2.0  # until a canary that could not be loaded is tried again: its worker counts as broken meanwhile
CANARY_LAG_S_MAX = 0.2  # of our own loop; what was not answered meanwhile says nothing about workers
CANARY_SILENT_COUNT = 3  # requests in a row without an answer, after which a worker may be taken for hung
HUNG_S_MAX = 1.0  # without an answer, where another worker answers: this one is cut off and killed
HUNG_ALONE_S_MAX = 3.0  # where none does: it may be the machine, and all of them at once are no small loss
HUNG_NEW_S_MAX = 15.0  # where none does and this one never has: on a slow machine it would never come so far
REPORT_CLOSING_INTERVAL_S = 0.1  # between a worker's reports while clients are to go: somebody waits for the last one

# --- anycast: what is announced, and when (edged.anycast) ---

SPEAKER_DEADMAN_S = 1.5  # without a word of the daemon, the speaker's child takes leave: what a hung loop costs at most
DRAIN_SHIFT_S_HIGHEST = 60.0  # routers have turned away after two; longer only keeps who waits for it
DRAIN_LINGER_S_HIGHEST = 600.0  # systemd and whoever types the command wait for it
ANYCAST_PREPEND_COUNT = 4  # longer than any detour between regions; networks drop what is far longer
ANYCAST_LAG_S_MAX = 1.0  # a loop that comes this late has answered nobody in the meantime
ANYCAST_APPLIED_S_MAX = 30.0  # an app that will not load keeps no node from announcing what it serves for longer
ANYCAST_DISK_LOOK_S = 1.0  # between looks at the disk: a full one harms slowly
ANYCAST_DISK_FREE_BYTES_MIN = 64 * MiB  # below, apps cannot write; the node serves, as the last resort
ANYCAST_DRAINED_WRITE_S_MAX = (
    2.0  # for a line on disk that says a node is drained; one that hangs keeps no drain waiting
)
DRAIN_WATCH_S = 0.2  # between two looks at how many connections are left, for whoever watches a node leave
DRAIN_EXTEND_S = 15.0  # that systemd is asked for more, three times as often as that, while a node leaves
ANYCAST_METADATA_RETRY_S = 10.0  # a provider's service that is away at boot is back within minutes
ANYCAST_METADATA_AGAIN_S = 60.0  # while a session is down, until the provider is asked whether it is another by now
ANYCAST_ROUTE_LOOK_S = 4.0  # a route that somebody took away is back within half a hold time, and no session is lost
ANYCAST_ROSTER_RETRY_S = 2.0  # until rosters that the disk did not give are read again
ANYCAST_ROSTER_SPREAD_S = 20.0  # sessions begin anew for a new prefix: not in all regions in one second
ANYCAST_REACH_LOOK_S = 5.0  # that a session is down before it is asked why; a router that restarts is back sooner
ANYCAST_REACH_INTERVAL_S = 60.0  # between two such questions, which routers see
PASSWORD_FILE_BYTES_MAX = 256  # a key of TCP-MD5 has 80 characters; a line end may follow
BGP_ADDRESS_COUNT_MAX = 16  # each is asked for at each probe

# --- a release on its way to be served, on one node (edged.fleet.rollout, edged.node) ---

ROLLOUT_WATCH_S = 30.0  # after a swap, the old release stays prepared: what is wrong at once shows within this
ROLLOUT_CRASH_COUNT_MAX = 2  # worker processes that end under a new release until it is taken back: one may be chance
ROLLOUT_FAILURE_COUNT_MAX = 5  # requests that a new release fails, if they are most of all, until it is taken back
ROLLOUT_RETRY_S_MIN = 1.0  # until what failed for a passing reason is tried again, twice as long each time
ROLLOUT_RETRY_S_MAX = 60.0  # and no longer: a peer that is back should not wait for minutes

ROLLOUT_FILE_BYTES_MAX = 2 * MiB  # of an app's rollout on disk: two deployments and why a third was refused
WAVE_SOAK_S = 10  # a wave serves a release for so long until the next goes: what is wrong at once shows within this
WAVE_SOAK_S_MAX = 7 * 86_400  # a release that waits for longer is forgotten by whoever pushed it
WAVE_SILENCE_S = 120.0  # until a region that is not heard of is passed over: a node restarts within this
ROLLOUT_TASK_COUNT_MAX = 4  # fetches and checkouts of all apps at once: more would only share the same disk and links
POOL_LOOK_INTERVAL_S = 1.0  # how late it is seen that a new release fails its requests
START_CHECK_OUT_S_MAX = 30.0  # of a start: until then workers wait to be told of all that is on disk at once
RELEASE_KEPT_COUNT = 5  # deployments of an app, besides what runs, whose releases a node keeps for a rollback
RELEASE_GRACE_S = 24 * 3600.0  # since nothing names a release: an upload whose deployment is to come, a slow peer
COLLECT_INTERVAL_S = 3600.0  # between two looks for releases and files that nothing needs
SCRUB_PAUSE_S = 600.0  # between two rounds of the scrubber, so that a small store is not read all the time
SCRUB_INTERVAL_S = 0.25  # between two chunks that are read to see whether they are whole: 50 GB a day

REPORT_RATE_WINDOW_S = 60.0  # that requests a second and latencies of a node's report speak of
REPORT_RATE_SAMPLE_COUNT_MAX = 64  # looks at the counts in that time
CATCH_UP_LOOK_S = 0.1  # how often a node that has just started looks whether a peer can be asked
REPORT_AGE_S_MAX = 0.2  # how old a node's report may be when a peer asks: each takes a look at all sites of all workers
REPORT_REFRESH_S = 2.0  # between two of them
WATCH_LOOK_INTERVAL_S = 0.25  # how often a `watch` looks for news: as often as an eye on a progress bar
WATCH_ASK_INTERVAL_S = 0.5  # how often a node that answers a `watch` asks its peers how far they are
LOG_MERGE_INTERVAL_S = 0.2  # `edged logs -f` waits so long for older lines of other nodes; nobody reads faster
LOG_MERGE_LINE_COUNT_MAX = 256  # lines of all nodes that wait for whoever reads them; then those who send wait

# --- a node.toml (edged.node) ---

NODE_CONFIG_BYTES_MAX = 256 * KiB  # as a manifest
NODE_WORKER_COUNT_MAX = 256  # worker processes: a machine with more cores is rare, and each takes 200 MB
NODE_STORAGE_BYTES = 32 * 1024 * MiB  # of chunks, unless the operator says otherwise: some thousand releases
NODE_STORAGE_BYTES_LOWEST = 256 * MiB  # two releases of the largest component have to fit
NODE_STORAGE_BYTES_HIGHEST = 1024 * 1024 * 1024 * MiB  # a petabyte: more is a slip of the pen
FLEET_PORT = 7400  # where nodes and publishers talk to a node, unless it says otherwise

# --- the one file, given to machines that are to become nodes (edged.node.install) ---

INSTALL_FILE_BYTES_MAX = 512 * MiB  # it has 80 MB; a path that leads elsewhere is hashed for seconds only
INSTALL_PIECE_BYTES = 256 * KiB  # read by a thread, and handed to the kernel in a tenth of a millisecond
INSTALL_THREAD_COUNT_MAX = 1  # reads at once: what is given is in the page cache, and threads are for others
INSTALL_DOWNLOAD_COUNT_MAX = 8  # at once: a rack that boots waits its turn; each holds a piece in memory
INSTALL_CONNECTION_COUNT_MAX = 32  # with those that ask, or are told to come back later
INSTALL_CONNECTION_PER_ADDRESS_MAX = 4  # half of all downloads: one client leaves room for others
INSTALL_RATE_BYTES_S = 32 * MiB  # of all downloads together: a quarter of a link of 1 Gbit/s, which serves clients
INSTALL_BURST_BYTES = 1 * MiB  # after a pause: 30 ms of that rate
INSTALL_PIECE_S_MAX = 20.0  # for a piece: who takes less than 13 kB/s is cut
INSTALL_DOWNLOAD_S_MAX = 600.0  # for the whole: 80 MB at 1 Mbit/s take as long
INSTALL_RETRY_AFTER_S = 5  # that is told to who comes while all room is taken: a download takes about as long

# --- what is wrong with a machine (edged.doctor), and why its node ended (edged.node.failure) ---

FAILURE_TEXT_CHARS_MAX = 4_000  # message and remedy, each: a node.toml with all its problems
FAILURE_BYTES_MAX = 64 * KiB  # of the file: both in characters of six bytes, as JSON may write them
DOCTOR_COMMAND_S_MAX = 5.0  # systemctl and its like answer in 0.1; one that hangs is itself a finding
DOCTOR_OUTPUT_BYTES_MAX = 1024 * KiB  # of such a command: `nft -j` of our table has 20 KiB
DOCTOR_CHECK_S_MAX = 45.0  # one check: trying a router of BGP in all ways takes 20, hashing 100 MiB from a slow disk 10
DOCTOR_FILE_BYTES_MAX = 256 * KiB  # of a file that is looked at, but for the one file
DOCTOR_MACHINE_FILE_COUNT_MAX = 100  # that a machine.json names; there are ten
DOCTOR_BINARY_BYTES_MAX = 1024 * MiB  # of the one file: one that is larger is not hashed
DOCTOR_STATUS_BYTES_MAX = 64 * MiB  # of a node's answer: 500 nodes with all that they say of themselves
DOCTOR_PEER_COUNT_MAX = 8  # routers that are tried at once; each by five connections
DOCTOR_CLOCK_BEHIND_S_MAX = 300.0  # of a clock, behind the files that were written here when it was right
DISK_FREE_BYTES_NEEDED = 128 * MiB  # with less, records and rollouts cannot be kept for long


# --- what goes into our logs ---

LOG_LINE_BYTES_MAX = 4 * KiB  # longer guest lines are cut and marked
LOG_BYTES_MAX = 256 * KiB  # per request; then output is dropped and one line says so
RANDOM_BYTES_MAX = 16 * MiB  # per request; more is a generator's work, not the kernel's
LOG_LINE_OVERHEAD_BYTES = 256  # what a line costs besides its text: its fields, and 25 us. A thousand empty ones fit

# --- what one host call of a guest moves (edged.host) ---

BLOCKING_WRITE_BYTES_MAX = 4 * KiB  # wasi:io's own number for blocking-write-and-flush; more traps
BODY_WRITE_BYTES_MAX = 1 * MiB  # one write to a body, and what waits for response-outparam.set; JS guests rely on it
BODY_DISCARD_READS = 4  # reads of a body that is thrown away, before others run: each has CHUNK_COUNT_PER_READ
BODIES_HELD_BYTES_MAX = 32 * MiB  # of one request's outgoing bodies, written and not sent: 32 at BODY_WRITE_BYTES_MAX
LIST_COUNT_MAX = 4_096  # values of a list from a guest, bytes aside: one costs the loop 3 us; `fields` hold no more
LIFT_BYTES_MAX = 128 * MiB  # of strings and lists in one call: they may overlap. wasmtime's own hostcall fuel
LIFT_VALUE_BYTES = 2 * KiB  # what a value of a list counts as, each 16 core values of it: 65 536 in one call take 0.2 s
CODECS_KEPT_MAX = 1_000  # compiled, 6 KiB each on average, of types that guests chose; the largest SDK has 415
STREAM_TYPES_KNOWN_MAX = 1_000  # of streams and futures, known by identity: each program that is loaded brings its own
FIELDS_BYTES_MAX = 128 * KiB  # one `fields`, overhead included
FIELDS_HELD_BYTES_MAX = 16 * MiB  # all `fields` that one request has made and not dropped
WHOLE_BODY_BYTES_MAX = 32 * MiB  # of a request or response that a guest of Spin 1 takes and gives as one value
WHOLE_BODIES_HELD_BYTES_MAX = 256 * MiB  # of all requests to such a guest that are being read or have an instance
FIELD_OVERHEAD_BYTES = 32  # what a field costs besides its name and value, or empty ones would be free
RANDOM_CALL_BYTES_MAX = 1 * MiB  # a list<u8> takes 32 bytes a byte on its way into a guest
FILE_READ_BYTES_MAX = 64 * KiB  # one read; it is not interrupted, so it must be short
FILES_OPEN_MAX = 64  # file descriptors of one request, of which a worker has some thousand in all
ARGUMENTS_CHARS_MAX = 128 * KiB  # of one program, for a request; Linux gives as much to one argument
PREVIEW1_DESCRIPTOR_COUNT_MAX = 128  # of one core module, directories and streams included
PREVIEW1_BUFFER_COUNT_MAX = 1_024  # iovecs of one call: IOV_MAX of Linux
PREVIEW1_SUBSCRIPTION_COUNT_MAX = 1_024  # of one poll_oneoff; more than there are descriptors to ask for
KEY_VALUE_KEY_BYTES_MAX = 255  # Spin's own number for its clouds
KEY_VALUE_VALUE_BYTES_MAX = 1 * MiB  # likewise
KEY_VALUE_LOOP_BYTES_MAX = 64 * KiB  # a value that is read on the loop; a larger one has a thread of its own
KEY_VALUE_BATCH_COUNT_MAX = 1_000  # keys of one get-many, set-many or delete-many
KEY_VALUE_BATCH_BYTES_MAX = 4 * MiB  # values of one; a list<u8> takes 32 bytes a byte on its way into a guest
KEY_VALUE_KEYS_MAX = 10_000  # of one get-keys, which the loop waits for: 10 ms; of a page where they are a stream
KEY_VALUE_KEY_OVERHEAD_BYTES = 64  # what a key costs here besides its bytes
KEY_VALUE_PAGE_COUNT = 1_000  # keys of one list-keys
KEY_VALUE_STORES_OPEN_MAX = 256  # of one request, as in Spin
KEY_VALUE_SWAPS_OPEN_MAX = 16  # of one request; each holds a value
KEY_VALUE_FILE_BYTES_MAX = 1024 * MiB  # all stores of an app, on disk
SQLITE_BUSY_S_MAX = 5.0  # for another process to end its write
SQLITE_CONNECTIONS_OPEN_MAX = 8  # of one request
SQLITE_CONNECTION_COUNT_MAX = 100  # of one database; each has three file descriptors, more requests wait
SQLITE_THREAD_COUNT_MAX = 4  # statements of one database at once; the others wait
SQLITE_STATEMENT_S_MAX = 5.0  # one statement; then it is interrupted
SQLITE_STEPS_PER_LOOK = 10_000  # of SQLite's machine until the time is looked at: less than a millisecond
SQLITE_STATEMENT_BYTES_MAX = 1 * MiB  # SQLite's own default is 1 GB
SQLITE_VALUE_BYTES_MAX = 4 * MiB  # one value or row, stored or computed
SQLITE_RESULT_BYTES_MAX = 4 * MiB  # one result, overhead included
SQLITE_CELL_OVERHEAD_BYTES = 64  # what a value costs besides its bytes, or NULLs would be free
SQLITE_ROW_COUNT_MAX = 10_000  # of one result, which the loop waits for while it is given to the guest
SQLITE_HEAP_BYTES_MAX = 256 * MiB  # all of SQLite in this process: sorts, temporary tables, caches
SQLITE_FILE_BYTES_MAX = 1024 * MiB  # one database, on disk
MQTT_CONNECTIONS_OPEN_MAX = 8  # of one request
MQTT_CONNECTION_COUNT_MAX = 256  # of one app in one worker; each is a socket
MQTT_ADDRESS_CHARS_MAX = 8 * KiB  # a URL; a client id may be most of it
MQTT_PAYLOAD_BYTES_MAX = 1 * MiB  # one message; Spin's client takes 10 KiB, AWS's broker 128 KiB
MQTT_STRING_BYTES_MAX = 65_535  # topic, user name, password, client id: what MQTT itself can carry
MQTT_KEEP_ALIVE_S_MAX = 65_535  # likewise; a longer one means the same
MQTT_PUBLISH_TIMEOUT_S = 30.0  # connecting, where that is due, sending and the broker's acknowledgement
MQTT_READ_BYTES = 256  # one recv: what a broker has to say to a publisher is four bytes at a time
REDIS_ADDRESS_BYTES_MAX = 4 * KiB  # a password may be a token, not a book
REDIS_CONNECTIONS_OPEN_MAX = 16  # of one request
REDIS_CONNECTION_COUNT_MAX = 256  # of one app, idle ones included; more requests wait
REDIS_WAIT_S_MAX = 10.0  # for a connection that another request has
REDIS_IDLE_S_MAX = 60.0  # a connection that nobody has used; servers close them after minutes, or never
REDIS_COMMAND_S_MAX = 30.0  # one command, blocking ones included
REDIS_COMMAND_BYTES_MAX = 8 * MiB  # one command; a key-value batch with its keys fits
REDIS_REPLY_BYTES_MAX = 4 * MiB  # one reply or message; a list<u8> takes 32 bytes a byte on its way into a guest
REDIS_REPLY_COUNT_MAX = 10_000  # values of one reply, which the loop waits for: 40 ms
REDIS_PUSH_COUNT_MAX = 1_000  # messages passed over on the way to one reply: a read may hold 16 000, for 25 ms
REDIS_REPLY_DEPTH_MAX = 16  # arrays inside each other; a real one has 4
REDIS_LINE_BYTES_MAX = 64 * KiB  # one line of the protocol: a length, a number, a status, an error
KEY_VALUE_REDIS_KEYS_MAX = 50_000  # of a database, all looked at to list those of a store: 0.3 s, in slices of 5 ms
LLM_PROMPT_BYTES_MAX = 1 * MiB  # one prompt, or all texts of one call: a quarter of a million tokens
LLM_ANSWER_BYTES_MAX = 4 * MiB  # one answer of the service: twice the numbers below, in JSON
LLM_EMBEDDING_VALUE_COUNT_MAX = 100_000  # numbers of one call: 65 texts of 1536, for which the loop waits 60 ms
LLM_REASON_CHARS_MAX = 500  # what a guest is told of the service's own words
LLM_CONCURRENT_MAX = 16  # calls of one app in one worker; more wait
LLM_TIMEOUT_S = 120.0  # one call, waiting for its turn included: models take tens of seconds
SQL_ADDRESS_CHARS_MAX = 4 * KiB  # a URL or a list of keys: a password may be a token, not a book
SQL_CA_ROOT_CHARS_MAX = 16 * KiB  # certificates of authorities, in PEM, for one connection: eight of RSA
SQL_CONNECTIONS_OPEN_MAX = 8  # of one request, PostgreSQL and MySQL together
SQL_CONNECTION_COUNT_MAX = 64  # of one app to all servers of one kind, idle ones included: Spin's own number
SQL_WAIT_S_MAX = 10.0  # for a connection that another request has
SQL_CONNECT_S_MAX = 15.0  # name, connection, TLS and login
SQL_STATEMENT_S_MAX = 30.0  # one statement, until its last row; then the connection is given up
SQL_CANCEL_S_MAX = 2.0  # for telling a server to stop; the request waits for it
SQL_RESET_S_MAX = 5.0  # for making a connection as good as new
SQL_IDLE_S_MAX = 60.0  # a connection that nobody has used
SQL_STATEMENT_BYTES_MAX = 1 * MiB  # as in SQLite
SQL_PARAMETER_BYTES_MAX = 4 * MiB  # all of one statement
SQL_PARAMETER_COUNT_MAX = 65_535  # what either protocol can carry
SQL_RESULT_BYTES_MAX = 4 * MiB  # one result, overhead included; one message of a server on its way there
SQL_CELL_OVERHEAD_BYTES = 64  # what a value costs besides its bytes, or NULLs would be free
SQL_ROW_COUNT_MAX = 10_000  # of one result, which the loop waits for while it is given to the guest
SQL_COLUMN_COUNT_MAX = 4_096  # of one result: MySQL's own number; PostgreSQL has 1 664
SQL_SCRAM_ITERATIONS_MAX = 100_000  # hashes that a server may ask for: 50 ms; PostgreSQL asks for 4 096
ROWS_PAGE_BYTES = 64 * KiB  # rows of a stream that are read at once, overhead included; the last may be larger
ROWS_PAGE_COUNT = 1_000  # of them, where they have no columns; a guest is given them in 3 ms
ROW_STREAMS_OPEN_MAX = 64  # of one request; each may be a cursor with memory of its own
ROWS_HELD_BYTES_MAX = 16 * MiB  # of one request, read ahead and not given to the guest: three with the largest row
JSON_OBJECT_COUNT_MAX = 80_000  # in one answer, which the loop waits for: 40 ms. A libSQL result has one for each value
LIBSQL_STREAM_COUNT_MAX = 64  # of one database of one app in one worker; a server has 128 for all. More wait
LIBSQL_ANSWER_BYTES_MAX = 8 * MiB  # one result in JSON: twice SQLITE_RESULT_BYTES_MAX
LIBSQL_TIMEOUT_S = 10.0  # one statement and the way there: the server's own limit for a transaction is 5
LIBSQL_CLOSE_S = 2.0  # to tell the server that a connection is over; it finds out by itself after some
LIBSQL_REASON_CHARS_MAX = 1_000  # what a guest is told of the server's own words
PATH_BYTES_MAX = 4 * KiB  # PATH_MAX of Linux
PATH_COMPONENT_BYTES_MAX = 255  # NAME_MAX of Linux


# --- a publisher's machine (edged.publish) ---

CONTEXT_BYTES_MAX = 64 * KiB  # of one fleet's file: a hundred addresses and key ids
ROSTER_BYTES_MAX = 16 * MiB  # signed, with a certificate of 400 bytes for each of thousands of nodes
APP_NAMES_BYTES_MAX = 1 * MiB  # names of apps kept for the shell's completion: 200 apps take 4 KiB
CONTEXT_NODES_MAX = 256  # addresses to try; one that answers is enough
STATUS_INTERVAL_S = 2.0  # between two looks of `edged status --watch`: nodes report every 2 to 5 s
STATUS_PROBLEMS_SHOWN_MAX = 12  # more would push the tables out of a terminal of 40 lines
ANYCAST_SETTLE_S = 10.0  # that a session or an announcement may take before `edged status` calls it wrong
ANYCAST_WARMING_S_WARNED = 60.0  # a node that is not announced so long after its start: apps are waited for for 30 s
CERTIFICATE_DAYS_WARNED = 30.0  # left of a certificate when `edged status` begins to speak of it
CERTIFICATE_DAYS_TOLD = (30.0, 7.0, 1.0, 0.0)  # left of it when a node's log does: once at each
CERTIFICATE_DAYS_ALARMED = 7.0  # left of a node's own when it raises an alarm: those of 90 days are renewed at 30
CERTIFICATE_LOOK_S = 3_600.0  # between two looks at certificates: they last for days
TLS_FILE_BYTES_MAX = 256 * KiB  # a chain of certificates that clients are shown; the usual have 4 KiB
DISK_FREE_BYTES_WARNED = 1024 * MiB  # of a node: room for a few releases and what compiling them makes
PUSH_TIMEOUT_S = 300.0  # until every region is live or failed, after the record is published; a region may compile
PUBLISH_STORE_BYTES_MAX = 8 * 1024 * MiB  # chunks kept in a publisher's cache
# What has not been used for so long goes when half of that is taken: a month first; an hour is the longest upload.
PUBLISH_STORE_AGES_S = (30 * 86_400.0, 7 * 86_400.0, 86_400.0, 3_600.0)
UPLOAD_CALL_TIMEOUT_S = 300.0  # an answer to one of UPLOADS_MAX chunks: 8 MiB at 250 kbit/s; dead links end sooner
UPLOADS_MAX = 8  # chunks on their way at once: 8 MiB fill 250 ms at 250 Mbit/s
VARIABLES_MAX = 256  # of one deployment; a manifest rarely declares ten


# --- `edged bench anycast` (edged.bench): what it runs, and for how long ---

BENCH_CLIENTS_MAX = 8  # as many colours as can be told apart in one picture
BENCH_TARGETS_MAX = 32  # regions; each takes a few seconds, twice
BENCH_COUNT_MAX = 1_000  # requests or packets of one measurement
BENCH_COUNT = 10  # which is what the tools are usually run with by hand
BENCH_INTERVAL_S = 0.2  # between requests: the shortest that mtr allows everybody
BENCH_TIMEOUT_S = 1.0  # of one request; httping takes whole seconds
BENCH_LEAD_S = 5.0  # of the picture that lie before the event
BENCH_SETTLE_S = 10.0  # after the event, before it is measured again: longer than a hold time of nine seconds
BENCH_SECONDS_MAX = 3_600.0  # that anybody may wait after an event
BENCH_EVENT_TIMEOUT_S = 120.0  # for the command that makes the event: a drain takes up to 40 s
BENCH_TOOL_CHECK_S = 30.0  # for the first command on a client: SSH may take several seconds
BENCH_TOOL_GRACE_S = 2.0  # for a tool that is told to end
BENCH_OUTPUT_BYTES_MAX = 1 * MiB  # of one run of a tool; a thousand requests print 150 KiB
BENCH_LINE_BYTES_MAX = 4 * KiB  # of a tool's line; httping writes 150 bytes, and what the server calls its status
BENCH_PINGS_MAX = 50_000  # of one client's series: almost three hours at the usual interval
BENCH_HOPS_MAX = 64  # of a path; mtr gives up at 30


@dataclass(frozen=True, slots=True)
class GuestLimits:
    """What one request of one app may use. The operator overrides these per app."""

    memory_bytes_max: int = 256 * MiB  # each linear memory; Spin's clouds allow 128
    memory_count_max: int = 16  # a componentized app has one per core module that owns one
    table_count_max: int = 64
    table_elements_max: int = 100_000  # componentize-py needs about 20 000
    instance_count_max: int = 128  # core instances in one component instance; Python guests have 14
    wall_s_max: float = 60.0  # from the request's head until the guest returns, waiting included
    cpu_s_max: float = 30.0  # time inside the guest and its host calls; 64 MiB in and out of a guest take 8
    host_calls_max: int = 1_000_000  # a 64 MiB echo in 4 KiB pieces makes 33 000
    handles_max: int = 4_096  # resource handles alive at once
    request_body_bytes_max: int = 1024 * MiB  # streamed, never held
    response_body_bytes_max: int = 1024 * MiB
    concurrent_max: int = 1_000  # instances of one component alive at once in one worker
    queue_max: int = 1_000  # requests that wait for an instance; one more is answered 503
    instances_ahead: int = 0  # instances made before a request asks for them
    instance_requests_max: int = 128  # that one instance of a WASI 0.3 component serves in its life, as in Spin
    instance_concurrent_max: int = 16  # of them at once, as in Spin


GUEST_LIMITS_LOWEST = GuestLimits(
    memory_bytes_max=64 * KiB,  # one page
    memory_count_max=1,
    table_count_max=1,
    table_elements_max=1,
    instance_count_max=1,
    wall_s_max=0.001,
    cpu_s_max=0.001,
    host_calls_max=1,
    handles_max=1,
    request_body_bytes_max=0,
    response_body_bytes_max=0,
    concurrent_max=1,
    queue_max=0,
    instances_ahead=0,
    instance_requests_max=1,
    instance_concurrent_max=1,
)
"""The least that an operator may set. Less could not mean anything."""

GUEST_LIMITS_HIGHEST = GuestLimits(
    memory_bytes_max=4096 * MiB,  # all that wasm32 can address
    memory_count_max=1_000,
    table_count_max=1_000,
    table_elements_max=10_000_000,
    instance_count_max=10_000,
    wall_s_max=86_400.0,
    cpu_s_max=86_400.0,
    host_calls_max=1_000_000_000,
    handles_max=1_000_000,
    request_body_bytes_max=1024 * 1024 * MiB,
    response_body_bytes_max=1024 * 1024 * MiB,
    concurrent_max=4_000,  # each reserves four memories of 4 GiB out of 128 TiB of address space
    queue_max=100_000,
    instances_ahead=1_000,
    instance_requests_max=1_000_000,
    instance_concurrent_max=10_000,
)
"""The most. With more, wasmtime could not reserve its pool, and would end the process instead of saying so."""

CANARY_GUEST_LIMITS = GuestLimits(
    memory_bytes_max=1 * MiB,  # it has one page
    wall_s_max=5.0,  # whoever asks has gone long before
    cpu_s_max=1.0,
    host_calls_max=100,  # it makes ten
    handles_max=64,
    request_body_bytes_max=0,
    response_body_bytes_max=1 * KiB,
    concurrent_max=64,  # one for each target and round that waits
    queue_max=64,
)
"""The node's own guest in each worker, `edged.worker.canary`."""
