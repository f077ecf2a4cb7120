"""Images as `spin registry push` makes them, built here: in memory, as a folder, or pushed to a real registry."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from registry.oci.image import Take
from registry.oci.manifest import Descriptor

CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LOCKED_APP = "application/vnd.fermyon.spin.application.v1+config"
WASM = "application/vnd.wasm.content.layer.v1+wasm"
DATA = "application/vnd.wasm.content.layer.v1+data"
ARCHIVE = "application/vnd.wasm.content.bundle.v1.tar+gzip"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Built:
    """An image: its manifest, and everything by digest. An `Image` itself; a test may change any of it."""

    manifest_bytes: bytes = b""
    blobs: dict[str, bytes] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return digest_of(self.manifest_bytes)

    async def manifest(self, descriptor: Descriptor | None) -> bytes:
        return self.manifest_bytes if descriptor is None else self.blobs[descriptor.digest]

    async def read(self, descriptor: Descriptor, take: Take) -> None:
        data = self.blobs[descriptor.digest]
        for start in range(0, len(data), 7):
            await take(data[start : start + 7])

    def layout(self, folder: Path, name: str = "latest", **more: Built) -> Path:
        """As a folder with one image, or several by name."""
        (folder / "blobs" / "sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        descriptors = []
        for tag, image in {name: self, **more}.items():
            for digest, data in {image.digest: image.manifest_bytes, **image.blobs}.items():
                (folder / "blobs" / "sha256" / digest.removeprefix("sha256:")).write_bytes(data)
            annotations = {"org.opencontainers.image.ref.name": tag}
            descriptors.append({**described(MANIFEST, image.manifest_bytes), "annotations": annotations})
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": descriptors}))
        return folder

    def push(self, base: str, repository: str, tag: str, auth: tuple[str, str] | None = None) -> None:
        """To a registry (distribution-spec: pushing, a blob in one piece)."""
        with httpx.Client(base_url=base, auth=auth) as client:
            for digest, data in self.blobs.items():
                begun = client.post(f"/v2/{repository}/blobs/uploads/")
                assert begun.status_code == 202, begun.text
                put = client.put(
                    httpx.URL(begun.headers["location"]).copy_merge_params({"digest": digest}), content=data
                )
                assert put.status_code == 201, put.text
            put = client.put(
                f"/v2/{repository}/manifests/{tag}", content=self.manifest_bytes, headers={"content-type": MANIFEST}
            )
            assert put.status_code == 201, put.text


def described(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def image(
    locked: Mapping[str, Any] | bytes, layers: Mapping[bytes, str] | None = None, *, as_config: bool = False
) -> Built:
    """An image of these layers (content -> media type) and the locked app: the last of them, or the config."""
    data = locked if isinstance(locked, bytes) else json.dumps(locked).encode()
    config = json.dumps(
        {
            "architecture": "wasm",
            "os": "Wasip1",
            "config": {"Labels": {"com.fermyon.spin.lockedAppDigest": digest_of(data)}},
            "rootfs": {"type": "layers", "diff_ids": []},
        }
    ).encode()
    all_layers = dict(layers or {})
    if as_config:
        config = data
    else:
        all_layers[data] = LOCKED_APP
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described(CONFIG, config),
        "layers": [described(media_type, content) for content, media_type in all_layers.items()],
    }
    blobs = {digest_of(content): content for content in (config, *all_layers)}
    return Built(json.dumps(manifest).encode(), blobs)


def inline(data: bytes) -> dict[str, str]:
    return {"inline": base64.b64encode(data).decode(), "digest": digest_of(data)}


def tar_gz(members: Mapping[str, bytes], *more: tarfile.TarInfo) -> bytes:
    """An archive as Spin makes it: of a folder, named `.`; and members of the test's own."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT) as tar:
        top = tarfile.TarInfo("./")
        top.type = tarfile.DIRTYPE
        tar.addfile(top)
        for name, data in members.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in more:
            tar.addfile(info, io.BytesIO(b"x" * info.size) if info.isreg() else None)
    return out.getvalue()


FRONT = b"(component $front)" + b" " * 200
CART = b"\0asm" + bytes(range(256)) * 64
STYLE = b"a { color: red }" * 50
SMALL = b"tiny"


def locked(**changes: Any) -> dict[str, Any]:
    """The locked app of a shop, with other top-level keys as a test needs them."""
    return {
        "spin_lock_version": 1,
        "must_understand": ["component_host_requirements"],
        "metadata": {
            "name": "shop",
            "version": "1.2.0",
            "description": "A shop",
            "authors": ["A <a@example.com>"],
            "triggers": {"http": {}},
            "trigger": {"type": "http"},
        },
        "variables": {
            "api": {"default": "https://example.com"},
            "token": {"description": "for the api", "secret": True},
        },
        "triggers": [
            {
                "id": "trigger-front",
                "trigger_type": "http",
                "trigger_config": {"component": "front", "route": "/...", "executor": None},
            },
            {
                "id": "about",
                "trigger_type": "http",
                "trigger_config": {"route": "/about", "static_response": {"body": "hi"}},
            },
            {"id": "cart", "trigger_type": "http", "trigger_config": {"component": "cart", "route": {"private": True}}},
        ],
        "components": [
            {
                "id": "front",
                "metadata": {
                    "description": "The front",
                    "allowed_outbound_hosts": ["http://cart.spin.internal", "{{ api }}"],
                    "key_value_stores": ["default"],
                    "databases": ["orders"],
                    "ai_models": [],
                    "build": {"command": "make"},
                },
                "source": {"content_type": "application/wasm", "digest": digest_of(FRONT)},
                "env": {"STAGE": 'li"ve\n'},
                "config": {"secret_token": "{{ token }}"},
                "files": [
                    {"path": "assets/site.css", "digest": digest_of(STYLE)},
                    {"path": "assets/small.txt", **inline(SMALL)},
                    {"path": "/copy of site.css", "digest": digest_of(STYLE)},
                ],
                "host_requirements": {"local_service_chaining": "required"},
            },
            {"id": "cart", "source": {"content_type": "application/wasm", "digest": digest_of(CART)}},
        ],
        **changes,
    }


def shop(**changes: Any) -> Built:
    return image(locked(**changes), {FRONT: WASM, CART: WASM, STYLE: DATA})
