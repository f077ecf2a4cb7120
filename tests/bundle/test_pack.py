"""What cannot become a release is said before a byte of it is stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged import manifest
from edged.bundle import pack as pack_module
from edged.errors import (
    BundleUnusable,
    ComponentTooLarge,
    EdgedError,
    ManifestError,
    ManifestMissing,
    SourceMissing,
    Unsupported,
)
from tests.bundle.apps import SHOP, packed, write


async def refused(folder: Path, kind: type[EdgedError]) -> str:
    with pytest.raises(kind) as caught:
        await packed(folder)
    assert caught.value.remedy
    return caught.value.message


async def test_the_manifest_that_is_packed_is_the_one_on_disk(tmp_path: Path) -> None:
    folder = write(tmp_path)
    stale = manifest.load(folder)
    (folder / "spin.toml").write_text(SHOP.replace("1.2.0", "1.3.0"))
    found = await pack_module.pack(stale, sources=tmp_path)
    assert found.app.version == "1.3.0"
    assert [content.path for content in found.contents] == sorted(content.path for content in found.contents)
    assert found.size_bytes == sum(content.size_bytes for content in found.contents)


async def test_a_manifest_that_went_away(tmp_path: Path) -> None:
    folder = write(tmp_path)
    stale = manifest.load(folder)
    (folder / "spin.toml").unlink()
    with pytest.raises(ManifestMissing):
        await pack_module.pack(stale, sources=tmp_path)


async def test_an_app_without_a_trigger(tmp_path: Path) -> None:
    text = 'spin_manifest_version = 2\n[application]\nname = "none"\n'
    assert "no trigger" in await refused(write(tmp_path, text, {}), ManifestError)


async def test_a_name_that_no_release_can_have(tmp_path: Path) -> None:
    assert "My Shop" in await refused(write(tmp_path, SHOP.replace('"shop"', '"My Shop"')), ManifestError)


async def test_a_version_at_the_limit_and_what_is_none(tmp_path: Path) -> None:
    for index, (version, is_one) in enumerate((("1" * 128, True), ("1" * 129, False), ("1\\n2", False), ("", True))):
        folder = write(tmp_path / str(index), SHOP.replace("1.2.0", version))
        if is_one:
            await packed(folder)
        else:
            assert "`version`" in await refused(folder, ManifestError)


async def test_what_this_edged_does_not_have(tmp_path: Path) -> None:
    text = SHOP + '[[trigger.sqs]]\ncomponent = "front"\n'
    assert "sqs" in await refused(write(tmp_path, text), Unsupported)


async def test_a_component_that_was_not_built(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "front.wat").unlink()
    assert "component `front`" in await refused(folder, SourceMissing)


async def test_a_placement_that_is_wrong(tmp_path: Path) -> None:
    text = SHOP.replace("[[trigger.http]]", "[application.tool.edged]\nhost = []\n[[trigger.http]]", 1)
    assert "spin.toml:6: unknown field" in await refused(write(tmp_path, text), ManifestError)


@pytest.mark.parametrize("name", ["line\nbreak", "back\\slash", "u\u0308ber"])
async def test_a_file_name_that_not_every_node_could_have(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path)
    (folder / "assets" / name).write_text("x")
    await refused(folder, BundleUnusable)


async def test_file_names_that_differ_by_case_only(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "assets" / "SITE.css").write_text("x")
    assert "case" in await refused(folder, BundleUnusable)


async def test_a_component_at_the_limit_and_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path)
    size = (folder / "front.wat").stat().st_size
    monkeypatch.setattr(pack_module, "COMPONENT_BYTES_MAX", size)
    await packed(folder)
    monkeypatch.setattr(pack_module, "COMPONENT_BYTES_MAX", size - 1)
    assert "front" in await refused(folder, ComponentTooLarge)


async def test_as_many_files_as_may_be_and_one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path)
    count = len((await packed(folder)).contents)
    monkeypatch.setattr(pack_module, "RELEASE_ENTRY_COUNT_MAX", count)
    await packed(folder)
    monkeypatch.setattr(pack_module, "RELEASE_ENTRY_COUNT_MAX", count - 1)
    await refused(folder, BundleUnusable)


async def test_names_as_long_as_the_lock_takes_and_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path)
    lock = next(content for content in (await packed(folder)).contents if content.path == "lock.msgpack")
    monkeypatch.setattr(pack_module, "LOCK_BYTES_MAX", lock.size_bytes)
    await packed(folder)
    monkeypatch.setattr(pack_module, "LOCK_BYTES_MAX", lock.size_bytes - 1)
    await refused(folder, BundleUnusable)
