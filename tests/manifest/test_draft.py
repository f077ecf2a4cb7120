"""Ids of triggers and of inline components."""

from collections.abc import Callable

import pytest

from edged.manifest import App

AppOf = Callable[..., App]
ProblemsOf = Callable[..., list[str]]

COMPONENTS = '[component.a]\nsource = "a.wasm"\n[component.b]\nsource = "b.wasm"\n'
A = '[[trigger.http]]\nroute = "/"\ncomponent = "a"\n'
STATIC = '[[trigger.http]]\nroute = "/"\nstatic_response = {}\n'
INLINE = '[[trigger.http]]\nroute = "/"\ncomponent = { source = "i.wasm" }\n'
REDIS = '[[trigger.redis]]\nchannel = "c"\naddress = "redis://r"\ncomponent = "a"\n'


@pytest.mark.parametrize(
    ("triggers", "ids"),
    [
        (A, ["a-http-trigger"]),
        (A + A, ["a-http-trigger", "http-trigger1"]),
        (A + A + A, ["a-http-trigger", "http-trigger1", "http-trigger2"]),
        (A + REDIS, ["a-http-trigger", "a-redis-trigger"]),
        (STATIC + STATIC, ["http-trigger1", "http-trigger2"]),
        (A + 'id = "mine"\n', ["mine"]),
        (A + STATIC + 'id = "a-http-trigger"\n', ["http-trigger1", "a-http-trigger"]),
        (STATIC + STATIC + 'id = "http-trigger1"\n', ["http-trigger2", "http-trigger1"]),
        (INLINE, ["http-trigger1"]),
    ],
)
def test_trigger_ids(app_of: AppOf, triggers: str, ids: list[str]) -> None:
    assert [trigger.id for trigger in app_of(triggers + COMPONENTS).triggers] == ids


def test_trigger_id_that_is_taken(problems_of: ProblemsOf) -> None:
    text = STATIC + 'id = "x"\n' + REDIS + 'id = "x"\n' + COMPONENTS
    assert problems_of(text) == ["5: the trigger id `x` is taken by the trigger on line 4"]


@pytest.mark.parametrize(
    ("triggers", "components", "inline"),
    [
        (INLINE, "", ["http-trigger1-component"]),
        (INLINE + INLINE, "", ["http-trigger1-component", "http-trigger2-component"]),
        (INLINE + 'id = "mine"\n', "", ["mine-component"]),
        (INLINE + 'id = "not kebab"\n', "", ["inline-component1"]),
        (INLINE, '[component.http-trigger1-component]\nsource = "x"\n', ["inline-component1"]),
        (
            INLINE,
            '[component.http-trigger1-component]\nsource = "x"\n[component.inline-component1]\nsource = "x"\n',
            ["inline-component2"],
        ),
    ],
)
def test_inline_component_ids(app_of: AppOf, triggers: str, components: str, inline: list[str]) -> None:
    app = app_of(triggers + components)
    assert [trigger.component for trigger in app.triggers] == inline
    for id_ in inline:
        assert app.components[id_].id == id_
        assert app.components[id_].source == app.components[inline[0]].source
