"""`scopes` of `[application.tool.edged]`."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged import manifest
from edged.bundle.placement import parse_placement
from edged.errors import ManifestError
from edged.limits import SCOPE_APP_COUNT_MAX
from edged.manifest.model import App, CronTrigger, RedisTrigger

APP = """
spin_manifest_version = 2
[application]
name = "app"
[application.trigger.redis]
address = "redis://redis.test"
{tool}
[[trigger.cron]]
id = "nightly"
cron_expression = "@daily"
component = "a"
[[trigger.cron]]
cron_expression = "@hourly"
component = "a"
[[trigger.redis]]
id = "news"
channel = "news"
component = "a"
[[trigger.http]]
id = "front"
route = "/"
component = "a"
[component.a]
source = "a.wasm"
"""


def app(scopes: str | None = None) -> App:
    tool = "" if scopes is None else f"[application.tool.edged]\nscopes = {scopes}"
    return manifest.parse(APP.format(tool=tool).encode(), Path("spin.toml"))


def found(app: App) -> dict[str, str]:
    return {each.id: each.scope for each in app.triggers if isinstance(each, CronTrigger | RedisTrigger)}


def test_without_a_word_each_node_calls() -> None:
    assert found(app()) == found(app("{}")) == dict.fromkeys(("nightly", "a-cron-trigger", "news"), "node")


def test_scopes_are_by_id_also_by_one_that_nobody_wrote() -> None:
    scopes = '{ nightly = "fleet", a-cron-trigger = "region", news = "node" }'
    assert found(app(scopes)) == {"nightly": "fleet", "a-cron-trigger": "region", "news": "node"}


@pytest.mark.parametrize(
    ("scopes", "reason"),
    [
        ('{ nightly = "planet" }', "must be one of `node`, `region`, `fleet`"),
        ("{ nightly = 1 }", "must be a string"),
        ('"fleet"', "must be a table"),
        ('{ nightli = "fleet" }', "there is no trigger with the id"),
        ('{ front = "fleet" }', "is neither of type `cron` nor `redis`"),
    ],
)
def test_what_cannot_be_is_said_with_its_line(scopes: str, reason: str) -> None:
    with pytest.raises(ManifestError, match=r"spin\.toml:8: ") as caught:
        app(scopes)
    assert reason in caught.value.message


@pytest.mark.parametrize(("count", "fits"), [(SCOPE_APP_COUNT_MAX, True), (SCOPE_APP_COUNT_MAX + 1, False)])
def test_scopes_of_an_app_are_bounded(count: int, fits: bool) -> None:
    triggers = "".join(
        f'[[trigger.cron]]\nid = "t{number}"\ncron_expression = "@daily"\ncomponent = "a"\n' for number in range(count)
    )
    scopes = ", ".join(f't{number} = "fleet"' for number in range(count))
    text = APP.format(tool=f"[application.tool.edged]\nscopes = {{ {scopes} }}") + triggers
    if fits:
        assert list(found(manifest.parse(text.encode(), Path("spin.toml"))).values()).count("fleet") == count
    else:
        with pytest.raises(ManifestError, match="entries at most"):
            manifest.parse(text.encode(), Path("spin.toml"))


def test_the_placement_leaves_them_to_the_manifest() -> None:
    tool = '[application.tool.edged]\nregions = ["eu"]\nscopes = { nightly = "fleet" }'
    assert parse_placement(APP.format(tool=tool).encode(), Path("spin.toml")).regions == ("eu",)
