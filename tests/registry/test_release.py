from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.blob import Blob, Chunk
from registry.digest import Digest, digest_of
from registry.errors import ReleaseInvalid
from registry.limits import (
    ANNOTATION_COUNT_MAX,
    ANNOTATION_NAME_BYTES_MAX,
    ANNOTATION_VALUE_BYTES_MAX,
    APP_NAME_CHARS_MAX,
    BLOB_BYTES_MAX,
    BLOB_CHUNK_COUNT_MAX,
    CHUNK_BYTES_MAX,
    RELEASE_BYTES_MAX,
    RELEASE_ENTRY_COUNT_MAX,
    RELEASE_PLAIN_BYTES_MAX,
    VERSION_BYTES_MAX,
)
from registry.release import Entry, Release, check_app
from registry.strict import decode, encode
from tests.registry.releases import blob, release

BIG = b"".join(i.to_bytes(4, "big") for i in range(100_000))  # several chunks
SMALL = release({"a.txt": b"hello", "b/c.txt": b"", "big": BIG})
ONE = release({"a": b"x"})

names = st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1, max_size=9)


@given(st.dictionaries(names, st.binary(max_size=300), max_size=6), st.dictionaries(names, names, max_size=3))
def test_a_release_is_what_its_bytes_say(files: dict[str, bytes], annotations: dict[str, str]) -> None:
    made = replace(release(files), annotations=annotations)
    assert Release.parse(made.encode()) == made
    assert made.digest == digest_of(made.encode())


def test_every_mutation_of_a_byte_is_refused_or_is_another_release_with_these_very_bytes() -> None:
    encoded = SMALL.encode()
    survived = 0
    for position in range(len(encoded)):
        for flip in (1, 0x20, 0x80, 0xFF):
            mutated = bytearray(encoded)
            mutated[position] ^= flip
            with contextlib.suppress(ReleaseInvalid):
                other = Release.parse(bytes(mutated))
                survived += 1
                assert other.encode() == mutated
                assert other != SMALL
    assert survived  # a letter of a name, a bit of a digest: another release, which is why digests are what is named


@given(st.integers(0, 255), st.integers(0, 10_000))
def test_any_value_of_any_byte_is_refused_or_means_itself(value: int, position: int) -> None:
    mutated = bytearray(ONE.encode())
    mutated[position % len(mutated)] = value
    with contextlib.suppress(ReleaseInvalid):
        assert Release.parse(bytes(mutated)).encode() == mutated


@pytest.mark.parametrize("count", range(1, len(ONE.encode())))
def test_a_release_cut_off_is_refused(count: int) -> None:
    with pytest.raises(ReleaseInvalid):
        Release.parse(ONE.encode()[:count])


def test_trailing_bytes_are_refused() -> None:
    with pytest.raises(ReleaseInvalid):
        Release.parse(ONE.encode() + b"\0")


def test_chunks_are_distinct_and_in_order_of_use() -> None:
    made = release({"a": BIG, "b": b"x", "c": BIG, "d": b"x"})
    chunks = made.chunks()
    assert len(chunks) > 2
    assert len(set(chunks)) == len(chunks)
    assert chunks[:-1] == made.entries[0].blob.chunks
    assert chunks[-1] == Chunk(digest_of(b"x"), 1)
    assert made.size == 2 * len(BIG) + 2


RAW = {
    "annotations": {},
    "app": "shop",
    "entries": [["a", 1, bytes.fromhex(digest_of(b"x")[7:]), []]],
    "format": 1,
    "version": "1",
}
D1, D2 = b"\1" * 32, b"\2" * 32


def _entry(*fields: object) -> dict[str, object]:
    return {"entries": [list(fields)]}


def test_the_raw_form_is_as_documented() -> None:
    made = Release.parse(encode(RAW))
    assert made == Release("shop", "1", (Entry("a", blob(b"x")),), {})
    assert decode(made.encode(), 1000) == RAW


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": 1}, "unknown field 'more'"),
        ({"format": 2}, "format 2, where 1 is known"),
        ({"format": "1"}, "not a whole number"),
        ({"app": ".."}, "no name for an app"),
        ({"version": "1\n"}, "cannot be printed"),
        ({"version": ""}, "0 bytes"),
        ({"annotations": []}, "not a map"),
        ({"annotations": {"a": 1}}, "not text"),
        ({"annotations": {"a\n": "b"}}, "printable"),
        ({"entries": {}}, "not an array"),
        ({"entries": [1]}, "something else"),
        (_entry("a", 1, D1), "something else"),
        (_entry("a", 1, D1, [], 1), "something else"),
        (_entry(1, 1, D1, []), "not text"),
        (_entry("a", "1", D1, []), "not a whole number"),
        (_entry("a", 10 * 2**30, D1, []), "not 0 to"),  # a claim of 10 GB
        (_entry("a", BLOB_BYTES_MAX + 1, D1, []), "not 0 to"),
        (_entry("a", CHUNK_BYTES_MAX + 1, D1, []), "lists no chunks"),
        (_entry("a", -1, D1, []), "not 0 to"),
        (_entry("a", 1, D1[:-1], []), "not a digest"),
        (_entry("a", 1, D1.hex(), []), "32 bytes"),
        (_entry("a", 0, D1, []), "digest of an empty file"),
        (_entry("a", 1, D1, [[1, D1]]), "a single chunk"),
        (_entry("a", 3, D1, [[1, D1], [1, D2]]), "sum of its chunks"),
        (_entry("a", 1, D1, [[1, D1], [1, D2]]), "sum of its chunks"),
        (_entry("a", 1, D1, [[1, D1], [0, D2]]), "not 1 to"),
        (_entry("a", CHUNK_BYTES_MAX + 2, D1, [[CHUNK_BYTES_MAX + 1, D1], [1, D2]]), "not 1 to"),
        (_entry("a", 3, D1, [[1, D2], [2, D2]]), "two sizes"),
        (_entry("a", 3, D1, [[1, D2], [2]]), "something else"),
        (_entry("a", 3, D1, [[1, D2], 2]), "something else"),
        ({"entries": [["a", 1, D1, []], ["b", 2, D1, []]]}, "two sizes"),
        ({"entries": [["b", 1, D1, []], ["a", 1, D1, []]]}, "stands behind"),
        ({"entries": [["a", 1, D1, []], ["a", 1, D1, []]]}, "stands behind"),
        ({"entries": [["A", 1, D1, []], ["a", 1, D1, []]]}, "differ by case"),
        ({"entries": [["a", 1, D1, []], ["a/b", 1, D1, []]]}, "is a folder of"),
        *(
            (_entry(path, 1, D1, []), "the path")
            for path in ("", "/a", "a/../b", "..", "a//b", "a\\b", "a\0", "e\u0301")
        ),
    ],
)
def test_what_breaks_a_rule_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ReleaseInvalid, match=message):
        Release.parse(encode(RAW | change))


@pytest.mark.parametrize("name", sorted(RAW))
def test_a_missing_field_is_refused(name: str) -> None:
    with pytest.raises(ReleaseInvalid, match=f"no field '{name}'"):
        Release.parse(encode({key: RAW[key] for key in RAW if key != name}))


@pytest.mark.parametrize("name", ["a", "Shop-1.2_x", "9", "a" * APP_NAME_CHARS_MAX])
def test_names_of_apps(name: str) -> None:
    assert check_app(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "-a", "_a", ".a", "a/b", "a b", "a*", "é", "a\n", "a" * (APP_NAME_CHARS_MAX + 1)]
)
def test_names_that_no_app_may_have(name: str) -> None:
    with pytest.raises(ReleaseInvalid, match="no name for an app"):
        check_app(name)


def _sized(size: int, count: int = 1) -> Blob:
    """A blob that claims `size` bytes in as few chunks as may be; `count` makes its digest another."""
    full, rest = divmod(size, CHUNK_BYTES_MAX)
    chunk = Chunk(digest_of(b"full"), CHUNK_BYTES_MAX)
    last = (Chunk(digest_of(b"rest %d" % rest), rest),) if rest else ()
    return Blob(digest_of(b"blob %d" % count), size, (chunk,) * full + last)


def _entries(*blobs: Blob) -> tuple[Entry, ...]:
    return tuple(Entry(f"{index:06}", item) for index, item in enumerate(blobs))


def _many_chunks(count: int) -> Blob:
    return Blob(digest_of(b"many"), count, (Chunk(digest_of(b"1"), 1),) * count)


LIMITS: dict[str, tuple[Callable[[], Release], Callable[[], Release]]] = {
    "annotations": (
        lambda: replace(ONE, annotations={f"{i}": "x" for i in range(ANNOTATION_COUNT_MAX)}),
        lambda: replace(ONE, annotations={f"{i}": "x" for i in range(ANNOTATION_COUNT_MAX + 1)}),
    ),
    "annotation name": (
        lambda: replace(ONE, annotations={"a" * ANNOTATION_NAME_BYTES_MAX: "x"}),
        lambda: replace(ONE, annotations={"a" * (ANNOTATION_NAME_BYTES_MAX + 1): "x"}),
    ),
    "annotation value": (
        lambda: replace(ONE, annotations={"a": "x" * ANNOTATION_VALUE_BYTES_MAX}),
        lambda: replace(ONE, annotations={"a": "x" * (ANNOTATION_VALUE_BYTES_MAX + 1)}),
    ),
    "version": (
        lambda: replace(ONE, version="1" * VERSION_BYTES_MAX),
        lambda: replace(ONE, version="1" * (VERSION_BYTES_MAX + 1)),
    ),
    "blob": (
        lambda: replace(ONE, entries=_entries(_sized(BLOB_BYTES_MAX))),
        lambda: replace(ONE, entries=_entries(_sized(BLOB_BYTES_MAX + 1))),
    ),
    "sum of all": (
        lambda: replace(ONE, entries=_entries(*[_sized(RELEASE_PLAIN_BYTES_MAX // 4, i) for i in range(4)])),
        lambda: replace(
            ONE, entries=_entries(*[_sized(RELEASE_PLAIN_BYTES_MAX // 4, i) for i in range(4)], blob(b"x"))
        ),
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits(name: str) -> None:
    at_limit, over = LIMITS[name]
    assert Release.parse(at_limit().encode()) == at_limit()
    with pytest.raises(ReleaseInvalid):
        over()


def test_the_count_of_entries_is_bounded() -> None:
    most = _entries(*[blob(b"x")] * RELEASE_ENTRY_COUNT_MAX)
    assert Release.parse(replace(ONE, entries=most).encode()).entries == most
    with pytest.raises(ReleaseInvalid, match="entries"):
        replace(ONE, entries=_entries(*[blob(b"x")] * (RELEASE_ENTRY_COUNT_MAX + 1)))


def test_the_count_of_chunks_is_bounded() -> None:
    replace(ONE, entries=_entries(_many_chunks(BLOB_CHUNK_COUNT_MAX)))
    with pytest.raises(ReleaseInvalid, match="chunks"):
        replace(ONE, entries=_entries(_many_chunks(BLOB_CHUNK_COUNT_MAX + 1)))


def test_the_bytes_of_a_release_are_bounded() -> None:
    """Entries of 900-odd bytes up to just below the limit, and annotations of several lengths for the rest."""
    paths = [f"{index:04}/" + "/".join(["x" * 220] * 4) for index in range(1_105)]
    full = replace(ONE, entries=tuple(Entry(path, blob(b"x")) for path in paths), annotations={})

    def padded(count: int) -> Release:
        # An annotation of 256 to 1 024 bytes costs 6 more: its name of two characters, and two lengths.
        notes: dict[str, str] = {}
        while count:
            taken = min(count if count <= 1_030 else count - 262, 1_030)
            notes[f"{len(notes):02}"] = "n" * (taken - 6)
            count -= taken
        return replace(full, annotations=notes)

    # From 16 annotations on the map's head is two bytes longer.
    left = RELEASE_BYTES_MAX - len(full.encode())
    assert 16 * 1_030 < left < ANNOTATION_COUNT_MAX * 1_030 - 300
    at_limit = padded(left - 2)
    assert len(at_limit.encode()) == RELEASE_BYTES_MAX
    assert Release.parse(at_limit.encode()) == at_limit
    with pytest.raises(ReleaseInvalid, match="where 1048576 are allowed"):
        padded(left - 1).encode()


def test_one_digest_for_two_contents_is_refused() -> None:
    one, two = blob(b"one"), blob(b"two")
    parts = (*one.chunks, *two.chunks)
    Release(
        "shop",
        "1",
        (Entry("a", Blob(digest_of(b"onetwo"), 6, parts)), Entry("b", Blob(digest_of(b"onetwo"), 6, parts))),
        {},
    )
    for other in (Blob(digest_of(b"onetwo"), 6, parts[::-1]), Blob(digest_of(b"onetwo"), 9, (*parts, parts[0]))):
        with pytest.raises(ReleaseInvalid, match="another file"):
            Release("shop", "1", (Entry("a", Blob(digest_of(b"onetwo"), 6, parts)), Entry("b", other)), {})


def test_a_lying_chunk_digest_of_a_single_chunk_is_refused() -> None:
    lie = Blob(digest_of(b"x"), 1, (Chunk(Digest(digest_of(b"y")), 1),))
    with pytest.raises(ReleaseInvalid, match="only chunk"):
        Release("shop", "1", (Entry("a", lie),), {})
