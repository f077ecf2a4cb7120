"""An image that Spin made -> a folder with an app that edged loads."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from edged import manifest
from registry.errors import OciFolderUnusable, OciInvalid, OciUnsupported, RegistryError
from registry.oci import locked_app as locked_app_module
from registry.oci import spin as spin_module
from registry.oci.layout import Layout
from registry.oci.spin import import_app
from tests.registry.oci.images import (
    ARCHIVE,
    CART,
    DATA,
    FRONT,
    SMALL,
    STYLE,
    WASM,
    Built,
    digest_of,
    image,
    inline,
    locked,
    shop,
    tar_gz,
)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def make(folder: Path) -> None:
    folder.mkdir(exist_ok=True)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


FILES = {
    "components/front.wasm": FRONT,
    "components/cart.wasm": CART,
    "files/front/assets/site.css": STYLE,
    "files/front/assets/small.txt": SMALL,
    "files/front/copy of site.css": STYLE,
}


async def refused(built: Built, folder: Path, kind: type[RegistryError]) -> str:
    """Why an image is not taken. Nothing may be left of it."""
    make(folder)
    with pytest.raises(kind) as caught:
        await import_app(built, folder / "app")
    assert names(folder) == []
    assert caught.value.remedy
    return caught.value.message


async def test_the_app_is_the_one_that_was_pushed(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    imported = await import_app(shop(), tmp_path / "app", progress=lambda done, total: seen.append((done, total)))
    total = len(FRONT) + len(CART) + len(STYLE)
    assert (seen[0], seen[-1]) == ((0, total), (total, total))
    assert (imported.name, imported.version, imported.digest) == ("shop", "1.2.0", shop().digest)
    assert (imported.component_count, imported.file_count) == (2, 3)
    found = tree(tmp_path / "app")
    del found["spin.toml"]
    assert found == FILES
    assert names(tmp_path) == ["app"]

    app = manifest.load(tmp_path / "app")
    assert (app.name, app.version, app.description, app.authors) == ("shop", "1.2.0", "A shop", ("A <a@example.com>",))
    assert manifest.unsupported(app) == ()
    assert (app.variables["api"].default, app.variables["token"].required) == ("https://example.com", True)
    assert app.variables["token"].secret
    assert [(trigger.id, trigger.route, trigger.component) for trigger in app.http_triggers] == [
        ("trigger-front", "/...", "front"),
        ("about", "/about", None),
        ("cart", None, "cart"),
    ]
    front = app.components["front"]
    assert front.environment == {"STAGE": 'li"ve\n'}
    assert front.key_value_stores == ("default",)
    assert front.sqlite_databases == ("orders",)
    assert [host.text for host in front.allowed_outbound_hosts] == ["http://cart.spin.internal", "{{ api }}"]
    assert front.variables["secret_token"].text == "{{ token }}"
    assert set(manifest.mount(app, front)) == {"/assets/site.css", "/assets/small.txt", "/copy of site.css"}


async def test_from_a_folder(tmp_path: Path) -> None:
    await import_app(Layout(shop().layout(tmp_path / "oci")), tmp_path / "app")
    assert FILES.items() <= tree(tmp_path / "app").items()


async def test_one_image_of_several(tmp_path: Path) -> None:
    other = shop(metadata={"name": "other"})
    layout = Layout(shop().layout(tmp_path / "oci", other=other))
    imported = await import_app(layout, tmp_path / "app", name="other")
    assert imported.name == "other"
    with pytest.raises(OciInvalid, match="more than one") as caught:
        await import_app(layout, tmp_path / "app2")
    assert "latest, other" in caught.value.remedy
    with pytest.raises(OciInvalid, match="named third"):
        await import_app(layout, tmp_path / "app2", name="third")


async def test_the_locked_app_as_the_config_as_early_versions_had_it(tmp_path: Path) -> None:
    early = locked(
        spin_lock_version=0, must_understand=[], metadata={"name": "shop", "trigger": {"type": "http", "base": "/"}}
    )
    built = image(early, {FRONT: WASM, CART: "application/wasm", STYLE: DATA}, as_config=True)
    await import_app(built, tmp_path / "app")
    assert manifest.load(tmp_path / "app").name == "shop"
    assert FILES.items() <= tree(tmp_path / "app").items()


async def test_files_in_archives(tmp_path: Path) -> None:
    archive = tar_gz({"assets/site.css": STYLE, "assets/other": b"not needed", "x" * 150 + "/y": b"a long path"})
    await import_app(image(locked(), {FRONT: WASM, CART: WASM, archive: ARCHIVE}), tmp_path / "app")
    assert FILES.items() <= tree(tmp_path / "app").items()


async def test_content_that_is_nowhere(tmp_path: Path) -> None:
    message = await refused(image(locked(), {FRONT: WASM, CART: WASM}), tmp_path / "a", OciInvalid)
    assert digest_of(STYLE) in message
    archive = tar_gz({"assets/other": b"other"})
    await refused(image(locked(), {FRONT: WASM, CART: WASM, archive: ARCHIVE}), tmp_path / "b", OciInvalid)


@pytest.mark.parametrize("which", [FRONT, CART, STYLE])
@pytest.mark.parametrize("how", ["other", "short", "long"])
async def test_a_layer_that_is_not_what_it_says(tmp_path: Path, which: bytes, how: str) -> None:
    built = shop()
    bad = {"other": b"!" + which[1:], "short": which[:-1], "long": which + b"!"}[how]
    built.blobs[digest_of(which)] = bad
    assert digest_of(which) in await refused(built, tmp_path / "a", OciInvalid)


async def test_a_locked_app_that_is_not_what_it_says(tmp_path: Path) -> None:
    built = shop()
    data = json.dumps(locked()).encode()
    built.blobs[digest_of(data)] = data.replace(b"shop", b"shoq")
    await refused(built, tmp_path / "a", OciInvalid)


async def test_an_image_that_is_no_spin_app(tmp_path: Path) -> None:
    built = image({"architecture": "amd64"}, {b"layer": "application/wasm"}, as_config=True)
    assert "no Spin application" in await refused(built, tmp_path / "a", OciUnsupported)


async def test_a_folder_that_is_there(tmp_path: Path) -> None:
    make(tmp_path / "app")
    with pytest.raises(OciFolderUnusable, match="there already"):
        await import_app(shop(), tmp_path / "app")
    with pytest.raises(OciFolderUnusable):
        await import_app(shop(), tmp_path / "no" / "such" / "folder")


# --- what the locked app says ---


def changed(change: Any) -> dict[str, Any]:
    value = copy.deepcopy(locked())
    change(value)
    return value


HOSTILE = {
    "version 2": (lambda app: app.update(spin_lock_version=2), OciUnsupported),
    "no version": (lambda app: app.pop("spin_lock_version"), OciInvalid),
    "must understand": (lambda app: app.update(must_understand=["quantum"]), OciUnsupported),
    "host requirement": (lambda app: app.update(host_requirements={"gpu": "required"}), OciUnsupported),
    "component's requirement": (
        lambda app: app["components"][0].update(host_requirements={"gpu": "required"}),
        OciUnsupported,
    ),
    "dependencies": (lambda app: app["components"][0].update(dependencies={"a:b/c": {}}), OciUnsupported),
    "trigger dependencies": (
        lambda app: app["triggers"][0].update(trigger_dependencies={"middleware": []}),
        OciUnsupported,
    ),
    "no name": (lambda app: app["metadata"].pop("name"), OciInvalid),
    "component twice": (lambda app: app["components"].append(app["components"][0]), OciInvalid),
    "id with a slash": (lambda app: app["components"][0].update(id="a/b"), OciInvalid),
    "id that climbs": (lambda app: app["components"][0].update(id=".."), OciInvalid),
    "id of no text": (lambda app: app["components"][0].update(id=7), OciInvalid),
    "path that climbs": (lambda app: app["components"][0]["files"][0].update(path="../x"), OciInvalid),
    "path that climbs later": (lambda app: app["components"][0]["files"][0].update(path="a/../../x"), OciInvalid),
    "absolute path": (lambda app: app["components"][0]["files"][0].update(path="//etc/passwd"), OciInvalid),
    "path with NUL": (lambda app: app["components"][0]["files"][0].update(path="a\0b"), OciInvalid),
    "path twice": (lambda app: app["components"][0]["files"][0].update(path="assets/small.txt"), OciInvalid),
    "file and folder": (lambda app: app["components"][0]["files"][0].update(path="assets"), OciInvalid),
    "no content": (lambda app: app["components"][0].update(source={"source": "file:///etc/passwd"}), OciInvalid),
    "digest of another kind": (lambda app: app["components"][0]["source"].update(digest="md5:1"), OciInvalid),
    "digest that climbs": (lambda app: app["components"][0]["source"].update(digest="sha256:../../x"), OciInvalid),
    "inline no base64": (lambda app: app["components"][0]["files"][1].update(inline="*"), OciInvalid),
    "inline of another digest": (
        lambda app: app["components"][0]["files"][1].update(digest=digest_of(b"")),
        OciInvalid,
    ),
    "null in an array": (lambda app: app["triggers"][0]["trigger_config"].update(a=[None]), OciInvalid),
    "surrogate": (lambda app: app["metadata"].update(description="\ud800"), OciInvalid),
    "environment of no text": (lambda app: app["components"][0].update(env={"A": 1}), OciInvalid),
    "components no array": (lambda app: app.update(components={}), OciInvalid),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_locked_app_that_is_refused(tmp_path: Path, name: str) -> None:
    change, kind = HOSTILE[name]
    await refused(image(changed(change), {FRONT: WASM, CART: WASM, STYLE: DATA}), tmp_path / "a", kind)


@pytest.mark.parametrize(
    "change",
    [
        lambda app: app.update(must_understand=["host_requirements", "component_host_requirements"]),
        lambda app: app.update(host_requirements={"gpu": "optional"}),
        lambda app: app.update(never_seen_before={"a": 1}),
        lambda app: app["components"][0].update(dependencies={}),
    ],
)
async def test_what_need_not_be_understood(tmp_path: Path, change: Any) -> None:
    await import_app(image(changed(change), {FRONT: WASM, CART: WASM, STYLE: DATA}), tmp_path / "app")


@pytest.mark.parametrize(
    "data",
    [
        b'{"spin_lock_version": 1, "spin_lock_version": 1}',
        b'{"spin_lock_version": NaN}',
        b"[]",
        b"\xff",
        b'{"spin_lock_version": 1, "x": ' + b"[" * 40 + b"]" * 40 + b"}",
        b"[" * 100_000,
    ],
)
async def test_json_that_is_refused(tmp_path: Path, data: bytes) -> None:
    await refused(image(data), tmp_path / "a", OciInvalid)


async def test_limits_of_the_locked_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(json.dumps(locked()).encode())
    for name, most in (
        ("OCI_COMPONENT_COUNT_MAX", 3),  # triggers count likewise
        ("OCI_FILE_COUNT_MAX", 3),
        ("OCI_INLINE_BYTES_MAX", len(SMALL)),
        ("OCI_LOCKED_APP_BYTES_MAX", size),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(locked_app_module, name, most)
            await import_app(shop(), tmp_path / name)
            patch.setattr(locked_app_module, name, most - 1)
            await refused(shop(), tmp_path / f"{name}-over", OciInvalid)


async def test_one_layer_many_times_over_is_counted_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(map(len, FILES.values()))
    monkeypatch.setattr(spin_module, "OCI_APP_BYTES_MAX", size)
    await import_app(shop(), tmp_path / "app")
    monkeypatch.setattr(spin_module, "OCI_APP_BYTES_MAX", size - 1)
    await refused(shop(), tmp_path / "a", OciInvalid)


async def test_an_empty_file_and_an_app_without_files(tmp_path: Path) -> None:
    app = locked(
        components=[{"id": "front", "source": inline(b"\0asm"), "files": [{"path": "empty", **inline(b"")}]}],
        triggers=[],
    )
    await import_app(image(app), tmp_path / "app")
    assert tree(tmp_path / "app")["files/front/empty"] == b""
    assert tree(tmp_path / "app")["components/front.wasm"] == b"\0asm"
