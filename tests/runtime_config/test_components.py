"""Components that a runtime config names."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.errors import RuntimeConfigError
from edged.manifest import App, parse, subset
from edged.runtime_config.components import check_components
from edged.runtime_config.model import ClientTls, RuntimeConfig


@pytest.fixture
def app() -> App:
    text = 'spin_manifest_version = 2\napplication.name = "app"\n'
    for id_ in ("front", "back"):
        text += f'[component.{id_}]\nsource = "a"\n[[trigger.http]]\nroute = "/{id_}"\ncomponent = "{id_}"\n'
    return parse(text.encode(), Path("spin.toml"))


def naming(*entries: tuple[str, ...]) -> RuntimeConfig:
    return RuntimeConfig(client_tls=tuple(ClientTls(ids, ("a.test",)) for ids in entries))


def test_components_of_the_app(app: App) -> None:
    check_components(app, RuntimeConfig())
    check_components(app, naming(("front",), ("back", "front")))


def test_a_component_that_is_not_served(app: App) -> None:
    check_components(subset(app, ["back"]), naming(("front", "back")))
    check_components(subset(subset(app, ["front", "back"]), ["back"]), naming(("front",)))


def test_all_others_are_named(app: App) -> None:
    for part in (app, subset(app, ["back"])):
        with pytest.raises(RuntimeConfigError) as raised:
            check_components(part, naming(("front", "frnt"), ("x", "frnt")))
        assert raised.value.message.splitlines() == [
            "`component_ids` of [[client_tls]] has `frnt`, which app does not, did you mean `front`?",
            "`component_ids` of [[client_tls]] has `x`, which app does not",
        ]
        assert "component_ids" in raised.value.remedy
