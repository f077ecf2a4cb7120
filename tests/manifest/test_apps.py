"""Whole manifests as people have them, one file each in `apps/`."""

from pathlib import Path

import pytest

from edged.errors import VariableError
from edged.manifest import App, component_values, load, resolve, subset, unsupported
from edged.manifest.model import (
    Build,
    FilePattern,
    FilePlacement,
    HttpTrigger,
    PathSource,
    StaticResponse,
    UrlSource,
    WagiExecutor,
)
from edged.manifest.outbound import allowed_hosts

APPS = Path(__file__).parent / "apps"
DIGEST = "sha256:ef88708817e107bf49985c7cefe4dd1f199bf26f6727819183d5c996baa3d148"


def app(name: str, profile: str | None = None) -> App:
    return load(APPS / f"{name}.toml", profile=profile)


@pytest.mark.parametrize("file", sorted(APPS.glob("*.toml")), ids=lambda file: file.stem)
def test_every_file_loads(file: Path) -> None:
    loaded = load(file)
    assert loaded.name
    assert all(trigger.component in loaded.components for trigger in loaded.triggers if trigger.component)


def test_js_hono() -> None:
    loaded = app("js-hono")
    [trigger] = loaded.triggers
    assert trigger == HttpTrigger("js-hono-http-trigger", "js-hono", None, "/...")
    component = loaded.components["js-hono"]
    assert component.source == PathSource(APPS / "dist/js-hono.wasm")
    assert component.build == Build(("npm install", "npm run build"), APPS, ("src/**/*.ts",))
    assert unsupported(loaded) == ()
    assert loaded.warnings == ()


def test_python_kv() -> None:
    loaded = app("python-kv")
    component = loaded.components["python-kv"]
    with pytest.raises(VariableError, match=r"/python-kv\.toml:12: the required variable `api_token`"):
        resolve(loaded, {})
    values = resolve(loaded, {"api_token": "t"})
    assert component_values(component, values) == {"greeting": "hello", "token": "t"}
    hosts = allowed_hosts(component.id, component.allowed_outbound_hosts, values)
    assert hosts.allows("https", "hello.example.com")
    assert not hosts.allows("https", "bye.example.com")
    assert component.key_value_stores == component.sqlite_databases == ("default",)


def test_rust_workspace() -> None:
    loaded = app("rust-workspace")
    assert [(t.id, t.component, t.route) for t in loaded.http_triggers] == [
        ("front", "front", "/api/..."),
        ("back-end-http-trigger", "back-end", None),
        ("http-trigger1", None, "/"),
        ("ui-http-trigger", "ui", "/ui/..."),
    ]
    assert loaded.http_triggers[2].static_response == StaticResponse(302, (("location", "/ui/"),))
    assert loaded.components["ui"].files == (FilePlacement("assets", "/"), FilePattern("robots.txt"))
    assert isinstance(source := loaded.components["ui"].source, UrlSource)
    assert source.digest == DIGEST
    assert list(subset(loaded, ["ui"]).components) == ["ui"]
    assert unsupported(loaded) == ()


def test_rust_workspace_debug() -> None:
    front = app("rust-workspace", "debug").components["front"]
    assert front.source == PathSource(APPS / "../target/wasm32-wasip1/debug/front.wasm")
    assert front.build is not None
    assert front.build.commands == ("cargo build --target wasm32-wasip1",)
    assert front.build.workdir == APPS / "front"


def test_go_redis() -> None:
    loaded = app("go-redis")
    assert [(t.id, t.component) for t in loaded.triggers] == [
        ("orders-redis-trigger", "orders"),
        ("http-trigger1", "http-trigger1-component"),
    ]
    [orders] = loaded.redis_triggers
    assert (orders.channel.text, orders.address.text) == ("orders", "redis://localhost:6379")
    assert unsupported(loaded) == ()


def test_v1_site() -> None:
    loaded = app("v1-bartholomew")
    assert list(loaded.components) == ["site-cms", "fileserver"]
    hosts = [host.text for host in loaded.components["fileserver"].allowed_outbound_hosts]
    assert hosts[3:] == ["http://*:*", "https://*:*", "http://self"]
    assert loaded.http_triggers[0].executor == WagiExecutor()
    assert unsupported(loaded) == ()
    assert [warning.split(" ")[0] for warning in loaded.warnings] == [
        "v1-bartholomew.toml:6:",
        "v1-bartholomew.toml:20:",
    ]
