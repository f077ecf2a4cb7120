"""An app, packed, stored, checked out, unpacked: the same app, whatever its files were and wherever they are now."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import httpx
import pytest

from edged import manifest
from edged.app import LoadOptions
from edged.bundle.unpack import unpack
from edged.manifest.model import App, PathSource
from edged.wasm.engine import PoolConfig
from edged.worker.worker import open_worker
from tests.bundle.apps import SHOP, checked_out, packed, write
from tests.conftest import GuestPath
from tests.guests import wat
from tests.host.fakes import FakeExchange, head

_ROOT = Path(__file__).parents[2]
_POOL = PoolConfig(instances=10, core_instances=100, memories=50, tables=50)


def bytes_of(app: App) -> dict[str, tuple[bytes, dict[str, bytes]]]:
    """Component -> its bytes, and guest path -> bytes of each of its files."""
    found = {}
    for trigger in app.triggers:
        if trigger.component is not None:
            component = app.components[trigger.component]
            assert isinstance(component.source, PathSource)
            files = {guest: host.read_bytes() for guest, host in manifest.mount(app, component).items()}
            found[component.id] = (component.source.path.read_bytes(), files)
    return found


@pytest.mark.parametrize("profile", [None, "debug"])
async def test_files_sources_and_profiles(tmp_path: Path, profile: str | None) -> None:
    folder = write(tmp_path)
    before = manifest.load(folder, profile=profile)
    expected = bytes_of(before)
    _, checkout = checked_out(await packed(folder, profile=profile), tmp_path / "node")
    shutil.rmtree(folder)
    shutil.rmtree(tmp_path / "target")
    after = unpack(checkout)

    assert bytes_of(after) == expected
    assert expected["front"][0] == (b"(component $debug)" if profile else b"(component $front)")
    assert set(expected["front"][1]) == {
        "/assets/site.css",
        "/assets/deep/er/.hidden",
        "/assets/empty",
        "/docs/read me [1].txt",
    }
    assert after.components["front"].environment == {"STAGE": "test" if profile else "live"}
    assert (after.triggers, after.name, after.version, after.variables, after.profile) == (
        before.triggers,
        before.name,
        before.version,
        before.variables,
        before.profile,
    )
    assert "unused" not in after.components, "no trigger calls it, so it was not packed"
    assert after.left_out == {"unused"}


async def test_everything_that_is_read_is_inside_of_the_folder(tmp_path: Path) -> None:
    _, checkout = checked_out(await packed(write(tmp_path)), tmp_path / "node")
    app = unpack(checkout)
    for component in app.components.values():
        assert isinstance(component.source, PathSource)
        for path in (component.source.path, *manifest.mount(app, component).values()):
            assert path.resolve().is_relative_to(checkout.resolve())


async def test_the_same_files_are_the_same_release(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a"), write(tmp_path / "somewhere" / "else")
    os.utime(second / "front.wat", (1, 1))
    (second / "front.wat").chmod(0o600)
    releases = [
        checked_out(await packed(folder), tmp_path / f"node{index}")[0] for index, folder in enumerate((first, second))
    ]
    assert releases[0].digest == releases[1].digest
    assert releases[0].encode() == releases[1].encode()


@pytest.mark.parametrize("changed", ["spin.toml", "front.wat", "assets/site.css"])
async def test_any_other_byte_is_another_release(tmp_path: Path, changed: str) -> None:
    folder = write(tmp_path)
    before, _ = checked_out(await packed(folder), tmp_path / "node1")
    with (folder / changed).open("a") as file:
        file.write("\n")
    after, _ = checked_out(await packed(folder), tmp_path / "node2")
    assert before.digest != after.digest


async def test_a_component_that_is_fetched(tmp_path: Path) -> None:
    body = b"\0asm and more"
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    source = f'source = {{ url = "https://example.com/c.wasm", digest = "{digest}" }}'
    folder = write(tmp_path, SHOP.replace('source = "../target/cart.wat"', source))
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, stream=httpx.ByteStream(body)))
    _, checkout = checked_out(await packed(folder, transport=transport), tmp_path / "node")
    assert bytes_of(unpack(checkout))["cart"][0] == body


async def test_only_static_responses(tmp_path: Path) -> None:
    text = 'spin_manifest_version = 2\n[application]\nname = "static"\n[[trigger.http]]\nroute = "/"\n'
    folder = write(tmp_path, text + 'static_response = { body = "hello" }\n', {})
    release, checkout = checked_out(await packed(folder), tmp_path / "node")
    assert [entry.path for entry in release.entries] == ["lock.msgpack", "spin.toml"]
    app = unpack(checkout)
    assert app.http_triggers[0].static_response is not None
    assert app.http_triggers[0].static_response.body == b"hello"
    assert not app.components


async def test_inline_components_and_manifest_version_1(tmp_path: Path) -> None:
    inline = """spin_manifest_version = 2
[application]
name = "inline"
[[trigger.http]]
route = "/..."
[trigger.http.component]
source = "front.wat"
files = ["assets/site.css"]
"""
    v1 = """spin_manifest_version = "1"
name = "old"
trigger = { type = "http" }
[[component]]
id = "Front_Door"
source = "front.wat"
files = ["assets/site.css"]
[component.trigger]
route = "/..."
"""
    for index, text in enumerate((inline, v1)):
        folder = write(tmp_path / str(index), text)
        before = bytes_of(manifest.load(folder))
        _, checkout = checked_out(await packed(folder), tmp_path / f"node{index}")
        assert bytes_of(unpack(checkout)) == before
        ((_, files),) = before.values()
        assert files == {"/assets/site.css": b"a { }"}


def built_example(tmp_path: Path, name: str, guest: Path) -> Path:
    """An example with what its SDK makes of it, as after its build."""
    folder = tmp_path / name
    shutil.copytree(_ROOT / "examples" / name, folder)
    (component,) = manifest.load(folder).components.values()
    assert isinstance(component.source, PathSource)
    shutil.copy(guest, component.source.path)
    return folder


@pytest.mark.parametrize("name", ["cron-python", "hello-js", "hello-python", "hello-python5", "streaming-c"])
async def test_the_examples(tmp_path: Path, guest_path: GuestPath, name: str) -> None:
    folder = built_example(tmp_path, name, guest_path(name))
    before = manifest.load(folder)
    expected = bytes_of(before)
    release, checkout = checked_out(await packed(folder), tmp_path / "node")
    shutil.rmtree(folder)
    assert release.app == before.name
    assert bytes_of(unpack(checkout)) == expected


async def test_what_was_unpacked_is_served(tmp_path: Path) -> None:
    files = {"shop/front.wat": wat.text("hello"), "shop/assets/site.css": "a { }"}
    text = SHOP.partition('[[trigger.http]]\nroute = "/cart"')[0]
    text += '[component.front]\nsource = "front.wat"\nfiles = ["assets/*"]\n'
    folder = write(tmp_path, text, files)
    _, checkout = checked_out(await packed(folder), tmp_path / "node")
    shutil.rmtree(folder)
    async with open_worker(tmp_path / "cache", _POOL) as worker:
        loaded = await worker.load(unpack(checkout), LoadOptions(sources=tmp_path / "sources"))
        try:
            exchange = FakeExchange(head(target="/"))
            await loaded.http.handle(exchange)
            assert exchange.status == 200
            about = FakeExchange(head(target="/about"))
            await loaded.http.handle(about)
            assert (about.status, about.body) == (200, b"a shop")
        finally:
            loaded.close()
