"""What is said of an app's triggers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from edged import manifest
from edged.up.trigger import Route, Scheduled, Subscribed, triggers_of

MANIFEST = """
spin_manifest_version = 2
[application]
name = "app"
[variables]
password = { required = true, secret = true }
topic = { default = "a" }
[application.trigger.redis]
address = "redis://me:{{ password }}@[::1]:7000/3"
[[trigger.redis]]
channel = "news.{{ topic }}"
component = "listener"
[[trigger.cron]]
cron_expression = "0 */5 * * * *"
component = "clock"
[[trigger.cron]]
cron_expression = "0 0 0 1 1 * 2020"
component = "clock"
[component.clock]
source = "clock.wasm"
[component.listener]
source = "listener.wasm"
"""
ROUTES = """
spin_manifest_version = 2
[application]
name = "app"
[[trigger.http]]
route = "/x/..."
component = "x"
executor = { type = "wagi" }
[[trigger.http]]
route = { private = true }
component = "x"
[[trigger.http]]
route = "/static"
static_response = { status_code = 200 }
[component.x]
source = "x.wasm"
"""


def test_triggers_without_their_passwords() -> None:
    model = manifest.parse(MANIFEST.encode(), Path("spin.toml"))
    values = {"password": "geheim", "topic": "a"}
    found = triggers_of(model, values, datetime(2026, 11, 21, 3, 32, 1, tzinfo=UTC))
    assert found == (
        Subscribed("app", "listener", "news.a", "[::1]:7000"),
        Scheduled("app", "clock", "0 */5 * * * *", None),
        Scheduled("app", "clock", "0 0 0 1 1 * 2020", None),
    )
    assert [trigger.next for trigger in found if isinstance(trigger, Scheduled)] == ["2026-11-21T03:35:00Z", None]


def test_routes() -> None:
    app = manifest.parse(ROUTES.encode(), Path("spin.toml"))
    assert Route.all_of(app, "http://h:1") == (
        Route("app", "/x/...", "http://h:1/x/...", "x", "wagi"),
        Route("app", None, "http://x.spin.internal/...", "x"),
        Route("app", "/static", "http://h:1/static", None, None),
    )
