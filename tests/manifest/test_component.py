"""The fields of [component.ID], right and wrong, one at a time."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edged.errors import UsageError
from edged.manifest import App
from edged.manifest.model import (
    AppSource,
    Build,
    Component,
    Dependency,
    FilePattern,
    FilePlacement,
    PathSource,
    RegistrySource,
    Target,
    UrlSource,
)
from edged.manifest.template import parse_template

HEX = "0123456789abcdef" * 4
HEAD = '[variables]\nhost = { default = "h" }\n[component.other]\nsource = "o.wasm"\n[component.c]\n'

AppOf = Callable[..., App]
ProblemsOf = Callable[..., list[str]]


@pytest.fixture
def component(app_of: AppOf) -> Callable[[str], Component]:
    """component(fields): the component `c` with these fields; a source if they have none."""

    def make(fields: str) -> Component:
        source = "" if "source =" in fields.split("[", maxsplit=1)[0] else 'source = "c.wasm"\n'
        return app_of(HEAD + source + fields).components["c"]

    return make


def test_defaults(component: Callable[[str], Component], tmp_path: Path) -> None:
    assert component("") == Component("c", PathSource(tmp_path / "c.wasm"))
    assert component("").line == 8


@pytest.mark.parametrize(
    ("fields", "source"),
    [
        (
            f'source = {{ url = "https://a/b.wasm", digest = "sha256:{HEX}" }}',
            UrlSource("https://a/b.wasm", f"sha256:{HEX}"),
        ),
        (
            f'source = {{ url = "http://a:1/b", digest = "SHA256:{HEX.upper()}" }}',
            UrlSource("http://a:1/b", f"sha256:{HEX}"),
        ),
        ('source = { package = "a:b", version = "1.2.3" }', RegistrySource(None, "a:b", "1.2.3")),
        (
            'source = { registry = "r.io:5000", package = "a-1:b", version = "1.2.3-rc.1+x" }',
            RegistrySource("r.io:5000", "a-1:b", "1.2.3-rc.1+x"),
        ),
    ],
)
def test_source(component: Callable[[str], Component], fields: str, source: object) -> None:
    assert component(fields).source == source


def test_paths_start_from_the_manifests_folder(component: Callable[[str], Component], tmp_path: Path) -> None:
    assert component('source = "../target/x.wasm"').source == PathSource(tmp_path / "../target/x.wasm")
    assert component('source = "/abs/x.wasm"').source == PathSource(Path("/abs/x.wasm"))


@pytest.mark.parametrize(
    ("field", "name", "value"),
    [
        ('description = "d"', "description", "d"),
        ('variables = { a_1 = "x{{ host }}" }', "variables", {"a_1": parse_template("x{{ host }}")}),
        ('environment = { B = "1", a = "" }', "environment", {"B": "1", "a": ""}),
        (
            'files = ["a/*", { source = "s", destination = "/d" }]',
            "files",
            (FilePattern("a/*"), FilePlacement("s", "/d")),
        ),
        ('exclude_files = ["**/x"]', "exclude_files", ("**/x",)),
        (
            'allowed_outbound_hosts = ["https://a", "http://{{ host }}"]',
            "allowed_outbound_hosts",
            (parse_template("https://a"), parse_template("http://{{ host }}")),
        ),
        (
            'key_value_stores = ["default", "my-store", "my_store"]',
            "key_value_stores",
            ("default", "my-store", "my_store"),
        ),
        ('sqlite_databases = ["default"]', "sqlite_databases", ("default",)),
        ('ai_models = ["llama2-chat"]', "ai_models", ("llama2-chat",)),
        (
            'targets = ["spin-up:3.3", { url = "https://a" }, { path = "t.toml" }]',
            "targets",
            (Target("catalogue", "spin-up:3.3"), Target("url", "https://a"), Target("path", "t.toml")),
        ),
        ("dependencies_inherit_configuration = true", "dependencies_inherit_configuration", True),
        ('tool.lint = { level = ["savage"] }', "tools", {"lint": {"level": ("savage",)}}),
    ],
)
def test_fields(component: Callable[[str], Component], field: str, name: str, value: object) -> None:
    assert getattr(component(field), name) == value


def test_allowed_http_hosts_become_outbound_hosts(app_of: AppOf) -> None:
    app = app_of(
        '[component.c]\nsource = "c"\nallowed_http_hosts = ["a.com"]\nallowed_outbound_hosts = ["redis://r"]\n'
    )
    texts = [host.text for host in app.components["c"].allowed_outbound_hosts]
    assert texts == ["redis://r", "http://a.com", "https://a.com"]
    [warning] = app.warnings
    assert warning.startswith("spin.toml:4: `component.c` has allowed_http_hosts")
    assert 'allowed_outbound_hosts = ["http://a.com", "https://a.com"]' in warning


@pytest.mark.parametrize(
    ("field", "commands", "workdir", "watch"),
    [
        ('build = { command = "make" }', ("make",), ".", ()),
        ('build = { command = ["a", "b"], workdir = "sub" }', ("a", "b"), "sub", ()),
        ('[component.c.build]\ncommand = "x"\nwatch = ["src/**/*.rs"]', ("x",), ".", ("src/**/*.rs",)),
    ],
)
def test_build(
    component: Callable[[str], Component],
    tmp_path: Path,
    field: str,
    commands: tuple[str, ...],
    workdir: str,
    watch: tuple[str, ...],
) -> None:
    assert component(field).build == Build(commands, tmp_path / workdir, watch)


DEPENDENCIES = [
    ('"a:b/c@0.1.0" = ">=0.1.0"', Dependency(RegistrySource(None, "a:b", ">=0.1.0"))),
    ('"a:b" = { version = "=1.0.0" }', Dependency(RegistrySource(None, "a:b", "=1.0.0"))),
    (
        '"a:b/c" = { version = "^1", registry = "r.io", package = "x:y", export = "e" }',
        Dependency(RegistrySource("r.io", "x:y", "^1"), "e"),
    ),
    ('plain = { version = "^1", package = "x:y" }', Dependency(RegistrySource(None, "x:y", "^1"))),
    ('"a:b/c" = { path = "/d.wasm" }', Dependency(PathSource(Path("/d.wasm")))),
    (
        '"a:b/c" = { path = "/d.wasm", export = "e", inherit_configuration = true }',
        Dependency(PathSource(Path("/d.wasm")), "e", True),
    ),
    (
        f'plain = {{ url = "https://a/d", digest = "sha256:{HEX}", inherit_configuration = ["ai_models"] }}',
        Dependency(UrlSource("https://a/d", f"sha256:{HEX}"), None, ("ai_models",)),
    ),
    ('"a:b" = { component = "other", inherit_configuration = false }', Dependency(AppSource("other"), None, False)),
]


@pytest.mark.parametrize(("field", "dependency"), DEPENDENCIES)
def test_dependencies(component: Callable[[str], Component], field: str, dependency: Dependency) -> None:
    assert list(component(f"[component.c.dependencies]\n{field}").dependencies.values()) == [dependency]


# --- profiles ---

PROFILES = """\
environment = { A = "1", B = "1" }
dependencies = { "a:a" = "1" }
build = { command = "release", workdir = "w", watch = ["x"] }
[component.c.profile.debug]
source = "debug.wasm"
environment = { B = "2", C = "2" }
dependencies = { "b:b" = "2" }
build.command = ["debug"]
[component.other.profile.slim]
build.command = "slim"
"""


def test_profile_replaces_what_it_names(app_of: AppOf, tmp_path: Path) -> None:
    app = app_of(HEAD + 'source = "c.wasm"\n' + PROFILES, profile="debug")
    component = app.components["c"]
    assert component.source == PathSource(tmp_path / "debug.wasm")
    assert component.environment == {"A": "1", "B": "2", "C": "2"}
    assert list(component.dependencies) == ["a:a", "b:b"]
    assert component.build == Build(("debug",), tmp_path / "w", ("x",))
    assert app.profile == "debug"
    # A component without that profile stays as it is.
    assert app.components["other"].build is None


def test_profile_may_bring_the_only_build(app_of: AppOf, tmp_path: Path) -> None:
    app = app_of(HEAD + 'source = "c.wasm"\n' + PROFILES, profile="slim")
    assert app.components["other"].build == Build(("slim",), tmp_path)
    assert app.components["c"].source == PathSource(tmp_path / "c.wasm")


def test_no_profile_changes_nothing(app_of: AppOf) -> None:
    app = app_of(HEAD + 'source = "c.wasm"\n' + PROFILES)
    assert app.profile is None
    assert app.components["c"].environment == {"A": "1", "B": "1"}


def test_unknown_profile(app_of: AppOf) -> None:
    with pytest.raises(UsageError, match="has a profile `debgu`, did you mean `debug`"):
        app_of(HEAD + 'source = "c.wasm"\n' + PROFILES, profile="debgu")


# --- wrong ones ---

WRONG = [
    ("source = 1", "`component.c.source` must be a string or a table, not an integer"),
    ('source = ""', "`component.c.source` must not be empty"),
    ('source = " "', "`component.c.source` must not be empty"),
    ('source = "a\\u0000"', "`component.c.source` must not hold control characters"),
    ("source = {}", "`component.c.source` needs `url`"),
    ('source = { url = "https://a" }', "`component.c.source` needs `digest`"),
    (
        f'source = {{ url = "ftp://a", digest = "sha256:{HEX}" }}',
        "`component.c.source.url` must be an http:// or https://",
    ),
    (f'source = {{ url = "https://[", digest = "sha256:{HEX}" }}', "`component.c.source.url` must be an http"),
    (f'source = {{ url = "https://", digest = "sha256:{HEX}" }}', "`component.c.source.url` must be an http"),
    (
        'source = { url = "https://a", digest = "sha256:12" }',
        "`component.c.source.digest` must be `sha256:` and 64 hex",
    ),
    (f'source = {{ url = "https://a", digest = "{HEX}" }}', "`component.c.source.digest` must be `sha256:` and 64 hex"),
    ('source = { package = "ab", version = "1.2.3" }', "`component.c.source.package` must be a package name"),
    ('source = { package = "a:b", version = "1.2" }', "`component.c.source.version` must be a version"),
    ('source = { package = "a:b" }', "`component.c.source` needs `version`"),
    (
        'source = { registry = "a b", package = "a:b", version = "1.2.3" }',
        "`component.c.source.registry` must be a reg",
    ),
    ('source = { path = "a" }', "unknown field `component.c.source.path`; known here: url, digest"),
    ("description = 1", "`component.c.description` must be a string, not an integer"),
    ("descripton = 1", "unknown field `component.c.descripton`, did you mean `description`?"),
    ("zzz = 1", "unknown field `component.c.zzz`; known here: source, description"),
    ('variables = { B = "x" }', "`component.c.variables.B`: the key is not a variable name"),
    (
        'variables = { b = "{{ hots }}" }',
        "`component.c.variables.b` uses the unknown variable `hots`, did you mean `host`?",
    ),
    ('variables = { b = "{{ host" }', "`component.c.variables.b` has a `{{` without its `}}`"),
    ('variables = { b = "{{ }}" }', "`component.c.variables.b` uses the unknown variable ``"),
    ("variables = { b = 1 }", "`component.c.variables.b` must be a string, not an integer"),
    ("variables = []", "`component.c.variables` must be a table, not an array"),
    ("environment = { A = 1 }", "`component.c.environment.A` must be a string, not an integer"),
    ('environment = { "A=" = "1" }', '`component.c.environment."A="`: the key is not the name of an environment'),
    ('environment = { A = "\\u0000" }', "`component.c.environment.A` must not hold a NUL"),
    ('files = "a"', "`component.c.files` must be an array, not a string"),
    ("files = [1]", "`component.c.files[0]` must be a string or a table, not an integer"),
    ('files = ["/a"]', "`component.c.files[0]` = `/a` must be relative to the manifest's folder"),
    ('files = ["a/../../b"]', "`component.c.files[0]` = `a/../../b` must not hold `..`"),
    ('files = ["a**"]', "`component.c.files[0]` = `a**` has a `**` that is not a whole name"),
    ('files = ["."]', "`component.c.files[0]` = `.` ends in `.`"),
    ('files = [{ source = "a" }]', "`component.c.files[0]` needs `destination`"),
    ('files = [{ source = "../a", destination = "/" }]', "`component.c.files[0].source` = `../a` must not hold `..`"),
    ('files = [{ source = "a", destination = "/.." }]', "`component.c.files[0].destination` must not hold `..`"),
    ('files = [{ source = "a", destination = "/", x = 1 }]', "unknown field `component.c.files[0].x`"),
    ('exclude_files = ["["]', "`component.c.exclude_files[0]` = `[` has a `[` without its `]`"),
    ('allowed_outbound_hosts = ["a.com"]', "`component.c.allowed_outbound_hosts[0]` = `a.com` has no scheme"),
    (
        'allowed_outbound_hosts = ["http://{{ x }}"]',
        "`component.c.allowed_outbound_hosts[0]` uses the unknown variable `x`",
    ),
    (
        'allowed_http_hosts = ["a.com/x"]',
        "`component.c.allowed_http_hosts` has an entry that is wrong: `a.com/x` has a path",
    ),
    ('allowed_http_hosts = ["a com"]', "`component.c.allowed_http_hosts` has an entry that is wrong"),
    ('key_value_stores = ["a b"]', "`component.c.key_value_stores[0]` = `a b` is not a label"),
    ("sqlite_databases = [1]", "`component.c.sqlite_databases[0]` must be a string, not an integer"),
    ('ai_models = ["\\n"]', "`component.c.ai_models[0]` must not be empty"),
    ("build = {}", "`component.c.build` needs `command`"),
    ("build = { command = [] }", "`component.c.build.command` needs at least one command"),
    ('build = { command = "" }', "`component.c.build.command` must not be empty"),
    ("build = { command = 1 }", "`component.c.build.command` must be a string or an array, not an integer"),
    ('build = { command = "a", workdri = "b" }', "unknown field `component.c.build.workdri`, did you mean `workdir`?"),
    ("targets = [{}]", "`component.c.targets[0]` needs `path`"),
    ('targets = [{ url = "a", path = "b" }]', "unknown field `component.c.targets[0].path`"),
    ('dependencies_inherit_configuration = "yes"', "must be true or false, not a string"),
    ("tool.lint = 1", "`component.c.tool.lint` must be a table, not an integer"),
    ('dependencies = { "a b" = "1" }', '`component.c.dependencies."a b"`: the key is not an import'),
    ('dependencies = { plain = "1" }', "`component.c.dependencies.plain` needs a package"),
    ('dependencies = { plain = { version = "1" } }', "`component.c.dependencies.plain` needs `package`"),
    (
        'dependencies = { "a:b" = {} }',
        '`component.c.dependencies."a:b"` needs one of `path`, `url`, `component`, `version`',
    ),
    (
        'dependencies = { "a:b" = { path = "x", export = "e" } }',
        '`component.c.dependencies."a:b"` imports a whole package',
    ),
    ('dependencies = { "a:b" = { component = "othr" } }', "names the unknown component `othr`, did you mean `other`?"),
    (
        'dependencies = { "a:b" = { path = "x", version = "1" } }',
        'unknown field `component.c.dependencies."a:b".version`',
    ),
    ('dependencies = { "a:b" = { path = "x", inherit_configuration = 1 } }', "must be a boolean or an array"),
    ("profile.debug = { sorce = 1 }", "unknown field `component.c.profile.debug.sorce`, did you mean `source`?"),
    ("profile.debug.build = {}", "`component.c.profile.debug.build` needs `command`"),
    ("profile.debug.build.workdir = 1", "unknown field `component.c.profile.debug.build.workdir`"),
]


@pytest.mark.parametrize(("field", "problem"), WRONG)
def test_wrong(problems_of: ProblemsOf, field: str, problem: str) -> None:
    source = "" if field.startswith("source") else 'source = "c.wasm"\n'
    line = 7 if source else 6
    found = problems_of(HEAD + source + field)
    assert any(text.startswith(f"{line}: ") and problem in text for text in found), found


@pytest.mark.parametrize("key", ["my_comp", "Comp", "1a", '"a b"'])
def test_wrong_id(problems_of: ProblemsOf, key: str) -> None:
    [problem] = problems_of(f'[component.{key}]\nsource = "a"')
    assert problem.startswith("1: `component.")
    assert "is not a kebab-case id" in problem


def test_source_is_needed(problems_of: ProblemsOf) -> None:
    assert problems_of("\n[component.c]\n") == ["2: `component.c` needs `source`"]


def test_problems_of_all_fields_are_told_together(problems_of: ProblemsOf) -> None:
    text = "[component.c]\nsource = 1\nfiles = [1, 2]\n[component.d]\nsource = 2"
    assert [problem.split(":")[0] for problem in problems_of(text)] == ["2", "3", "3", "5"]
