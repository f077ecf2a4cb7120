"""The root of a v2 manifest: application, variables, what is unknown."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edged.manifest import App
from edged.manifest.model import Target, Variable

AppOf = Callable[..., App]
ProblemsOf = Callable[..., list[str]]

VERSION = "spin_manifest_version = 2\n"


def test_the_least(app_of: AppOf, tmp_path: Path) -> None:
    assert app_of("") == App(name="app", manifest_path=tmp_path / "spin.toml", manifest_version=2)


def test_all_details(app_of: AppOf) -> None:
    app = app_of(
        """version = "1.0.0"
description = "d"
authors = ["a <a@example.com>", "b"]
targets = ["spin-up:3.3"]
[application.trigger.redis]
address = "redis://r"
[application.trigger.http]
base = "/"
[application.tool.lint]
level = 3
"""
    )
    assert (app.version, app.description, app.authors) == ("1.0.0", "d", ("a <a@example.com>", "b"))
    assert app.targets == (Target("catalogue", "spin-up:3.3"),)
    assert app.trigger_configs == {"redis": {"address": "redis://r"}, "http": {"base": "/"}}
    assert app.tools == {"lint": {"level": 3}}
    assert app.warnings == ("spin.toml:11: `application.trigger.http.base` is deprecated: leave it out",)


def test_empty_version_is_none(app_of: AppOf) -> None:
    assert app_of('version = ""').version is None


def test_variables(app_of: AppOf) -> None:
    app = app_of('[variables]\na = { default = "x", description = "d" }\nb_1 = { required = true, secret = true }')
    assert app.variables == {
        "a": Variable("a", "x", description="d"),
        "b_1": Variable("b_1", None, required=True, secret=True),
    }
    assert app.variables["b_1"].line == 6


def test_defaults_stay_out_of_reprs(app_of: AppOf) -> None:
    assert "geheim" not in repr(app_of('[variables]\na = { default = "geheim", secret = true }'))


def test_the_model_cannot_be_changed(app_of: AppOf) -> None:
    app = app_of('[component.c]\nsource = "c"\nenvironment = { A = "1" }\n[variables]\na = { default = "" }')
    for mapping in (app.components, app.variables, app.components["c"].environment, app.trigger_configs, app.tools):
        with pytest.raises(TypeError):
            mapping["x"] = None  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1: the manifest needs `application`"),
        ("application = 1", "2: `application` must be a table, not an integer"),
        ("[application]", "2: `application` needs `name`"),
        ('[application]\nname = ""', "3: `application.name` must not be empty"),
        ("[application]\nname = 1", "3: `application.name` must be a string, not an integer"),
        ('[application]\nname = "a"\nauthors = "b"', "4: `application.authors` must be an array, not a string"),
        ('[application]\nname = "a"\nauthros = []', "4: unknown field `application.authros`, did you mean `authors`?"),
        ('[application]\nname = "a"\ntool = { x = 1 }', "4: `application.tool.x` must be a table, not an integer"),
        (
            '[application]\nname = "a"\ntrigger.redis = 1',
            "4: `application.trigger.redis` must be a table, not an integer",
        ),
        (
            '[application]\nname = "a"\ntrigger.http.base = "/x"',
            "4: `application.trigger.http.base` must be `/`: write the whole path in each route",
        ),
        (
            '[application]\nname = "a"\ntrigger.http.bse = "/"',
            "4: unknown field `application.trigger.http.bse`, did you mean",
        ),
        ('[aplication]\nname = "a"', "2: unknown field `aplication`, did you mean `application`?"),
        ('[[component]]\nid = "a"', "2: `component` must be a table, not an array"),
        ('["\\u001b[31m"]', '2: unknown field `\\"\\u001b[31m\\"`'),
        ("[variables]\na = {}", "3: `variables.a` needs `required = true` or a `default`"),
        ("[variables]\na = { required = false }", "3: `variables.a` needs `required = true` or a `default`"),
        (
            '[variables]\na = { required = true, default = "" }',
            "3: `variables.a` cannot both be `required` and have a `default`",
        ),
        ("[variables]\na = { default = 1 }", "3: `variables.a.default` must be a string, not an integer"),
        ('[variables]\na = { defualt = "" }', "3: unknown field `variables.a.defualt`, did you mean `default`?"),
        ('[variables]\na = "x"', "3: `variables.a` must be a table, not a string"),
        ('[variables]\nA-b = { default = "" }', "3: `variables.A-b`: the key is not a variable name"),
        ("variables = []", "2: `variables` must be a table, not an array"),
    ],
)
def test_wrong(problems_of: ProblemsOf, text: str, problem: str) -> None:
    # With no head of its own counted, lines are those of the file.
    found = problems_of(VERSION + text, head="")
    assert any(line.startswith(problem) for line in found), found
