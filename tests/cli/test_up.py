"""`edged up`, the command: options, and every clear error of a load with its exit status."""

from __future__ import annotations

import gc
import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme

from edged import cli
from edged.host.initial_state import InitialState, SqlScript
from edged.http.listener import ListenOptions
from edged.http.tls import TlsFiles
from edged.limits import GuestLimits, MiB
from edged.runtime_config import load
from edged.up import session
from edged.up.options import UpOptions
from edged.variables_provider import Provider
from edged.variables_provider.environment import EnvironmentProvider
from edged.variables_provider.static import StaticProvider
from tests.conftest import GuestPath
from tests.guests import wat
from tests.up.apps import MANIFEST, write_app

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(cache_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """`run(path, ...)`: the error event of `edged up --json`, with `exit_status` and what stderr said."""
    monkeypatch.delenv("SPIN_HTTP_LISTEN_ADDR", raising=False)
    monkeypatch.delenv("RUNTIME_CONFIG_FILE", raising=False)

    def command(*arguments: object) -> dict[str, Any]:
        usual = ["up", "--json", "--listen", "127.0.0.1:0", "--cache-dir", cache_folder]
        monkeypatch.setattr("sys.argv", ["edged", *map(str, [*usual, *arguments])])
        # An engine reserves 17 TiB of address space until it is collected, and a process has 128.
        gc.collect()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        shown = json.loads(out.splitlines()[-1])
        assert shown["event"] == "error"
        assert shown["message"].split("\n")[0] in err
        assert f"{shown['remedy']}  [{shown['code']}]" in err
        return shown | {"exit_status": ended.value.code}

    return command


def failed(shown: dict[str, Any]) -> tuple[str, int]:
    return shown["code"], shown["exit_status"]


# --- what Spin developers meet first ---


def test_no_manifest(run: Run, tmp_path: Path) -> None:
    shown = run(tmp_path)
    assert failed(shown) == ("manifest.missing", 66)
    assert str(tmp_path / "spin.toml") in shown["message"]


def test_a_wrong_manifest(run: Run, tmp_path: Path) -> None:
    (tmp_path / "spin.toml").write_text(MANIFEST.replace("[component.hello]", "[component.hello]\nsourc = 1"))
    shown = run(tmp_path)
    assert failed(shown) == ("manifest.invalid", 78)
    assert "spin.toml:8: " in shown["message"]
    assert "did you mean `source`" in shown["message"]


def test_a_component_that_is_not_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "spin.toml").write_text(MANIFEST)
    shown = run(tmp_path)
    assert failed(shown) == ("source.missing", 66)
    assert "component `hello`" in shown["message"]
    assert str(tmp_path / "app.wasm") in shown["message"]
    assert "--build" in shown["remedy"]


def test_a_mounted_file_that_is_not_there(run: Run, tmp_path: Path, guest_path: GuestPath) -> None:
    write_app(tmp_path, guest_path("hello"), MANIFEST + 'files = ["absent.txt"]\n')
    shown = run(tmp_path)
    assert failed(shown) == ("source.missing", 66)
    assert shown["message"].count("component `hello`") == 1


def test_a_required_variable_without_a_value(run: Run, tmp_path: Path, guest_path: GuestPath) -> None:
    write_app(tmp_path, guest_path("hello"), MANIFEST + "[variables]\ntoken = { required = true, secret = true }\n")
    assert failed(run(tmp_path)) == ("app.variable", 78)
    assert failed(run(tmp_path, "--variable", "tokn=1")) == ("app.variable", 78)


def test_a_trigger_that_edged_does_not_have(run: Run, tmp_path: Path) -> None:
    (tmp_path / "spin.toml").write_text(
        MANIFEST.replace('[[trigger.http]]\nroute = "/..."', '[[trigger.sqs]]\nqueue = "x"')
    )
    shown = run(tmp_path)
    assert failed(shown) == ("app.unsupported", 69)
    assert "`sqs`" in shown["message"]


def test_a_component_of_a_registry(run: Run, tmp_path: Path) -> None:
    source = '{ registry = "example.org", package = "a:b", version = "1.0.0" }'
    (tmp_path / "spin.toml").write_text(MANIFEST.replace('"app.wasm"', source))
    assert failed(run(tmp_path)) == ("app.unsupported", 69)


# --- components that cannot run ---


@pytest.mark.parametrize(
    ("guest", "code", "status", "says"),
    [
        ("unknown-import", "component.unsupported", 69, "acme:thing/x"),
        ("no-handler", "component.unsupported", 69, "wasi:http/incoming-handler"),
        ("core-module", "component.unsupported", 69, "core module"),
    ],
)
def test_a_component_made_for_something_else(
    run: Run, tmp_path: Path, guest_path: GuestPath, guest: str, code: str, status: int, says: str
) -> None:
    shown = run(write_app(tmp_path, guest_path(guest)))
    assert failed(shown) == (code, status)
    assert says in shown["message"]
    assert "component `hello`" in shown["message"]


def test_a_wasi_0_3_component(run: Run, tmp_path: Path) -> None:
    """One that asks for a part of it that edged does not run."""
    source = tmp_path / "source.wat"
    source.write_text('(component (import "f" (func async)) (core func (canon error-context.drop)))')
    shown = run(write_app(tmp_path / "app", source))
    assert failed(shown) == ("component.unsupported", 69)
    assert "error-context" in shown["message"]
    assert "docs/compatibility.md" in shown["remedy"]


def test_a_corrupt_module(run: Run, tmp_path: Path, guest_path: GuestPath) -> None:
    folder = write_app(tmp_path, guest_path("hello"))
    data = (folder / "app.wasm").read_bytes()
    (folder / "app.wasm").write_bytes(data[: len(data) // 2])
    shown = run(folder)
    assert failed(shown) == ("component.invalid", 65)
    assert "app.wasm" in shown["message"]


def test_a_file_that_is_no_webassembly_at_all(run: Run, tmp_path: Path, guest_path: GuestPath) -> None:
    folder = write_app(tmp_path, guest_path("hello"))
    (folder / "app.wasm").write_bytes(b"\x7fELF\xff\xfe")
    assert failed(run(folder)) == ("component.invalid", 65)


def test_webassembly_text_with_an_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "spin.toml").write_text(MANIFEST.replace("app.wasm", "app.wat"))
    (tmp_path / "app.wat").write_text(wat.text("syntax-error"))
    shown = run(tmp_path)
    assert failed(shown) == ("component.invalid", 65)
    assert "line 3" in shown["message"]


def test_a_module_of_100_megabytes(run: Run, tmp_path: Path, guest_path: GuestPath) -> None:
    folder = write_app(tmp_path, guest_path("hello"))
    with (folder / "app.wasm").open("r+b") as file:
        file.truncate(100_000_000)
    shown = run(folder)
    assert failed(shown) == ("component.too-large", 65)
    assert "95.4 MiB" in shown["message"]
    assert "64 MiB" in shown["message"]


def test_a_component_that_does_not_fit_its_limit(run: Run, tmp_path: Path, guest_path: GuestPath) -> None:
    folder = write_app(tmp_path, guest_path("hello"))
    (folder / "app.wasm").write_bytes(wat.with_memory_pages(17))
    code, status = failed(run(folder, "--limit", "memory=1MiB"))
    assert (code, status) == ("guest.memory-exhausted", 70)


def test_a_build_that_fails(run: Run, tmp_path: Path, guest_path: GuestPath) -> None:
    folder = write_app(tmp_path, guest_path("hello"), MANIFEST + '[component.hello.build]\ncommand = "exit 7"\n')
    shown = run(folder, "--build")
    assert failed(shown) == ("build.failed", 65)
    assert "component `hello`: `exit 7` ended with status 7" in shown["message"]


# --- the machine ---


def test_a_port_in_use(run: Run, tmp_path: Path, guest_path: GuestPath) -> None:
    write_app(tmp_path, guest_path("hello"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        shown = run(tmp_path, "--listen", f"127.0.0.1:{port}")
    assert failed(shown) == ("listen.failed", 71)
    assert str(port) in shown["message"]
    assert "--find-free-port" in shown["remedy"]


@pytest.fixture
def tls_files(tmp_path: Path) -> tuple[Path, Path]:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_bad_tls_files(run: Run, tmp_path: Path, guest_path: GuestPath, tls_files: tuple[Path, Path]) -> None:
    write_app(tmp_path, guest_path("hello"))
    certificate, key = tls_files
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(other)
    for one, two, says in (
        (certificate, tmp_path / "absent.pem", "absent.pem does not exist"),
        (tmp_path / "spin.toml", key, "not a certificate and its key"),
        (certificate, other, "not a certificate and its key"),
    ):
        shown = run(tmp_path, "--tls-cert", one, "--tls-key", two)
        assert failed(shown) == ("tls.invalid", 78)
        assert says in shown["message"]


def test_a_cache_that_others_can_write(run: Run, tmp_path: Path, guest_path: GuestPath) -> None:
    folder = write_app(tmp_path / "app", guest_path("hello"))
    (tmp_path / "cache" / "aot").mkdir(parents=True)
    (tmp_path / "cache" / "aot").chmod(0o777)
    assert failed(run(folder, "--cache-dir", tmp_path / "cache")) == ("cache.unusable", 73)


def test_a_log_folder_that_is_a_file(run: Run, tmp_path: Path, guest_path: GuestPath) -> None:
    folder = write_app(tmp_path, guest_path("hello"))
    shown = run(folder, "--log-dir", tmp_path / "spin.toml")
    assert failed(shown) == ("log-folder.unusable", 73)
    assert "--log-dir" in shown["remedy"]


# --- the command line ---


@pytest.mark.parametrize(
    "arguments",
    [
        ["--listen", "nowhere"],
        ["--limit", "memroy=1MiB"],
        ["-e", "novalue"],
        ["--variable", "novalue"],
        ["--variable", "@absent.json"],
        ["--tls-cert", "cert.pem"],
        ["--tls-key", "key.pem"],
        ["-c", "hallo"],
        ["--profile", "absent"],
        [".", "-c", "hello"],
        [".", "--variable", "a=b"],
    ],
    ids=" ".join,
)
def test_what_cannot_mean_anything(run: Run, tmp_path: Path, guest_path: GuestPath, arguments: list[str]) -> None:
    assert failed(run(write_app(tmp_path, guest_path("hello")), *arguments)) == ("usage", 64)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., UpOptions]:
    """`parsed(...)`: what the command makes of its arguments. Nothing is served."""
    monkeypatch.delenv("SPIN_HTTP_LISTEN_ADDR", raising=False)
    monkeypatch.delenv("RUNTIME_CONFIG_FILE", raising=False)
    monkeypatch.delenv("EDGED_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")

    def parse(*arguments: str) -> UpOptions:
        seen: list[UpOptions] = []

        async def keep(options: UpOptions, _show: object) -> None:
            seen.append(options)

        monkeypatch.setattr(session, "run", keep)
        monkeypatch.setattr("sys.argv", ["edged", "up", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0
        return seen[0]

    return parse


def test_defaults(parsed: Callable[..., UpOptions]) -> None:
    assert parsed() == UpOptions(
        paths=(Path(),),
        cache_folder=Path("/cache/edged"),
        listen=ListenOptions("127.0.0.1", 8080),
        variables_providers=usual_providers(),
    )


def usual_providers() -> tuple[Provider, ...]:
    return (EnvironmentProvider(dict(os.environ), dotenv=Path.cwd() / ".env", dotenv_required=False),)


def test_all_options(parsed: Callable[..., UpOptions]) -> None:
    arguments = (
        "--listen :80 --find-free-port --tls-cert c.pem --tls-key k.pem -c a --component-id b -e A=1 --env B=2 "
        "--variable x=y --profile debug --build --watch --limit memory=1MiB --log-dir logs --cache-dir /elsewhere "
        "--key-value k=v --sqlite DELETE --allow-network loopback --allow-network 10.0.0.0/8 app"
    )
    assert parsed(*arguments.split()) == UpOptions(
        paths=(Path("app"),),
        cache_folder=Path("/elsewhere"),
        listen=ListenOptions("::", 80, find_free_port=True, tls=TlsFiles(Path("c.pem"), Path("k.pem")), http3=True),
        components=("a", "b"),
        environment={"A": "1", "B": "2"},
        variables={"x": "y"},
        variables_providers=usual_providers(),
        profile="debug",
        build=True,
        watch=True,
        log_folder=Path("logs"),
        limits=replace(GuestLimits(), memory_bytes_max=1 * MiB),
        initial=InitialState((("k", "v"),), (SqlScript("default", "DELETE"),)),
        allow_networks=("loopback", ip_network("10.0.0.0/8")),
    )


RUNTIME_CONFIG = """
state_dir = "state"
log_dir = "logs"
max_instance_memory = 1_000_000
[[variables_provider]]
type = "static"
values = { api_key = "geheim-1234" }
"""


@pytest.fixture
def runtime_config(tmp_path: Path) -> Path:
    file = tmp_path / "rc.toml"
    file.write_text(RUNTIME_CONFIG)
    return file


def test_a_runtime_config(parsed: Callable[..., UpOptions], runtime_config: Path) -> None:
    options = parsed("--runtime-config-file", str(runtime_config))
    assert options.runtime_config == load(runtime_config)
    assert (options.state_folder, options.log_folder) == (
        runtime_config.parent / "state",
        runtime_config.parent / "logs",
    )
    assert options.limits == replace(GuestLimits(), memory_bytes_max=1_000_000)
    assert options.variables_providers == (StaticProvider({"api_key": "geheim-1234"}), *usual_providers())
    assert "geheim-1234" not in repr(options)


def test_the_command_line_comes_before_the_runtime_config(
    parsed: Callable[..., UpOptions], runtime_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_CONFIG_FILE", str(runtime_config))
    options = parsed("--state-dir", "a", "--log-dir", "b", "--limit", "memory=2MiB", "--limit", "wall=1s")
    assert (options.state_folder, options.log_folder) == (Path("a"), Path("b"))
    assert (options.limits.memory_bytes_max, options.limits.wall_s_max) == (2 * MiB, 1.0)
    assert parsed("--limit", "wall=1s").limits == GuestLimits(memory_bytes_max=1_000_000, wall_s_max=1.0)


def test_a_runtime_config_that_is_none(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rc.toml"
    assert failed(run("--runtime-config-file", file, tmp_path)) == ("runtime-config.missing", 66)
    file.write_text("stat_dir = 'a'")
    shown = run("--runtime-config-file", file, tmp_path)
    assert failed(shown) == ("runtime-config.invalid", 78)
    assert shown["message"] == f"{file}:1: unknown field `stat_dir`, did you mean `state_dir`?"
    file.write_text("[key_value_store.a]\ntype = 'aws_dynamo'")
    assert failed(run("--runtime-config-file", file, tmp_path)) == ("runtime-config.unsupported", 69)


@pytest.mark.parametrize(
    "arguments", [["--runtime-config-file", "rc.toml"], ["--key-value", "a=b"], ["--sqlite", "SELECT 1"]]
)
def test_what_is_about_one_app(run: Run, arguments: list[str]) -> None:
    shown = run(*arguments, "a", "b")
    assert failed(shown) == ("usage", 64)
    assert shown["message"] == "--runtime-config-file, --key-value and --sqlite are about one app"


def test_the_environment_as_spin_reads_it(parsed: Callable[..., UpOptions], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIN_HTTP_LISTEN_ADDR", "127.0.0.1:3000")
    monkeypatch.setenv("EDGED_CACHE_DIR", "/elsewhere")
    options = parsed()
    assert (options.listen.port, options.cache_folder) == (3000, Path("/elsewhere"))
    assert parsed("--listen", "127.0.0.1:4000").listen.port == 4000


@pytest.mark.parametrize(
    ("terminal", "arguments", "watches"),
    [
        (True, [], True),
        (True, ["--json"], False),
        (True, ["--no-watch"], False),
        (False, [], False),
        (False, ["--watch"], True),
        (False, ["--watch", "--json"], True),
    ],
)
def test_who_watches(
    parsed: Callable[..., UpOptions],
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    arguments: list[str],
    watches: bool,
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    assert parsed(*arguments).watch == watches
