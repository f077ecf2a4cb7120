"""Every limit of the registry, with its unit and the reason for its value."""

from __future__ import annotations

KiB = 1024
MiB = 1024 * KiB

GiB = 1024 * MiB

# --- chunks (registry.blob, registry.frame) ---

CHUNK_BYTES_MIN = 32 * KiB  # where a cut may be made at the earliest; only the last chunk of a blob is shorter
CHUNK_BYTES_TARGET = 128 * KiB  # on average: see docs/adr/0011 for what it saves
CHUNK_BYTES_MAX = 1 * MiB  # of plain bytes: what one message carries, and is lost when a transfer breaks
FRAME_OVERHEAD_BYTES = 512  # what zstd may add to bytes that do not get smaller, besides 1 in 128; it adds 33 to 1 MiB
FRAME_BYTES_MAX = CHUNK_BYTES_MAX + CHUNK_BYTES_MAX // 128 + FRAME_OVERHEAD_BYTES  # one chunk, compressed
ZSTD_LEVEL = 3  # 230 MB/s; 19 saves a seventh of a Python component and takes eighty times as long

# --- names of files in a release (registry.paths) ---

PATH_BYTES_MAX = 1024  # all of a path in UTF-8; with the folder before it less than PATH_MAX of Linux
PATH_NAME_BYTES_MAX = 255  # NAME_MAX of Linux
PATH_DEPTH_MAX = 64  # names in a path; node_modules in node_modules have some 20. Whoever walks a tree may recurse
PATH_FOLDER_COUNT_MAX = 16_384  # folders of all paths of a release: each is a block of disk, and made durable by itself

# --- the chunk store (registry.chunk_store) ---

STORE_BYTES_MAX = 64 * GiB  # of a node's disk, where the operator says nothing
DISK_RESERVE_BYTES = 64 * MiB  # left free for logs, records and whatever else must still be written
BATCH_BYTES_MAX = 16 * MiB  # plain bytes in memory while files are put
BATCH_COUNT_MAX = 1_024  # chunks that are written before they are made durable together: one fsync a folder
WRITER_COUNT_MAX = 4  # threads that hash, compress and write one batch
COLLECT_GRACE_S = 86_400.0  # since a chunk was put, leased or asked for: an upload may be taken up the next day
COLLECT_GRACE_FULL_S = 7_200.0  # likewise where room is short, so that what nobody named in the end is no siege
INCOMING_GRACE_S = 3_600.0  # then a half-written file belongs to a process that is gone
QUARANTINE_COUNT_MAX = 64  # corrupt files kept for whoever looks into the disk; the oldest go
LEASE_COUNT_MAX = 1_000  # transfers under way; then the oldest lease goes
LEASE_DIGEST_COUNT_MAX = 65_536  # of one lease: 32 bytes each, in a file
LEASE_BYTES_MAX = 32 * LEASE_DIGEST_COUNT_MAX + 4 * KiB  # that file
LEASES_BYTES_MAX = 24 * MiB  # all of them: 786 432 chunks, more than STORE_BYTES_MAX holds; in memory while collecting
LEASE_S_MAX = 30 * 86_400.0  # one that ends later was made by a clock that was ahead: it ends now
LEASE_NAME_BYTES_MAX = 1 * KiB

# --- records (registry.strict) ---

RECORD_DEPTH_MAX = 16  # maps and arrays inside each other; ours have 6
RECORD_ITEM_COUNT_MAX = 65_536  # of one map or array: what a claimed count may reserve before its items are read

# --- releases (registry.release) ---

RELEASE_BYTES_MAX = 1 * MiB  # encoded: an envelope fits one frame of the wire. 10 000 files, or 2 GiB of chunks
RELEASE_ENTRY_COUNT_MAX = 16_384  # files of a release; RELEASE_BYTES_MAX ends most earlier
RELEASE_PLAIN_BYTES_MAX = 4096 * MiB  # of all entries together, as checked out: a node's disk holds a few of them
BLOB_BYTES_MAX = 2048 * MiB  # of one file; the largest assets in sight are some hundred MB
BLOB_CHUNK_COUNT_MAX = 32_768  # of one blob: 2 GiB in chunks of 64 KiB
APP_NAME_CHARS_MAX = 63  # a DNS label, since an app's default host is one
VERSION_BYTES_MAX = 128
ANNOTATION_COUNT_MAX = 32
ANNOTATION_NAME_BYTES_MAX = 64
ANNOTATION_VALUE_BYTES_MAX = 1 * KiB

# --- signatures (registry.dsse, registry.keys, registry.keyring) ---

SIGNATURE_COUNT_MAX = 16  # each known key costs one verification: 3 ms for a payload of 1 MiB
PAYLOAD_TYPE_BYTES_MAX = 128
ENVELOPE_BYTES_MAX = RELEASE_BYTES_MAX + 8 * KiB  # the payload, and signatures of 150 bytes each
KEY_FILE_BYTES_MAX = 16 * KiB  # a PEM file of an Ed25519 key has 119 bytes, encrypted 400
KEY_NAME_BYTES_MAX = 128
KEY_GLOB_COUNT_MAX = 256  # app patterns of one key

# --- the store of releases (registry.release_store) ---

RELEASE_COUNT_MAX = 10_000  # in one store: 200 apps with 50 releases each

# --- images of other registries (registry.oci) ---

OCI_MANIFEST_BYTES_MAX = 4 * MiB  # an image or an index: what registries take at least (distribution-spec)
OCI_LAYER_COUNT_MAX = 1_000  # of one image: Spin makes 500 at most
OCI_LOCKED_APP_BYTES_MAX = 16 * MiB  # 50 000 files with their digests take 9
OCI_JSON_DEPTH_MAX = 32  # maps and arrays inside each other; a real one has 6
OCI_COMPONENT_COUNT_MAX = 1_000  # of one app; the largest in public use have some tens
OCI_FILE_COUNT_MAX = 50_000  # of all components: as many as edged mounts
OCI_INLINE_BYTES_MAX = 64 * KiB  # one file inside the locked app; Spin puts up to 128 bytes there
OCI_APP_BYTES_MAX = 4 * GiB  # all files of an app on disk, and all that one archive may unpack to
OCI_ARCHIVE_MEMBER_COUNT_MAX = 200_000  # files and folders of one archive
OCI_ARCHIVE_HEADER_BYTES_MAX = 4 * KiB  # a header with a long name: the longest path of Linux
OCI_TOKEN_BYTES_MAX = 256 * KiB  # an answer with a token; real ones have 4 KiB
OCI_REDIRECT_COUNT_MAX = 5  # for one request: a registry needs one
OCI_READ_TIMEOUT_S = 30.0  # between two pieces, and for a connection
OCI_MANIFEST_TIMEOUT_S = 120.0  # a manifest with the token for it: 4 MiB at 300 kbit/s
OCI_BLOB_TIMEOUT_S = 1_800.0  # one layer: 4 GiB at 20 Mbit/s
OCI_PARALLEL_COUNT = 4  # layers fetched at once

# --- transfers (registry.transfer) ---

TRANSFER_SOURCE_COUNT = 3  # asked at once: one that is slow or lies costs a third, and a node's uplink is not all ours
TRANSFER_WINDOW_BYTES = 4 * MiB  # asked of one source and not here yet: 16 MiB/s over 250 ms
TRANSFER_WINDOW_COUNT = 24  # likewise, chunks: of 128 KiB, these are 3 MiB; a link has room for 32 requests
TRANSFER_STALL_S = 30.0  # without any chunk from a source that owes some: 1 MiB at 300 kbit/s is not given up
TRANSFER_LACKS_MAX = 16  # chunks that a source does not have, until it is asked no more
