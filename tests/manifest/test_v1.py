"""Manifest version 1, and that it becomes what version 2 would be."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edged.manifest import App
from edged.manifest.model import Build, FilePattern, HttpTrigger, OtherTrigger, PathSource, WagiExecutor
from edged.manifest.template import parse_template

AppOf = Callable[..., App]
ProblemsOf = Callable[..., list[str]]

C = '[[component]]\nid = "c"\nsource = "c.wasm"\n[component.trigger]\nroute = "/"\n'


def hosts(app: App, component: str = "c") -> list[str]:
    return [host.text for host in app.components[component].allowed_outbound_hosts]


def test_the_least(app_of: AppOf, v1: str, tmp_path: Path) -> None:
    app = app_of("", head=v1)
    assert app == App(
        name="app", manifest_path=tmp_path / "spin.toml", manifest_version=1, trigger_configs={"http": {}}
    )


def test_old_name_of_the_version(app_of: AppOf) -> None:
    app = app_of(C, head='spin_version = "1"\nname = "app"\ntrigger = { type = "http", base = "/" }\n')
    assert app.manifest_version == 1
    assert app.trigger_configs == {"http": {"base": "/"}}
    assert app.warnings == ("spin.toml:3: `trigger.base` is deprecated: leave it out",)


def test_same_model_as_v2(app_of: AppOf) -> None:
    one = app_of(
        """spin_manifest_version = "1"
name = "app"
version = "1.0.0"
description = "d"
authors = ["a"]
trigger = { type = "http" }
[variables]
host = { default = "h" }
[[component]]
id = "my_Comp"
source = "c.wasm"
description = "e"
config = { host = "{{ host }}" }
environment = { A = "1" }
files = ["a/*"]
exclude_files = ["b"]
allowed_outbound_hosts = ["redis://r"]
allowed_http_hosts = ["a.com"]
key_value_stores = ["default"]
sqlite_databases = ["default"]
ai_models = ["llama2-chat"]
[component.trigger]
route = "/..."
executor = { type = "wagi", argv = "x" }
[component.build]
command = "make"
workdir = "w"
watch = ["src"]
""",
        head="",
    )
    two = app_of(
        """spin_manifest_version = 2
[application]
name = "app"
version = "1.0.0"
description = "d"
authors = ["a"]
trigger.http = {}
[variables]
host = { default = "h" }
[[trigger.http]]
id = "trigger-my-comp"
component = "my-comp"
route = "/..."
executor = { type = "wagi", argv = "x" }
[component.my-comp]
source = "c.wasm"
description = "e"
variables = { host = "{{ host }}" }
environment = { A = "1" }
files = ["a/*"]
exclude_files = ["b"]
allowed_outbound_hosts = ["redis://r", "http://a.com", "https://a.com"]
key_value_stores = ["default"]
sqlite_databases = ["default"]
ai_models = ["llama2-chat"]
build = { command = "make", workdir = "w", watch = ["src"] }
""",
        head="",
    )
    assert replace(one, manifest_version=2, warnings=()) == two
    component = one.components["my-comp"]
    assert component.variables == {"host": parse_template("{{ host }}")}
    assert component.files == (FilePattern("a/*"),)
    assert component.build == Build(("make",), one.folder / "w", ("src",))
    assert component.source == PathSource(one.folder / "c.wasm")
    assert one.triggers == (HttpTrigger("trigger-my-comp", "my-comp", None, "/...", WagiExecutor("x")),)


DATABASES = ["redis://*:*", "mysql://*:*", "postgres://*:*"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", DATABASES),
        ('allowed_http_hosts = ["a.com:8"]\n', [*DATABASES, "http://a.com:8", "https://a.com:8"]),
        ('allowed_http_hosts = ["insecure:allow-all"]\n', [*DATABASES, "http://*:*", "https://*:*", "http://self"]),
        ("allowed_outbound_hosts = []\n", []),
        (
            'allowed_outbound_hosts = ["mysql://m"]\nallowed_http_hosts = ["self"]\n',
            ["mysql://m", "http://self"],
        ),
    ],
)
def test_outbound_hosts(app_of: AppOf, v1: str, fields: str, expected: list[str]) -> None:
    assert hosts(app_of(C.replace("[component.trigger]", fields + "[component.trigger]"), head=v1)) == expected


def test_other_trigger_types(app_of: AppOf, v1: str) -> None:
    head = v1.replace('"http" }', '"sqs", queue = "q" }')
    app = app_of('[[component]]\nid = "c"\nsource = "c"\ntrigger = { channel = "x", deep = [1] }', head=head)
    assert app.triggers == (OtherTrigger("trigger-c", "sqs", "c", {"channel": "x", "deep": (1,)}),)
    assert app.trigger_configs == {"sqs": {"queue": "q"}}


def test_redis_triggers(app_of: AppOf, v1: str) -> None:
    head = v1.replace('"http" }', '"redis", address = "redis://r" }')
    component = '[[component]]\nid = "c"\nsource = "c"\ntrigger = { channel = "x" }\n'
    own = component.replace('"c"', '"d"').replace("{ ", '{ address = "redis://own", ')
    app = app_of(component + own, head=head)
    assert [(t.id, t.component, t.channel.text, t.address.text) for t in app.redis_triggers] == [
        ("trigger-c", "c", "x", "redis://r"),
        ("trigger-d", "d", "x", "redis://own"),
    ]
    assert app.trigger_configs == {"redis": {"address": "redis://r"}}


def test_redis_triggers_that_are_wrong(problems_of: ProblemsOf, v1: str) -> None:
    component = '[[component]]\nid = "c"\nsource = "c"\ntrigger = { channel = "x" }\n'
    head = v1.replace('"http" }', '"redis", address = "redis://r" }')
    assert problems_of(component.replace("channel", "chanel"), head=head) == [
        "4: unknown field `component[0].trigger.chanel`, did you mean `channel`?",
        "4: `component[0].trigger` needs `channel`",
    ]
    own, application = sorted(problems_of(component, head=v1.replace('"http" }', '"redis" }')), reverse=True)
    assert "`component[0].trigger` needs `address`, here or for all" in own
    assert "`trigger` needs `address`" in application


def test_several_components(app_of: AppOf, v1: str) -> None:
    app = app_of(C + C.replace('"c"', '"UPPER-d"') + C.replace('"c"', '"e_f"'), head=v1)
    assert list(app.components) == ["c", "UPPER-d", "e-f"]
    assert [trigger.component for trigger in app.triggers] == ["c", "UPPER-d", "e-f"]
    assert [component.line for component in app.components.values()] == [4, 9, 14]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (C + C, "6: the component id `c` is taken by the one on line 4"),
        (C.replace('"c"', '"a_b"') + C.replace('"c"', '"a-b"'), "6: the component id `a-b` is taken"),
        (C.replace('"c"', '"1 x"'), "2: `component[0].id` = `1 x` is not a kebab-case id"),
        (C.replace('"c"', "1"), "2: `component[0].id` must be a string, not an integer"),
        (C.replace('id = "c"\n', ""), "1: `component[0]` needs `id`"),
        (C.replace("source", "sorce"), "3: unknown field `component[0].sorce`, did you mean `source`?"),
        (C.replace("source", "variables = {}\nsource"), "3: unknown field `component[0].variables`"),
        (C.replace('[component.trigger]\nroute = "/"\n', ""), "1: `component[0]` needs `trigger`"),
        (C.replace('route = "/"', 'rout = "/"'), "5: unknown field `component[0].trigger.rout`, did you mean `route`?"),
        (C.replace('route = "/"', "route = 1"), "5: `component[0].trigger.route` must be a string or a table"),
        (C + "static_response = {}", "6: unknown field `component[0].trigger.static_response`"),
        (
            C.replace("source", 'config = { a = "{{ b }}" }\nsource'),
            "3: `component[0].config.a` uses the unknown variable `b`",
        ),
        ("component = 1", "1: `component` must be an array, not an integer"),
        ("component = [1]", "1: `component[0]` must be a table, not an integer"),
        ("[component.c]", "1: `component` must be an array, not a table"),
        ("[application]", "1: unknown field `application`"),
        ("variables = 1", "1: `variables` must be a table, not an integer"),
    ],
)
def test_wrong(problems_of: ProblemsOf, v1: str, text: str, problem: str) -> None:
    found = problems_of(text, head=v1)
    assert any(line.startswith(problem) for line in found), found


@pytest.mark.parametrize(
    ("trigger", "problem"),
    [
        ("", "1: the manifest needs `trigger`"),
        ("trigger = 1", "3: `trigger` must be a table, not an integer"),
        ("trigger = {}", "3: `trigger` needs `type`"),
        ("trigger = { type = 1 }", "3: `trigger.type` must be a string, not an integer"),
        ('trigger = { type = "" }', "3: `trigger.type` must not be empty"),
        ('trigger = { type = "http", base = "/api" }', "3: `trigger.base` must be `/`"),
        ('trigger = { type = "http", bas = "/" }', "3: unknown field `trigger.bas`, did you mean `base`?"),
    ],
)
def test_wrong_app_trigger(problems_of: ProblemsOf, trigger: str, problem: str) -> None:
    found = problems_of(f'spin_manifest_version = "1"\nname = "app"\n{trigger}\n{C}', head="")
    assert any(line.startswith(problem) for line in found), found
