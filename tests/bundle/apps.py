"""Apps in a folder that become releases, and releases that become folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import httpx

from edged import manifest
from edged.bundle.pack import Packed, pack, store
from registry.checkout import Checkouts
from registry.chunk_store import ChunkStore
from registry.limits import MiB
from registry.release import Release

SHOP = """spin_manifest_version = 2
[application]
name = "shop"
version = "1.2.0"
[[trigger.http]]
route = "/..."
component = "front"
[[trigger.http]]
route = "/about"
static_response = { status_code = 200, body = "a shop" }
[[trigger.http]]
route = "/cart"
component = "cart"
[component.front]
source = "front.wat"
environment = { STAGE = "live" }
files = ["assets/**/*", { source = "notes", destination = "/docs" }]
exclude_files = ["assets/*.map"]
[component.front.profile.debug]
source = "front-debug.wat"
environment = { STAGE = "test" }
[component.cart]
source = "../target/cart.wat"
[component.unused]
source = "nowhere.wasm"
"""

SHOP_FILES = {
    "shop/front.wat": "(component $front)",
    "shop/front-debug.wat": "(component $debug)",
    "shop/assets/site.css": "a { }",
    "shop/assets/site.css.map": "{}",
    "shop/assets/deep/er/.hidden": "x",
    "shop/assets/empty": "",
    "shop/notes/read me [1].txt": "note",
    "target/cart.wat": "(component $cart)",
}


def write(folder: Path, text: str = SHOP, files: Mapping[str, str] = SHOP_FILES) -> Path:
    """The folder of an app, `shop`, inside of `folder`."""
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "spin.toml").write_text(text)
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return folder / "shop"


async def packed(app: Path, *, profile: str | None = None, transport: httpx.AsyncBaseTransport | None = None) -> Packed:
    model = manifest.load(app, profile=profile)
    return await pack(model, sources=app.parent / "sources", transport=transport)


def checked_out(packed: Packed, folder: Path) -> tuple[Release, Path]:
    """The release, stored, and the folder with its files, as a node has them."""
    chunks = ChunkStore(folder / "store", 256 * MiB, reserve_bytes=0)
    release = store(packed, chunks)
    return release, Checkouts(folder / "checkouts", chunks).make(release.digest, Release.parse(release.encode()))
