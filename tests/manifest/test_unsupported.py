from collections.abc import Callable

import pytest

from edged.manifest import App, unsupported

AppOf = Callable[..., App]

C = '[component.c]\nsource = "c.wasm"\n'
HTTP = '[[trigger.http]]\nroute = "/"\ncomponent = "c"\n'
REDIS = '[[trigger.redis]]\nchannel = "x"\naddress = "redis://r"\ncomponent = "c"\n'


def test_what_is_served(app_of: AppOf) -> None:
    stores = 'key_value_stores = ["default"]\nallowed_outbound_hosts = ["http://a"]\nfiles = ["x"]\n'
    static = '[[trigger.http]]\nroute = "/s"\nstatic_response = {}\n'
    remote = f'[component.d]\nsource = {{ url = "http://a", digest = "sha256:{"0" * 64}" }}\n'
    wagi = HTTP + 'executor = { type = "wagi" }\n'
    assert unsupported(app_of(C + stores + HTTP + wagi + static + remote)) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (C + '[[trigger.sqs]]\ncomponent = "c"', "6: trigger `c-sqs-trigger` is of type `sqs`"),
        (C + REDIS + 'components.x = "c"', "6: trigger `c-redis-trigger` has further `components`"),
        (
            C + '[[trigger.cron]]\ncron_expression = "@daily"\ncomponent = "c"\ncomponents.x = "c"',
            "6: trigger `c-cron-trigger` has further `components`",
        ),
        (C + HTTP + 'components.x = "c"', "6: trigger `c-http-trigger` has further `components`"),
        (
            C + HTTP + 'dependencies.middleware = [{ component = "c" }]',
            "6: trigger `c-http-trigger` has `dependencies`",
        ),
        ('[component.c]\nsource = { package = "a:b", version = "1.0.0" }', "4: component `c` has its source in a"),
        (C + 'dependencies = { "a:b" = "1" }', "4: component `c` has `dependencies`"),
    ],
)
def test_what_is_not(app_of: AppOf, text: str, expected: str) -> None:
    [line] = unsupported(app_of(text))
    assert f"/spin.toml:{expected}" in line


def test_everything_is_named_in_the_order_of_the_file(app_of: AppOf) -> None:
    text = '[component.c]\nsource = { package = "a:b", version = "1.0.0" }\n' + '[[trigger.sqs]]\ncomponent = "c"\n' * 2
    assert [line.split(":")[1] for line in unsupported(app_of(text))] == ["4", "6", "8"]
