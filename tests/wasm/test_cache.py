"""The cache of artefacts: nothing is loaded from it that this node did not write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edged.errors import CacheError
from edged.wasm.cache import AotCache

DIGEST = "ab" * 32


def add(cache: AotCache, digest: str = DIGEST, content: bytes = b"native code") -> Path:
    with cache.reserve() as folder:
        written = folder / "artefact"
        written.write_bytes(content)
        return cache.add({digest: written})[digest]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_what_was_added_is_found(folder: Path) -> None:
    path = add(AotCache(folder, "engine"))
    assert AotCache(folder, "engine").find(DIGEST) == path
    assert path.read_bytes() == b"native code"


def test_what_was_not_added_is_not_found(folder: Path) -> None:
    assert AotCache(folder, "engine").find(DIGEST) is None


def test_another_engine_finds_nothing(folder: Path) -> None:
    add(AotCache(folder, "engine"))
    assert AotCache(folder, "another engine").find(DIGEST) is None


def test_the_folder_is_private(folder: Path) -> None:
    AotCache(folder, "engine")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "key").stat().st_mode & 0o777 == 0o600


def test_a_flipped_bit_is_not_loaded_and_goes(folder: Path) -> None:
    cache = AotCache(folder, "engine")
    path = add(cache)
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    assert cache.find(DIGEST) is None
    assert not path.exists()


def test_a_foreign_artefact_is_not_loaded(folder: Path, tmp_path: Path) -> None:
    """A file from another node's cache, with its MAC: another key."""
    foreign = add(AotCache(tmp_path / "other", "engine"))
    cache = AotCache(folder, "engine")
    for file in (foreign, foreign.with_suffix(".mac")):
        (folder / file.name).write_bytes(file.read_bytes())
    assert cache.find(DIGEST) is None


def test_a_link_is_not_loaded(folder: Path) -> None:
    cache = AotCache(folder, "engine")
    path = add(cache)
    moved = path.with_name("elsewhere")
    path.rename(moved)
    path.symlink_to(moved)
    assert cache.find(DIGEST) is None
    assert moved.exists()


def test_an_artefact_without_its_mac_is_not_loaded(folder: Path) -> None:
    cache = AotCache(folder, "engine")
    add(cache).with_suffix(".mac").unlink()
    assert cache.find(DIGEST) is None


def test_a_damaged_key_costs_a_recompile_only(folder: Path) -> None:
    add(AotCache(folder, "engine"))
    (folder / "key").write_bytes(b"short")
    cache = AotCache(folder, "engine")
    assert cache.find(DIGEST) is None
    assert cache.find(DIGEST) is None
    assert add(cache) == cache.find(DIGEST)


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701], ids=oct)
def test_a_folder_open_to_others_is_refused(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(CacheError, match="mode 0700"):
        AotCache(folder, "engine")


def test_a_folder_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "real")
    with pytest.raises(CacheError):
        AotCache(folder, "engine")


def test_a_file_in_its_place_is_an_error(folder: Path) -> None:
    folder.write_text("")
    with pytest.raises(CacheError, match="cannot be used"):
        AotCache(folder, "engine")


def test_the_longest_unused_go_first(folder: Path) -> None:
    cache = AotCache(folder, "engine", bytes_max=25)
    digests = ["aa" * 32, "bb" * 32, "cc" * 32]
    for age, digest in zip((300, 200, 100), digests, strict=True):
        path = add(cache, digest, b"0123456789")
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
        if digest == digests[1]:
            assert cache.find(digests[0]), "two fit"  # and this one was used just now
    assert [cache.find(digest) is not None for digest in digests] == [True, False, True]


def test_at_the_limit_nothing_goes(folder: Path) -> None:
    cache = AotCache(folder, "engine", bytes_max=20)
    add(cache, "aa" * 32, b"0123456789")
    add(cache, "bb" * 32, b"0123456789")
    assert cache.find("aa" * 32)
    assert cache.find("bb" * 32)


def test_what_is_added_together_stays_together(folder: Path) -> None:
    """An artefact of several files is of no use without one of them, be they more than fit."""
    cache = AotCache(folder, "engine", bytes_max=25)
    add(cache, "aa" * 32, b"0123456789")
    with cache.reserve() as reserved:
        written = {key * 32: reserved / key for key in ("bb", "cc", "dd")}
        for file in written.values():
            file.write_bytes(b"0123456789")
        cache.add(written)
    assert [cache.find(key * 32) is not None for key in ("aa", "bb", "cc", "dd")] == [False, True, True, True]


def test_what_is_not_taken_in_goes(folder: Path) -> None:
    cache = AotCache(folder, "engine")
    with cache.reserve() as reserved:
        (reserved / "half").write_bytes(b"of an artefact")
        assert reserved.stat().st_mode & 0o777 == 0o700
    assert not reserved.exists()


def test_what_a_killed_compile_left_goes_with_the_next_artefact(folder: Path) -> None:
    cache = AotCache(folder, "engine")
    with cache.reserve() as left, cache.reserve() as under_way:
        (left / "half").write_bytes(b"of an artefact")
        (under_way / "half").write_bytes(b"of what somebody compiles now")
        os.utime(left, (1_000_000, 1_000_000))
        add(cache)
        assert not left.exists()
        assert under_way.exists()


def test_an_artefact_that_another_process_removes_meanwhile_is_not_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = AotCache(folder, "engine")
    path = add(cache)
    verified = cache._verified

    def goes_first(artefact: Path) -> bool:
        path.unlink()
        return verified(artefact)

    monkeypatch.setattr(cache, "_verified", goes_first)
    assert cache.find(DIGEST) is None
