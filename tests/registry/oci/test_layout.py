"""An image in a folder that somebody gave us."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from registry.errors import OciInvalid, OciMissing, RegistryError
from registry.limits import OCI_MANIFEST_BYTES_MAX
from registry.oci.layout import Layout, is_layout
from registry.oci.spin import import_app
from tests.registry.oci.images import FRONT, MANIFEST, described, digest_of, shop


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shop().layout(tmp_path / "oci")


def blob(folder: Path) -> Path:
    return folder / "blobs" / "sha256" / digest_of(FRONT).removeprefix("sha256:")


async def refused(folder: Path, kind: type[RegistryError]) -> str:
    with pytest.raises(kind) as caught:
        await import_app(Layout(folder), folder.parent / "app")
    return caught.value.message


def test_what_looks_like_one(folder: Path, tmp_path: Path) -> None:
    assert is_layout(folder)
    assert not is_layout(tmp_path)


async def test_a_missing_layer(folder: Path) -> None:
    blob(folder).unlink()
    await refused(folder, OciMissing)


async def test_a_layer_that_is_a_link(folder: Path) -> None:
    (folder / "elsewhere").write_bytes(FRONT)
    blob(folder).unlink()
    blob(folder).symlink_to(folder / "elsewhere")
    await refused(folder, OciInvalid)


async def test_a_layer_that_is_a_pipe_holds_nobody_up(folder: Path) -> None:
    blob(folder).unlink()
    os.mkfifo(blob(folder))
    assert "regular" in await refused(folder, OciInvalid)


async def test_a_layer_that_is_a_folder(folder: Path) -> None:
    blob(folder).unlink()
    blob(folder).mkdir()
    await refused(folder, OciInvalid)


@pytest.mark.parametrize("change", [b"", FRONT[:-1], FRONT + b"x", b"x" * len(FRONT)])
async def test_a_layer_of_other_bytes(folder: Path, change: bytes) -> None:
    blob(folder).write_bytes(change)
    assert digest_of(FRONT) in await refused(folder, OciInvalid)


async def test_another_version_of_layouts(folder: Path) -> None:
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "2.0.0"}')
    assert "1.0.0" in await refused(folder, OciInvalid)


async def test_an_index_at_the_limit_and_over(folder: Path) -> None:
    index = folder / "index.json"
    index.write_bytes(index.read_bytes().ljust(OCI_MANIFEST_BYTES_MAX))
    await import_app(Layout(folder), folder.parent / "at-the-limit")
    index.write_bytes(index.read_bytes() + b" ")
    await refused(folder, OciInvalid)


async def test_an_index_of_an_index_of_an_index(folder: Path) -> None:
    data = (folder / "index.json").read_bytes()
    for count in range(1, 4):
        (folder / "blobs" / "sha256" / digest_of(data).removeprefix("sha256:")).write_bytes(data)
        above = {"schemaVersion": 2, "manifests": [described("application/vnd.oci.image.index.v1+json", data)]}
        data = json.dumps(above).encode()
        (folder / "index.json").write_bytes(data)
        if count == 1:
            await import_app(Layout(folder), folder.parent / "shallow")
    assert "index of an index" in await refused(folder, OciInvalid)


@pytest.mark.parametrize(
    "index",
    [
        {"schemaVersion": 1, "manifests": []},
        {"schemaVersion": 2, "manifests": []},
        {"schemaVersion": 2},
        {"schemaVersion": 2, "manifests": [{**described(MANIFEST, b""), "size": -1}]},
        {"schemaVersion": 2, "manifests": [{**described(MANIFEST, b""), "size": 10 * 1024**3}]},
        {"schemaVersion": 2, "manifests": [{**described(MANIFEST, b""), "size": True}]},
        {"schemaVersion": 2, "manifests": [{**described(MANIFEST, b""), "digest": "sha256:../../x"}]},
        {"schemaVersion": 2, "mediaType": "text/html", "manifests": []},
    ],
)
async def test_an_index_that_is_none(folder: Path, index: object) -> None:
    (folder / "index.json").write_text(json.dumps(index))
    await refused(folder, OciInvalid)
