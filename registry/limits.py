"""Every limit of the registry, with its unit and the reason for its value."""

from __future__ import annotations

KiB = 1024
MiB = 1024 * KiB

CHUNK_BYTES_MAX = 1 * MiB  # of plain bytes: what one message carries, and is lost when a transfer breaks

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
