"""docs/triggers.md: its examples are manifests, its tables what a guest gets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from edged import manifest
from edged.http.cgi import variables
from edged.http.router import RouteMatch, Router, spin_headers
from edged.limits import (
    REDIS_TRIGGER_CALLS_MAX,
    REPORT_UP_S,
    SCOPE_APP_COUNT_MAX,
    SCOPE_LATE_S_MAX,
    SCOPE_LISTEN_S,
    SCOPE_RANK_MAX,
    SCOPE_SETTLE_S,
    SCOPE_SKEW_S_MAX,
    SCOPE_TAKEOVER_S,
)
from edged.manifest.model import App, CronTrigger, RedisTrigger, Scope
from edged.triggers.exports import HANDLERS
from tests.docs.tables import DOCS, names, rows
from tests.host.fakes import head

PAGE = "triggers.md"
TEXT = (DOCS / PAGE).read_text()
REQUEST = head(target="/a/b/c", headers=((b"name", b"x"), (b"content-type", b"text/plain")))


def match() -> RouteMatch[None]:
    found = Router([("/a/:name/...", None)]).match(REQUEST.path)
    assert found is not None
    return found


def examples_of_scopes(app: App) -> list[CronTrigger | RedisTrigger]:
    return [*app.cron_triggers, *app.redis_triggers]


def test_examples() -> None:
    examples = [re.sub("(?m)^    ", "", block) for block in re.findall(r"(?m)(?:^    .*\n|^\n(?=    ))+", TEXT)]
    assert len(examples) == 4
    apps = [manifest.parse(example.encode(), Path("spin.toml")) for example in examples]
    assert [len(app.http_triggers) for app in apps] == [4, 0, 0, 0]
    assert [len(app.redis_triggers) for app in apps] == [0, 1, 0, 1]
    assert [len(app.cron_triggers) for app in apps] == [0, 0, 1, 1]
    assert [manifest.unsupported(app) for app in apps] == [(), (), (), ()]
    assert [each.scope for each in examples_of_scopes(apps[3])] == ["fleet", "region"]


def test_exports() -> None:
    documented = {(names(cells[0])[0], *(names(cell)[0] for cell in cells[1:3])) for cells in rows(PAGE, "trigger")}
    assert documented == {
        (type_, handler.interface or handler.function, handler.signature)
        for type_, handlers in HANDLERS.items()
        for handler in handlers
    }


def test_headers() -> None:
    documented = {name.lower() for cells in rows(PAGE, "header") for name in names(cells[0])}
    assert documented == {name.decode() for name, _ in spin_headers(match(), REQUEST)}


def test_variables_of_a_program() -> None:
    documented = {name for cells in rows(PAGE, "variable") for name in names(cells[0])}
    assert documented | {"HTTP_CONTENT_TYPE"} == set(variables(REQUEST, match(), 1))


def test_how_many_messages_at_once() -> None:
    assert f"up to {REDIS_TRIGGER_CALLS_MAX} calls" in TEXT


def test_scopes() -> None:
    assert tuple(names(cells[0])[0] for cells in rows(PAGE, "scope")) == get_args(Scope)
    assert f"at most {SCOPE_APP_COUNT_MAX} in an app" in TEXT
    assert f"silent for {REPORT_UP_S:g} s" in TEXT
    assert f"by {SCOPE_TAKEOVER_S:g} s for each node before" in TEXT
    assert f"at most {SCOPE_RANK_MAX * SCOPE_TAKEOVER_S / 60:g} minutes" in TEXT
    assert f"is not called there for {SCOPE_SETTLE_S:g} s" in TEXT
    assert f"is replaced after {SCOPE_LISTEN_S:g} s" in TEXT
    assert (SCOPE_LATE_S_MAX, SCOPE_SKEW_S_MAX) == (300, 60), "five minutes and a minute, says the page"
