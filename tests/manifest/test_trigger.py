"""Triggers of v2, right and wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edged.manifest import App
from edged.manifest.model import (
    AppSource,
    CronTrigger,
    Dependency,
    HttpTrigger,
    OtherTrigger,
    PathSource,
    RegistrySource,
    SpinExecutor,
    StaticResponse,
    WagiExecutor,
)
from edged.manifest.schedule import parse_schedule

AppOf = Callable[..., App]
ProblemsOf = Callable[..., list[str]]

COMPONENTS = '[component.a]\nsource = "a.wasm"\n[component.b]\nsource = "b.wasm"\n'


@pytest.fixture
def http(app_of: AppOf) -> Callable[[str], HttpTrigger]:
    """http(fields): the one http trigger with these fields; component and route if they have none."""

    def make(fields: str) -> HttpTrigger:
        more = "" if "static_response" in fields or "component =" in fields else 'component = "a"\n'
        more += "" if "route" in fields else 'route = "/"\n'
        [trigger] = app_of(COMPONENTS + "[[trigger.http]]\n" + more + fields).http_triggers
        return trigger

    return make


def test_defaults(http: Callable[[str], HttpTrigger]) -> None:
    assert http("") == HttpTrigger("a-http-trigger", "a", None, "/", SpinExecutor())
    assert http("").line == 8


@pytest.mark.parametrize(
    ("field", "route"),
    [
        ('route = "/a/:b/..."', "/a/:b/..."),
        ('route = "a"', "/a"),
        ('route = ""', "/"),
        ("route = { private = true }", None),
        ("route.private = true", None),
    ],
)
def test_route(http: Callable[[str], HttpTrigger], field: str, route: str | None) -> None:
    assert http(field).route == route


@pytest.mark.parametrize(
    ("field", "executor"),
    [
        ('executor = { type = "http" }', SpinExecutor()),
        ('executor = { type = "spin" }', SpinExecutor()),
        ('executor = { type = "wagi" }', WagiExecutor("${SCRIPT_NAME} ${ARGS}")),
        ('executor = { type = "wagi", argv = "x" }', WagiExecutor("x")),
        ('executor = { type = "wagi", entrypoint = "_start" }', WagiExecutor()),
    ],
)
def test_executor(http: Callable[[str], HttpTrigger], field: str, executor: object) -> None:
    assert http(field).executor == executor


def test_entrypoint_is_deprecated(app_of: AppOf) -> None:
    executor = 'executor = { type = "wagi", entrypoint = "_start" }'
    app = app_of(COMPONENTS + f'[[trigger.http]]\nroute = "/"\ncomponent = "a"\n{executor}')
    assert app.warnings == ("spin.toml:11: `trigger.http[0].executor.entrypoint` is deprecated: leave it out",)


def test_reserved_route_is_warned_about(app_of: AppOf) -> None:
    app = app_of(COMPONENTS + '[[trigger.http]]\nroute = "/.well-known/spin/x"\ncomponent = "a"')
    assert len(app.warnings) == 1
    assert "will never be reached" in app.warnings[0]


@pytest.mark.parametrize(
    ("field", "response"),
    [
        ("static_response = {}", StaticResponse(200, (), b"")),
        (
            'static_response = { status_code = 302, headers = { Location = " /x ", "X-A" = "ü" }, body = "→" }',
            StaticResponse(302, (("location", "/x"), ("x-a", "ü")), "→".encode()),
        ),
        ("static_response.status_code = 200", StaticResponse(200)),
        ("static_response.status_code = 599", StaticResponse(599)),
    ],
)
def test_static_response(http: Callable[[str], HttpTrigger], field: str, response: StaticResponse) -> None:
    trigger = http(field)
    assert (trigger.static_response, trigger.component, trigger.id) == (response, None, "http-trigger1")


REDIS = '[[trigger.redis]]\ncomponent = "a"\n'


def test_redis(app_of: AppOf) -> None:
    app = app_of(
        "[application.trigger.redis]\naddress = 'redis://:{{ token }}@x'\n[variables]\ntoken = { default = 't' }\n"
        + COMPONENTS
        + REDIS
        + 'channel = "c-{{ token }}"\n'
        + REDIS
        + 'id = "mine"\nchannel = "d"\naddress = "rediss://{{ token }}"\n'
    )
    first, second = app.redis_triggers
    assert (first.id, first.component, second.id) == ("a-redis-trigger", "a", "mine")
    values = {"token": "secret"}
    assert (first.channel.render(values), first.address.render(values)) == ("c-secret", "redis://:secret@x")
    assert (second.channel.render(values), second.address.render(values)) == ("d", "rediss://secret")
    assert "{{ token }}@x" not in repr(first)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (REDIS + 'channel = "c"', "`trigger.redis[0]` needs `address`, here or for all redis triggers"),
        (REDIS + 'address = "redis://r"', "`trigger.redis[0]` needs `channel`"),
        ('[[trigger.redis]]\nchannel = "c"\naddress = "redis://r"', "`trigger.redis[0]` needs `component`"),
        (REDIS + 'channel = ""\naddress = "redis://r"', "`trigger.redis[0].channel` must not be empty"),
        (REDIS + 'channel = 1\naddress = "redis://r"', "`trigger.redis[0].channel` must be a string"),
        (REDIS + 'channel = "c"\naddress = "{{ x }}"', "`trigger.redis[0].address` uses the unknown variable `x`"),
        (REDIS + 'channel = "{{ x"\naddress = "redis://r"', "`trigger.redis[0].channel` has a `{{` without its `}}`"),
        (
            REDIS + 'channel = "c"\nadress = "redis://r"',
            "unknown field `trigger.redis[0].adress`, did you mean",
        ),
        ("[application.trigger.redis]", "`application.trigger.redis` needs `address`"),
        ("[application.trigger.redis]\naddress = 1", "`application.trigger.redis.address` must be a string"),
        ("[application.trigger.redis]\naddress = '{{ x'", "`application.trigger.redis.address` has a `{{` without"),
        ("[application.trigger.redis]\naddress = 'r'\nx = 1", "unknown field `application.trigger.redis.x`"),
    ],
)
def test_redis_that_is_wrong(problems_of: ProblemsOf, text: str, expected: str) -> None:
    assert any(expected in problem for problem in problems_of(text + "\n" + COMPONENTS))


def test_other_types_are_kept_as_data(app_of: AppOf) -> None:
    app = app_of(
        "[application.trigger.sqs]\nqueue = 'q'\n"
        + COMPONENTS
        + '[[trigger.sqs]]\nchannel = "c"\ncomponent = "a"\n'
        + '[[trigger."my plugin"]]\nid = "x"\ncron = ["*", { deep = 1 }]\n'
    )
    assert app.triggers == (
        OtherTrigger("a-sqs-trigger", "sqs", "a", {"channel": "c"}),
        OtherTrigger("x", "my plugin", None, {"cron": ("*", {"deep": 1})}),
    )
    assert app.trigger_configs == {"sqs": {"queue": "q"}}
    assert app.http_triggers == ()


CRON = '[[trigger.cron]]\ncomponent = "a"\n'


def test_cron(app_of: AppOf) -> None:
    text = CRON + 'cron_expression = "0 */5 * * * *"\n' + CRON + 'id = "x"\ncron_expression = "@daily"\n'
    app = app_of(COMPONENTS + text)
    expected = (
        CronTrigger("a-cron-trigger", "a", schedule=parse_schedule("0 */5 * * * *")),
        CronTrigger("x", "a", schedule=parse_schedule("@daily")),
    )
    assert app.triggers == app.cron_triggers == expected
    assert [trigger.line for trigger in app.triggers] == [8, 11]
    assert app.http_triggers == ()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", "5: `trigger.cron[0]` needs `cron_expression`"),
        ("cron_expression = 5", "7: `trigger.cron[0].cron_expression` must be a string, not an integer"),
        (
            'cron_expression = "*/5 * * * *"',
            "7: `trigger.cron[0].cron_expression` = `*/5 * * * *` has 5 fields and needs 6 (second minute hour "
            "day-of-month month day-of-week), or 7 with a year: `0 */5 * * * *`",
        ),
        (
            'cron_expression = "0 0 0 31 2 *"',
            "7: `trigger.cron[0].cron_expression` = `0 0 0 31 2 *` fits no day until 2099",
        ),
        (
            'cron_expression = "@daily"\ntime_zone = "Europe/Berlin"',
            "8: unknown field `trigger.cron[0].time_zone`; known here: id, component, components, dependencies, "
            "cron_expression",
        ),
    ],
)
def test_cron_problems(problems_of: ProblemsOf, fields: str, expected: str) -> None:
    assert problems_of(COMPONENTS + CRON + fields) == [expected]


def test_cron_without_a_component(problems_of: ProblemsOf) -> None:
    assert problems_of('[[trigger.cron]]\ncron_expression = "@daily"') == ["1: `trigger.cron[0]` needs `component`"]


def test_further_components_and_dependencies(app_of: AppOf, tmp_path: Path) -> None:
    text = """[[trigger.http]]
route = "/"
component = "a"
components.one = "b"
components.many = ["b", { source = "i.wasm" }]
dependencies.middleware = [{ path = "m.wasm" }, { component = "b" }, { package = "x:y", version = "1" }]
"""
    app = app_of(COMPONENTS + text)
    [trigger] = app.http_triggers
    assert trigger.components == {"one": ("b",), "many": ("b", "inline-component1")}
    assert app.components["inline-component1"].source == PathSource(tmp_path / "i.wasm")
    assert trigger.dependencies == {
        "middleware": (
            Dependency(PathSource(tmp_path / "m.wasm")),
            Dependency(AppSource("b")),
            Dependency(RegistrySource(None, "x:y", "1")),
        )
    }


WRONG = [
    ('route = "/a b"', "`trigger.http[0].route` = `/a b` must not hold blanks"),
    ("route = 1", "`trigger.http[0].route` must be a string or a table, not an integer"),
    ("route = {}", "`trigger.http[0].route` needs `private`"),
    ("route = { private = false }", "`trigger.http[0].route` must be a string, or `{ private = true }`"),
    ("route = { private = 1 }", "`trigger.http[0].route.private` must be true or false, not an integer"),
    ("route = { privat = true }", "unknown field `trigger.http[0].route.privat`, did you mean `private`?"),
    ('rout = "/"', "unknown field `trigger.http[0].rout`, did you mean `route`?"),
    ('executor = "wagi"', "`trigger.http[0].executor` must be a table, not a string"),
    ("executor = {}", "`trigger.http[0].executor` needs `type`"),
    ('executor = { type = "cgi" }', "`trigger.http[0].executor.type` must be `http` or `wagi`"),
    ("executor = { type = [] }", "`trigger.http[0].executor.type` must be `http` or `wagi`"),
    ('executor = { type = "http", argv = "x" }', "unknown field `trigger.http[0].executor.argv`"),
    ('executor = { type = "wagi", entrypoint = "main" }', "`trigger.http[0].executor.entrypoint` must be `_start`"),
    ('executor = { type = "wagi", args = "x" }', "unknown field `trigger.http[0].executor.args`, did you mean `argv`?"),
    ("static_response = {}", "`trigger.http[0]` has both `component` and `static_response`"),
    ("static_response.status_code = 199", "`trigger.http[0].static_response.status_code` must be between 200 and 599"),
    ("static_response.status_code = 600", "`trigger.http[0].static_response.status_code` must be between 200 and 599"),
    ("static_response.status_code = true", "must be an integer, not a boolean"),
    (
        "static_response.status = 200",
        "unknown field `trigger.http[0].static_response.status`, did you mean `status_code`?",
    ),
    (
        'static_response.headers = { "a b" = "" }',
        '`trigger.http[0].static_response.headers."a b"`: the key is not a header',
    ),
    ('static_response.headers = { a = "\\r\\n" }', "`trigger.http[0].static_response.headers.a` must not hold control"),
    ("static_response.headers = { a = 1 }", "`trigger.http[0].static_response.headers.a` must be a string"),
    ('static_response.headers = { Content-Length = "1" }', "the key is a header that edged sets itself"),
    ("id = 1", "`trigger.http[0].id` must be a string, not an integer"),
    ('id = ""', "`trigger.http[0].id` must not be empty"),
    ("components = 1", "`trigger.http[0].components` must be a table, not an integer"),
    ("components.x = 1", "`trigger.http[0].components.x` must be a string or a table or an array, not an integer"),
    ('components.x = ["zz"]', "`trigger.http[0].components.x[0]` names the unknown component `zz`"),
    ("dependencies.middleware = {}", "`trigger.http[0].dependencies.middleware` must be an array, not a table"),
    ('dependencies.m = ["^1"]', "`trigger.http[0].dependencies.m[0]` must be a table, not a string"),
    ('dependencies.m = [{ version = "1" }]', "`trigger.http[0].dependencies.m[0]` needs `package`"),
    ('dependencies.m = [{ path = "x", export = "e" }]', "unknown field `trigger.http[0].dependencies.m[0].export`"),
]


@pytest.mark.parametrize(("field", "problem"), WRONG)
def test_wrong(problems_of: ProblemsOf, field: str, problem: str) -> None:
    more = 'component = "a"\n' + ("" if field.startswith("route") else 'route = "/"\n')
    found = problems_of(COMPONENTS + "[[trigger.http]]\n" + more + field)
    assert any(problem in text for text in found), found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[trigger.http]]\nroute = "/"', "1: `trigger.http[0]` needs either `component` or `static_response`"),
        ('[[trigger.http]]\ncomponent = "a"', "1: `trigger.http[0]` needs `route`"),
        (
            '[[trigger.http]]\nroute = "/"\ncomponent = "aa"',
            "3: `trigger.http[0].component` names the unknown component `aa`, did you mean `a`?",
        ),
        (
            '[[trigger.http]]\nroute = "/"\ncomponent = "a_b"',
            "3: `trigger.http[0].component` = `a_b` is not a kebab-case id",
        ),
        (
            '[[trigger.http]]\nroute = "/"\ncomponent = { sauce = "x" }',
            "3: unknown field `trigger.http[0].component.sauce`",
        ),
        (
            '[trigger.http]\nroute = "/"\ncomponent = "a"',
            "1: `trigger.http` must be an array of tables: write [[trigger.http]]",
        ),
        ("trigger = 1", "1: `trigger` must be a table, not an integer"),
        ("trigger.http = 1", "1: `trigger.http` must be an array, not an integer"),
        ("trigger.http = [1]", "1: `trigger.http[0]` must be a table, not an integer"),
        ('[[trigger.redis]]\ncomponent = "zz"', "2: `trigger.redis[0].component` names the unknown component `zz`"),
    ],
)
def test_wrong_triggers(problems_of: ProblemsOf, text: str, problem: str) -> None:
    # `trigger = 1` has to stand before any table.
    head = 'spin_manifest_version = 2\napplication.name = "app"\n'
    found = problems_of(text + "\n" + COMPONENTS, head=head)
    assert any(line.startswith(problem) for line in found), found


def test_a_faulty_component_is_not_also_unknown(problems_of: ProblemsOf) -> None:
    text = '[[trigger.http]]\nroute = "/"\ncomponent = "c"\n[component.c]\nsource = 1'
    assert problems_of(text) == ["5: `component.c.source` must be a string or a table, not an integer"]
