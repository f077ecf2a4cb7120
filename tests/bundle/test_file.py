"""Bundle files that hold a release, but no app of ours. All else is in tests/cli/test_bundle.py."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pytest

from edged.bundle import look as look_module
from edged.bundle.file import inspect_file
from edged.bundle.lock import Lock
from edged.errors import BundleInvalid, EdgedError, ManifestError
from registry import dsse
from registry.blob import Blob
from registry.bundle_file import export_bundle, import_bundle
from registry.chunk_store import ChunkStore
from registry.errors import BlobMismatch, BlobMissing
from registry.frame import encode_frame
from registry.limits import MiB
from registry.release import RELEASE_TYPE, Entry, Release
from registry.release_store import open_release
from tests.bundle.apps import SHOP

LOCK = Lock(None, {"front": ()}).encode()


def bundle(folder: Path, contents: Mapping[str, bytes]) -> Path:
    chunks = ChunkStore(folder / "store", 64 * MiB, reserve_bytes=0)
    blobs = chunks.put_files(io.BytesIO(data) for data in contents.values())
    entries = tuple(Entry(path, blob) for path, blob in zip(contents, blobs, strict=True))
    release = Release("shop", "1", entries, {})
    with (folder / "bundle").open("wb") as file:
        export_bundle(dsse.sign(RELEASE_TYPE, release.encode()).encode(), chunks, file)
    return folder / "bundle"


@pytest.mark.parametrize(
    ("contents", "kind"),
    [
        ({"lock.msgpack": LOCK}, BundleInvalid),
        ({"spin.toml": SHOP.encode()}, BundleInvalid),
        ({"lock.msgpack": b"\xc1", "spin.toml": SHOP.encode()}, BundleInvalid),
        ({"lock.msgpack": LOCK, "spin.toml": b"= nonsense"}, ManifestError),
        ({"lock.msgpack": LOCK, "spin.toml": b"\xff"}, ManifestError),
    ],
)
def test_no_app(tmp_path: Path, contents: dict[str, bytes], kind: type[EdgedError]) -> None:
    with pytest.raises(kind):
        inspect_file(bundle(tmp_path, contents))


@pytest.mark.parametrize(("name", "path"), [("MANIFEST_BYTES_MAX", "spin.toml"), ("LOCK_BYTES_MAX", "lock.msgpack")])
def test_at_the_limit_and_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, path: str) -> None:
    contents = {"lock.msgpack": LOCK, "spin.toml": SHOP.encode()}
    file = bundle(tmp_path, contents)
    monkeypatch.setattr(look_module, name, len(contents[path]))
    assert inspect_file(file).stored.release.app == "shop"
    monkeypatch.setattr(look_module, name, len(contents[path]) - 1)
    with pytest.raises(BundleInvalid, match=path):
        inspect_file(file)


def test_what_passes_by_is_not_kept(tmp_path: Path) -> None:
    chunks = ChunkStore(tmp_path / "store", 64 * MiB, reserve_bytes=0)
    looker = look_module.Looker()
    file = bundle(tmp_path, {"files/big": bytes(range(256)) * 20_000, "lock.msgpack": LOCK, "spin.toml": SHOP.encode()})
    with file.open("rb") as stream:
        envelope = import_bundle(stream, looker, verify=looker.begin)
    release = open_release(envelope).release
    big, *small = (entry.blob.chunks for entry in release.entries)
    for chunk in [chunk for each in small for chunk in each]:
        assert looker.get(chunk) == chunks.get(chunk)
    for chunk in big:
        with pytest.raises(BlobMissing):
            looker.get(chunk)
    with pytest.raises(BlobMismatch):
        looker.put_frame(big[0], encode_frame(bytes(big[0].size)))


def test_a_manifest_whose_chunks_are_not_it(tmp_path: Path) -> None:
    chunks = ChunkStore(tmp_path / "store", 64 * MiB, reserve_bytes=0)
    lock = chunks.put_file(io.BytesIO(LOCK))
    one, two = (chunks.put_file(io.BytesIO(data)).chunks[0] for data in (SHOP.encode(), b"# more"))
    lie = Blob(lock.digest[:-1] + ("0" if lock.digest[-1] != "0" else "1"), one.size + two.size, (one, two))  # type: ignore[arg-type]
    release = Release("shop", "1", (Entry("lock.msgpack", lock), Entry("spin.toml", lie)), {})
    with (tmp_path / "bundle").open("wb") as file:
        export_bundle(dsse.sign(RELEASE_TYPE, release.encode()).encode(), chunks, file)
    with pytest.raises(BundleInvalid, match="not that file"):
        inspect_file(tmp_path / "bundle")
