"""Folders that are no release of an app."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged import manifest
from edged.bundle.lock import Lock
from edged.bundle.unpack import unpack
from edged.errors import BundleInvalid, ManifestError, ManifestMissing, SourceMissing
from tests.bundle.apps import SHOP, write

WHOLE = {"front": ("/assets/site.css",), "cart": ()}


def release(folder: Path, lock: Lock | bytes | None, text: str = SHOP) -> Path:
    app = write(folder, text)
    if lock is not None:
        (app / "lock.msgpack").write_bytes(lock if isinstance(lock, bytes) else lock.encode())
    return app


def test_without_a_lock(tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid, match=r"lock\.msgpack cannot be read"):
        unpack(release(tmp_path, None))


def test_a_lock_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid):
        unpack(release(tmp_path, b"\xff"))


def test_without_a_manifest(tmp_path: Path) -> None:
    folder = release(tmp_path, Lock(None, WHOLE))
    (folder / "spin.toml").unlink()
    with pytest.raises(ManifestMissing):
        unpack(folder)


def test_a_manifest_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ManifestError):
        unpack(release(tmp_path, Lock(None, WHOLE), "nonsense"))


@pytest.mark.parametrize(
    "components",
    [{}, {"front": ()}, {**WHOLE, "more": ()}, {**WHOLE, "unused": ()}],
    ids=["none", "few", "more", "unused"],
)
def test_other_components_than_the_manifest_calls(tmp_path: Path, components: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(BundleInvalid, match="do not have the same components"):
        unpack(release(tmp_path, Lock(None, components)))


def test_a_profile_that_the_manifest_has_not(tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid, match="`other`"):
        unpack(release(tmp_path, Lock("other", WHOLE)))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    app = unpack(release(tmp_path, Lock(None, WHOLE)))
    with pytest.raises(SourceMissing, match=r"site\.css"):
        manifest.mount(app, app.components["front"])


def test_a_link_out_of_the_folder(tmp_path: Path) -> None:
    folder = release(tmp_path, Lock(None, WHOLE))
    (folder / "files" / "front" / "assets").mkdir(parents=True)
    (folder / "files" / "front" / "assets" / "site.css").symlink_to("/etc/hostname")
    app = unpack(folder)
    with pytest.raises(ManifestError, match="out of the app's folder"):
        manifest.mount(app, app.components["front"])
