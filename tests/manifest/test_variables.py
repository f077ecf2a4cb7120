from collections.abc import Callable

import pytest

from edged.errors import VariableError
from edged.manifest import App, component_values, resolve

AppOf = Callable[..., App]

TEXT = """[variables]
host = { default = "example.com" }
token = { required = true, secret = true }
user = { required = true }
[component.c]
source = "c"
variables = { url = "https://{{ user }}@{{host}}/", fixed = "x", both = "{{ token }}{{ token }}" }
"""


def test_given_values_come_before_defaults(app_of: AppOf) -> None:
    app = app_of(TEXT)
    assert resolve(app, {"token": "t", "user": ""}) == {"host": "example.com", "token": "t", "user": ""}
    assert resolve(app, {"token": "t", "user": "u", "host": "h"})["host"] == "h"


def test_ambient_values_stand_between(app_of: AppOf) -> None:
    app = app_of(TEXT)
    ambient = {"token": "ambient", "host": "ambient", "of_another_app": "x"}
    assert resolve(app, {"token": "t", "user": "u"}, ambient) == {"host": "ambient", "token": "t", "user": "u"}
    with pytest.raises(VariableError, match="`user` has no value"):
        resolve(app, {}, ambient)


def test_component_values(app_of: AppOf) -> None:
    app = app_of(TEXT)
    values = resolve(app, {"token": "{{ host }}", "user": "u"})
    # A value is not a template: it stands as it is.
    assert component_values(app.components["c"], values) == {
        "url": "https://u@example.com/",
        "fixed": "x",
        "both": "{{ host }}{{ host }}",
    }


def test_all_missing_and_unknown_are_told(app_of: AppOf) -> None:
    with pytest.raises(VariableError) as caught:
        resolve(app := app_of(TEXT), {"tokn": "geheim"})
    assert caught.value.message.splitlines() == [
        f"{app.manifest_path}:6: the required variable `token` has no value",
        f"{app.manifest_path}:7: the required variable `user` has no value",
        "unknown variable `tokn`, did you mean `token`?",
    ]
    assert "--variable" in caught.value.remedy


def test_unknown_alone(app_of: AppOf) -> None:
    with pytest.raises(VariableError, match="unknown variable `zzz`") as caught:
        resolve(app_of(TEXT), {"token": "t", "user": "u", "zzz": "geheim"})
    assert "geheim" not in caught.value.message + caught.value.remedy


def test_no_variables(app_of: AppOf) -> None:
    assert resolve(app_of(""), {}) == {}
