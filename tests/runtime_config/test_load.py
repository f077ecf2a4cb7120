"""runtime-config.toml: what it may say, what it may not, and what is said about that."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from edged.errors import EdgedError, RuntimeConfigError, RuntimeConfigMissing, RuntimeConfigUnsupported
from edged.limits import (
    GUEST_LIMITS_HIGHEST,
    GUEST_LIMITS_LOWEST,
    RUNTIME_CONFIG_BYTES_MAX,
    RUNTIME_CONFIG_CONNECTIONS_HIGHEST,
)
from edged.runtime_config import RuntimeConfig, load, parse
from edged.runtime_config.model import (
    ClientTls,
    DatabaseFile,
    EnvironmentVariables,
    LibsqlDatabase,
    OutboundHttp,
    OutboundNetworking,
    RedisStore,
    RemoteLlm,
    StaticVariables,
    StoreFile,
    VaultVariables,
)

SECRET = "geheim-1234"
FILE = Path("/app/rc.toml")


def read(text: str) -> RuntimeConfig:
    """As if edged followed everything that it understands."""
    return parse(text.encode(), FILE)


def problems(
    text: str, error: type[EdgedError] = RuntimeConfigError, *, unwired: tuple[tuple[str, ...], ...] = ()
) -> list[str]:
    """Its problems as `LINE: ...`."""
    with pytest.raises(error) as caught:
        read(text)
    assert SECRET not in caught.value.message + caught.value.remedy
    assert caught.value.__cause__ is None
    return [line.removeprefix(f"{FILE}:") for line in caught.value.message.splitlines()]


def test_empty() -> None:
    assert read("") == RuntimeConfig()
    assert read("# nothing\n[outbound_networking]\n[key_value_store]\n") == RuntimeConfig()


def test_everything() -> None:
    config = read(
        f"""
        state_dir = "state"
        log_dir = "/var/log/app"
        max_instance_memory = 10_000_000

        key_value_store.default = {{ type = "spin" }}
        key_value_store.files = {{ type = "spin", path = "kv.db" }}
        key_value_store.shared-one = {{ type = "redis", url = "rediss://me:{SECRET}@cache.example:6380/2" }}

        sqlite_database.default = {{ type = "spin", path = "/data/a.db", allow_attach_file = false }}
        sqlite_database.other = {{ type = "spin" }}
        sqlite_database.far = {{ type = "libsql", url = "https://db.example", token = "{SECRET}" }}

        llm_compute.type = "remote_http"
        llm_compute.url = "https://llm.example/v1"
        llm_compute.auth_token = "{SECRET}"
        llm_compute.api_type = "open_ai"

        outbound_http = {{ connection_pooling = false, max_connections = 10 }}
        outbound_redis.max_connections = 1
        outbound_pg.max_connections = 2
        outbound_mysql.max_connections = 3
        outbound_mqtt.max_connections = 4

        [outbound_networking]
        block_networks = ["1.1.1.1/32", "8.8.8.8/16", "private", "fd00::/8", "9.9.9.9"]
        allow_networks = ["loopback", "private", "10.0.0.0/8"]
        max_socket_connections = 5
        max_total_connections = 6

        [[variables_provider]]
        type = "static"
        values = {{ api_key = "{SECRET}" }}
        [[variables_provider]]
        type = "env"
        prefix = "APP"
        dotenv_path = ".env"
        [[variables_provider]]
        type = "vault"
        url = "http://127.0.0.1:8200"
        token = "{SECRET}"
        mount = "/secret/"
        prefix = "apps/mine"
        [[variables_provider]]
        type = "env"

        [[client_tls]]
        component_ids = ["a"]
        hosts = ["api.example.com", "::1", "[fd00::1]", "10.0.0.1"]
        ca_use_webpki_roots = true
        ca_roots_file = "ca.pem"
        client_cert_file = "cert.pem"
        client_private_key_file = "/keys/key.pem"
        """
    )
    assert config == RuntimeConfig(
        state_dir=Path("/app/state"),
        log_dir=Path("/var/log/app"),
        max_instance_memory=10_000_000,
        key_value_stores={
            "default": StoreFile(),
            "files": StoreFile(Path("/app/kv.db")),
            "shared-one": RedisStore(f"rediss://me:{SECRET}@cache.example:6380/2"),
        },
        sqlite_databases={
            "default": DatabaseFile(Path("/data/a.db")),
            "other": DatabaseFile(),
            "far": LibsqlDatabase("https://db.example", SECRET),
        },
        variables_providers=(
            StaticVariables({"api_key": SECRET}),
            EnvironmentVariables("APP", Path("/app/.env")),
            VaultVariables("http://127.0.0.1:8200", SECRET, "secret", "apps/mine"),
            EnvironmentVariables("SPIN_VARIABLE", None),
        ),
        llm_compute=RemoteLlm("https://llm.example/v1", SECRET, "open_ai"),
        outbound_http=OutboundHttp(connection_pooling=False, max_connections=10),
        outbound_redis=1,
        outbound_pg=2,
        outbound_mysql=3,
        outbound_mqtt=4,
        outbound_networking=OutboundNetworking(
            (
                ip_network("1.1.1.1/32"),
                ip_network("8.8.0.0/16"),
                "private",
                ip_network("fd00::/8"),
                ip_network("9.9.9.9/32"),
            ),
            ("loopback", "private", ip_network("10.0.0.0/8")),
            5,
            6,
        ),
        client_tls=(
            ClientTls(
                ("a",),
                ("api.example.com", "::1", "[fd00::1]", "10.0.0.1"),
                ca_use_platform_roots=False,
                ca_use_webpki_roots=True,
                ca_roots_file=Path("/app/ca.pem"),
                client_cert_file=Path("/app/cert.pem"),
                client_private_key_file=Path("/keys/key.pem"),
            ),
        ),
    )
    assert SECRET not in repr(config)


def test_older_and_other_names() -> None:
    vault = f'url = "https://v"\ntoken = "{SECRET}"\nmount = "m"\n'
    expected = (VaultVariables("https://v", SECRET, "m"),)
    assert read(f'[[config_provider]]\ntype = "vault"\n{vault}').variables_providers == expected
    assert read(f'[[variables_provider]]\ntype = "open_bao"\n{vault}').variables_providers == expected


LIBSQL = "[sqlite_database.a]\ntype = 'libsql'\nurl = 'http://a'\n"
VAULT = "[[variables_provider]]\ntype = 'vault'\nurl = 'http://a'\nmount = 'm'\n"


def test_tokens() -> None:
    assert read(LIBSQL + "token = ''").sqlite_databases == {"a": LibsqlDatabase("http://a", "")}
    assert read(LIBSQL + "token = '~!'").sqlite_databases == {"a": LibsqlDatabase("http://a", "~!")}
    assert problems(VAULT + "token = ''") == ["5: `variables_provider[0].token` must not be empty"]
    for wrong in ("ä", "a b", "a\\u0000", "\\t"):
        for table, name in ((LIBSQL, "sqlite_database.a"), (VAULT, "variables_provider[0]")):
            (problem,) = problems(f'{table}token = "geheim-1234{wrong}"')
            assert problem.partition(": ")[2].startswith(f"`{name}.token` must ")


def test_no_log_folder() -> None:
    assert read('log_dir = ""').log_dir is None


@pytest.mark.parametrize(
    ("given", "platform", "webpki"),
    [
        ("", True, False),
        ('ca_roots_file = "a"', False, False),
        ("ca_use_webpki_roots = true", False, True),
        ("ca_use_webpki_roots = false", False, False),
        ('ca_roots_file = "a"\nca_use_platform_roots = true', True, False),
        ("ca_use_platform_roots = true\nca_use_webpki_roots = true", True, True),
    ],
)
def test_whom_client_tls_trusts(given: str, platform: bool, webpki: bool) -> None:
    (entry,) = read(f'[[client_tls]]\ncomponent_ids = ["a"]\nhosts = ["b"]\n{given}').client_tls
    assert (entry.ca_use_platform_roots, entry.ca_use_webpki_roots) == (platform, webpki)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sate_dir = 1", ["1: unknown field `sate_dir`, did you mean `state_dir`?"]),
        ('state_dir = ""', ["1: `state_dir` must not be empty"]),
        ("state_dir = 1", ["1: `state_dir` must be a string, not an integer"]),
        ("max_instance_memory = '1MiB'", ["1: `max_instance_memory` must be an integer, not a string"]),
        ("key_value_store = 1", ["1: `key_value_store` must be a table, not an integer"]),
        ("[key_value_store.a]", ["1: `key_value_store.a` needs `type`: `spin`, `redis`, `azure_cosmos`, `aws_dynamo`"]),
        ("[key_value_store.a]\ntype = 1", ["2: `key_value_store.a.type` must be a string, not an integer"]),
        (
            "[key_value_store.a]\ntype = 'reddis'",
            ["2: `key_value_store.a.type` = `reddis` is no type, did you mean `redis`?"],
        ),
        (
            "[sqlite_database.a]\ntype = 'x'",
            ["2: `sqlite_database.a.type` = `x` is no type; known here: spin, libsql"],
        ),
        (
            "[key_value_store.a]\ntype = 'spin'\nurl = ''",
            ["3: unknown field `key_value_store.a.url`; known here: type, path"],
        ),
        ("[key_value_store.a]\ntype = 'redis'", ["1: `key_value_store.a` needs `url`"]),
        ("[sqlite_database.a]\ntype = 'libsql'\nurl = 'http://a'", ["1: `sqlite_database.a` needs `token`"]),
        (
            "[outbound_redis]\nmax_conections = 1",
            ["2: unknown field `outbound_redis.max_conections`, did you mean `max_connections`?"],
        ),
        (
            "[outbound_http]\nmax_concurrent_requests = 1",
            [
                "2: `outbound_http.max_concurrent_requests` is Spin's old name; write `max_connections`, which is "
                "one more"
            ],
        ),
        ("variables_provider = {}", ["1: `variables_provider` must be an array, not a table"]),
        (
            "[[variables_provider]]\ntype = 'static'\nvalues = { Key = 'x', b = 1 }",
            [
                "3: `variables_provider[0].values.Key`: the key is not a variable name: lower-case letters and digits, "
                "words joined by one `_`, a letter first",
                "3: `variables_provider[0].values.b` must be a string, not an integer",
            ],
        ),
        (
            "variables_provider = []\n[[config_provider]]\ntype = 'env'",
            ["2: `config_provider` is the old name of `variables_provider`, which is there as well"],
        ),
        (
            "llm_compute = { type = 'remote_http', url = 'http://a', auth_token = 'a', api_type = 'x' }",
            ["1: `llm_compute.api_type` = `x` is neither `default` nor `open_ai`"],
        ),
        (
            "[outbound_networking]\nallow_networks = ['public']",
            [
                "2: `outbound_networking.allow_networks[0]` = `public` is no network: `private`, `loopback`, or a "
                "range as 10.0.0.0/8 or fd00::/8"
            ],
        ),
        (
            "client_tls = [{ component_ids = [], hosts = ['a'] }]",
            ["1: `client_tls[0].component_ids` must not be empty"],
        ),
        (
            "client_tls = [{ component_ids = ['a'], hosts = ['*.a', 'a:443', 'https://a', 'a/b', '[::1]:8'] }]",
            [
                f"1: `client_tls[0].hosts[{number}]` = `{text}` must be one host, without scheme, port or `*`"
                for number, text in enumerate(("*.a", "a:443", "https://a", "a/b", "[::1]:8"))
            ],
        ),
        (
            "client_tls = [{ component_ids = ['a'], hosts = ['a'], client_cert_file = 'a' }]",
            ["1: `client_tls[0]` needs `client_cert_file` and `client_private_key_file`, or neither"],
        ),
        ("a = ", ["1: not valid TOML: Invalid value"]),
    ],
)
def test_what_is_wrong(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


def test_all_problems_in_the_order_of_the_file() -> None:
    text = 'b = 1\n[outbound_pg]\nmax_connections = -1\n[sqlite_database.Bad-Label]\ntype = "spin"\n'
    assert [line.split(":")[0] for line in problems(text)] == ["1", "3", "4"]


@pytest.mark.parametrize(
    "text",
    [
        f'key_value_store.a = {{ type = "redis", url = "http://me:{SECRET}@h" }}',
        f'key_value_store.a = {{ type = "redis", url = "redis://me:{SECRET}@h:x" }}',
        f'key_value_store.a = {{ type = "redis", url = "redis://me:{SECRET}@" }}',
        f'sqlite_database.a = {{ type = "libsql", url = "libsql://{SECRET}", token = "{SECRET}" }}',
        f'sqlite_database.a = {{ type = "libsql", url = "http://a", token = ["{SECRET}"] }}',
        f'variables_provider = [{{ type = "vault", url = "{SECRET}", token = "{SECRET}", mount = "a" }}]',
        f'variables_provider = [{{ type = "vault", url = "http://a", token = "{SECRET}\\n", mount = "../{SECRET}" }}]',
        f'variables_provider = [{{ type = "static", values = {{ a = ["{SECRET}"] }} }}]',
        f'llm_compute = {{ type = "remote_http", url = "ftp://{SECRET}", auth_token = "{SECRET}" }}',
        f'llm_compute = {{ type = "remote_http", auth_token = "{SECRET}',
    ],
)
def test_a_problem_does_not_tell_a_secret(text: str) -> None:
    assert problems(text)  # which looks for it


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[key_value_store.a]\ntype = 'azure_cosmos'\nkey = 'geheim-1234'",
            "1: `key_value_store.a` is of the type `azure_cosmos`, which edged does not have; use `spin` or `redis`",
        ),
        (
            "[key_value_store.a]\ntype = 'aws_dynamo'",
            "1: `key_value_store.a` is of the type `aws_dynamo`, which edged does not have; use `spin` or `redis`",
        ),
        (
            "[[variables_provider]]\ntype = 'azure_key_vault'",
            "1: `variables_provider[0]` is of the type `azure_key_vault`, which edged does not have; use `vault`, "
            "`env` or `static`",
        ),
        (
            "llm_compute = { type = 'spin' }",
            "1: `llm_compute` is of the type `spin`, which edged does not have; use `remote_http`",
        ),
        (
            "[sqlite_database.a]\ntype = 'spin'\nallow_attach_file = true",
            "3: `sqlite_database.a.allow_attach_file` is true, but edged lets no guest attach another file",
        ),
    ],
)
def test_what_spin_has_and_edged_does_not(text: str, expected: str) -> None:
    assert problems(text, RuntimeConfigUnsupported) == [expected]


def test_all_that_is_unsupported_at_once() -> None:
    text = "llm_compute.type = 'spin'\n[key_value_store.a]\ntype = 'aws_dynamo'\n"
    assert {line.split(":")[0] for line in problems(text, RuntimeConfigUnsupported)} == {"1", "2"}
    assert problems("b = 1\n" + text)[0].startswith("1: unknown field `b`")  # what is wrong comes before that


# --- limits ---


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("max_instance_memory", GUEST_LIMITS_LOWEST.memory_bytes_max, GUEST_LIMITS_HIGHEST.memory_bytes_max),
        ("outbound_pg.max_connections", 1, RUNTIME_CONFIG_CONNECTIONS_HIGHEST),
    ],
)
def test_numbers(key: str, low: int, high: int) -> None:
    for value in (low, high):
        read(f"{key} = {value}")
    for value in (low - 1, high + 1):
        assert problems(f"{key} = {value}") == [f"1: `{key}` must be between {low} and {high}"]


def test_size() -> None:
    data = b"#" * RUNTIME_CONFIG_BYTES_MAX
    assert parse(data, FILE) == RuntimeConfig()
    with pytest.raises(RuntimeConfigError, match=f"at most {RUNTIME_CONFIG_BYTES_MAX} bytes"):
        parse(data + b"#", FILE)


def test_depth() -> None:
    (problem,) = problems("a = " + "[" * 1000 + "]" * 1000)
    assert problem.startswith("1: the file is nested deeper than")


# --- files ---


def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rc.toml").write_text('\ufeffstate_dir = "a"\r\n')
    assert load(tmp_path / "rc.toml").state_dir == tmp_path / "a"
    monkeypatch.chdir(tmp_path)
    assert load(Path("rc.toml")).state_dir == tmp_path / "a"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeConfigMissing, match=r"rc\.toml cannot be read: No such file"):
        load(tmp_path / "rc.toml")
    with pytest.raises(RuntimeConfigMissing, match="Is a directory"):
        load(tmp_path)
    with pytest.raises(RuntimeConfigMissing, match="null byte"):
        load(tmp_path / "a\0")


def test_no_text() -> None:
    with pytest.raises(RuntimeConfigError, match=r"rc\.toml:2: not UTF-8"):
        parse(b"# a\n# \xff", FILE)
