"""push, status, apps, releases, rollback, variables, logs, remove, login, completion: as they are typed."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from edged import cli
from edged.errors import (
    AppUnknown,
    BuildFailed,
    EdgedError,
    FleetUnreachable,
    HostTaken,
    LoginRefused,
    NotLoggedIn,
    PushInterrupted,
    RestoreUnfinished,
    UsageError,
)
from edged.fleet.certificate import make_identity, save_identity
from edged.fleet.peer import Peer
from edged.publish.context import ContextStore, default_config_folder
from registry.digest import digest_of, parse_digest
from registry.dsse import Envelope
from registry.errors import DigestInvalid, KeyNotAllowed, ReleaseMissing, SignatureInvalid
from registry.keys import SigningKey
from tests.cli.fleet import Commands
from tests.publish.fakes import NOW


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    return Commands(tmp_path, monkeypatch)


def test_a_push_to_read(user: Commands) -> None:
    out = user.run("push", str(user.app())).stdout
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    assert lines[0].startswith("shop 1.0  ")
    assert lines[1] == "to demo by a at a.example:7400"
    assert "published as sequence 1" in out
    assert "eu: live  1 node" in lines
    assert lines[-2] == "http://shop.edged.localhost:8080/"
    assert "\x1b" not in out


def test_a_push_for_a_program(user: Commands) -> None:
    events = user.json("push", str(user.app()), "-m", "first")
    assert [event["event"] for event in events][-1] == "finished"
    assert events[-1]["regions"] == {"eu": "live", "us": "live"}
    assert {"packed", "uploading", "published", "region"} <= {event["event"] for event in events}


def test_what_the_manifest_and_the_command_line_say(user: Commands) -> None:
    edged = '[application.tool.edged]\nhosts = ["shop.example.com"]\nregions = ["us"]\nprobe = "/healthz"\n'
    app = str(user.app(edged=edged))
    user.run("push", app)
    head = user.fleet.first.head()
    assert head is not None
    assert (head.hosts, set(head.regions), head.probe) == (("shop.example.com",), {"us"}, "/healthz")
    user.run("push", app, "--host", "other.example.com", "--all-regions", "--limit", "memory=64MiB")
    head = user.fleet.first.head()
    assert head is not None
    assert (head.hosts, set(head.regions)) == (("other.example.com",), {"eu", "us"})
    assert head.limits == {"memory_bytes_max": 64 * 1024 * 1024}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--region", "eu", "--all-regions"], "cannot both"),
        (["--region", "mars"], "no region `mars`"),
        (["--variable", "tokn=1"], "no variable `tokn`"),
        (["--limit", "memory"], "has no value"),
        (["--profile", "debug"], "no component"),
    ],
)
def test_a_push_that_cannot_mean_anything(user: Commands, options: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        user.run("push", str(user.app()), *options)
    assert user.fleet.first.head() is None


def test_what_is_built_is_pushed(user: Commands) -> None:
    app = user.app()
    (app / "built").write_bytes(b"\0asm\x0d\0\1\0built")
    with (app / "spin.toml").open("a") as file:
        file.write('[component.shop.build]\ncommand = "echo noise && cp built app.wasm"\n')
    events = user.json("push", str(app), "--build")  # what the command prints is not among them
    assert events[0]["event"] == "building"
    assert events[-1]["event"] == "finished"
    assert (app / "app.wasm").read_bytes().endswith(b"built")
    head = user.fleet.first.head()
    assert head is not None
    entries = user.fleet.first.releases.get(head.regions["eu"]).release.entries
    assert digest_of((app / "app.wasm").read_bytes()) in {entry.blob.digest for entry in entries}


def test_a_build_that_fails_pushes_nothing(user: Commands) -> None:
    app = user.app()
    with (app / "spin.toml").open("a") as file:
        file.write('[component.shop.build]\ncommand = "exit 3"\n')
    with pytest.raises(BuildFailed, match="exit 3"):
        user.run("push", str(app), "--build", "--json")
    assert user.fleet.first.head() is None


def exported(user: Commands, *options: str, edged: str = "") -> tuple[str, str]:
    """A bundle, and the digest of its release."""
    file = user.folder / "shop.bundle"
    (event,) = user.json("bundle", "export", str(user.app(edged=edged)), "-o", str(file), *options)
    (user.folder / "app" / "spin.toml").unlink()  # all that is needed is in the bundle
    return str(file), event["release"]


def test_a_bundle_is_pushed_as_it_was_signed(user: Commands) -> None:
    file, release = exported(user, "--key", str(user.key), edged='[application.tool.edged]\nregions = ["us"]\n')
    events = user.json("push", "--bundle", file, "--variable", "token=t")
    assert events[-1]["regions"] == {"us": "live"}
    head = user.fleet.first.head()
    assert head is not None
    assert dict(head.regions) == {"us": release}
    assert dict(head.variables) == {"token": "t"}
    envelope = Envelope.parse(user.fleet.first.releases.get(parse_digest(release)).envelope)
    assert [signature.key_id for signature in envelope.signatures] == [user.fleet.ada.key.public.id]


def test_a_bundle_that_was_imported_is_pushed_by_its_digest(user: Commands) -> None:
    file, release = exported(user, "--key", str(user.key))
    user.run("bundle", "import", file)
    Path(file).unlink()
    assert user.json("push", "--bundle", release)[-1]["event"] == "finished"
    with pytest.raises(ReleaseMissing):
        user.run("push", "--bundle", "sha256:" + "0" * 64)
    with pytest.raises(DigestInvalid):
        user.run("push", "--bundle", "sha256:0")


@pytest.mark.parametrize("signed_by", ["nobody", "a stranger", "another app's"])
def test_a_bundle_that_nobody_has_signed_who_may(user: Commands, signed_by: str) -> None:
    key = {"a stranger": SigningKey.generate(), "another app's": user.fleet.eve.key}.get(signed_by)
    options = []
    if key is not None:
        key.save(user.folder / "other.key")
        options = ["--key", str(user.folder / "other.key")]
    file, release = exported(user, *options)
    with pytest.raises((SignatureInvalid, KeyNotAllowed)) as refused:
        user.run("push", "--bundle", file)
    assert "--sign" in refused.value.remedy
    assert user.fleet.first.head() is None
    assert "put_chunk" not in user.fleet.first.calls
    assert user.json("push", "--bundle", file, "--sign")[-1]["event"] == "finished"
    stored = Envelope.parse(user.fleet.first.releases.get(parse_digest(release)).envelope)
    assert user.fleet.ada.key.public.id in {signature.key_id for signature in stored.signatures}
    assert len(stored.signatures) == (1 if key is None else 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bundle", "b", "."], "whole app"),
        (["--bundle", "b", "--build"], "whole app"),
        (["--bundle", "b", "--profile", "debug"], "whole app"),
        (["--sign"], "for --bundle"),
    ],
)
def test_options_of_a_bundle_that_cannot_mean_anything(user: Commands, options: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        user.run("push", *options)


def test_a_variable_that_the_app_in_a_bundle_has_not(user: Commands) -> None:
    file, _ = exported(user, "--key", str(user.key))
    with pytest.raises(UsageError, match="no variable `tokn`"):
        user.run("push", "--bundle", file, "--variable", "tokn=1")
    assert user.fleet.first.head() is None


def test_an_error_for_a_program_is_the_last_line(user: Commands) -> None:
    for node in user.fleet.nodes.values():
        node.is_down = True
    ended = CliRunner().invoke(cli._edged, ["status", "--json"], standalone_mode=False)
    assert isinstance(ended.exception, FleetUnreachable)
    error = json.loads(ended.stdout.splitlines()[-1])
    assert (error["event"], error["code"]) == ("error", "fleet.no-node")
    assert error["remedy"]


def test_status(user: Commands) -> None:
    user.run("push", str(user.app()))
    out = user.run("status").stdout
    assert "✓ all well" in out.splitlines()[0]
    (shape,) = user.json("status")
    assert shape["fleet"]["name"] == "demo"
    assert shape["problems"] == []
    assert [app["app"] for app in user.json("apps")] == ["shop"]
    assert "http://shop.edged.localhost:8080/" in user.run("apps").stdout


def test_status_tells_programs_what_is_wrong_and_what_to_do(user: Commands) -> None:
    user.fleet.first.silent |= {"b"}
    (shape,) = user.json("status")
    assert [problem["severity"] for problem in shape["problems"]] == ["error"]
    assert "b" in shape["problems"][0]["text"]
    assert set(shape["problems"][0]) == {"severity", "text", "remedy"}


def test_releases_and_rollback(user: Commands) -> None:
    user.run("push", str(user.app("one")), "-m", "the first")
    user.run("push", str(user.app("two")), "-m", "the second", "--variable", "token=s3cret")
    found = user.json("releases", "shop")
    assert [(one["sequence"], one["signed_by"], one["message"]) for one in found] == [
        (2, "ada", "the second"),
        (1, "ada", "the first"),
    ]
    assert [one["live_in"] for one in found] == [["eu", "us"], []]
    out = user.run("rollback", "shop").stdout
    assert out.startswith("shop 2 -> what 1 was, as sequence 3\n")
    found = user.json("releases", "shop")
    assert found[0]["regions"] == found[2]["regions"]
    assert found[0]["variables"] == ["token"]
    assert "s3cret" not in json.dumps(found) + user.run("releases", "shop").stdout
    user.run("rollback", "shop", "2")
    assert user.json("releases", "shop")[0]["regions"] == found[1]["regions"]


def test_a_rollback_to_a_host_that_another_app_has_by_now(user: Commands) -> None:
    app = user.app("one", edged='[application.tool.edged]\nhosts = ["x.example"]\n')
    user.run("push", str(app))
    user.run("push", str(user.app("two")), "--host", "y.example")
    manifest = app / "spin.toml"
    manifest.write_text(manifest.read_text().replace('name = "shop"', 'name = "blog"'))
    user.run("push", str(app), "--host", "x.example")
    with pytest.raises(HostTaken, match="belongs to the app blog"):
        user.run("rollback", "shop", "--yes")
    head = user.fleet.first.head()
    assert head is not None
    assert head.sequence == 2
    user.run("variables", "set", "shop", "token=1")  # the hosts of now are its own
    user.run("remove", "blog", "--count", "1")
    user.run("rollback", "shop", "1", "--yes")


@pytest.mark.parametrize(("said", "sequence"), [("n\n", 2), ("y\n", 3)])
def test_a_rollback_asks(user: Commands, monkeypatch: pytest.MonkeyPatch, said: str, sequence: int) -> None:
    user.run("push", str(user.app("one")))
    user.run("push", str(user.app("two")))
    terminal = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("edged.cli.rollback.sys", terminal)
    ended = CliRunner().invoke(cli._edged, ["rollback", "shop"], input=said, standalone_mode=False)
    assert "for another: `edged rollback shop N`" in ended.stdout
    assert "Go back?" in ended.output
    assert isinstance(ended.exception, PushInterrupted) == (said == "n\n")
    head = user.fleet.first.head()
    assert head is not None
    assert head.sequence == sequence


def test_rollback_to_nowhere(user: Commands) -> None:
    user.run("push", str(user.app()))
    with pytest.raises(UsageError, match="no earlier release"):
        user.run("rollback", "shop")
    with pytest.raises(UsageError, match="no sequence 7"):
        user.run("rollback", "shop", "7")


@pytest.mark.parametrize(
    "command",
    [["releases"], ["rollback"], ["variables", "list"], ["variables", "delete", "--", "x"], ["remove", "--count", "1"]],
)
def test_an_app_that_is_not_there(user: Commands, command: list[str]) -> None:
    command = ["variables", "delete", "nothing", "x"] if "delete" in command else [*command, "nothing"]
    with pytest.raises(AppUnknown, match="no app `nothing`"):
        user.run(*command)


def test_variables(user: Commands, tmp_path: Path) -> None:
    user.run("push", str(user.app()))
    (tmp_path / "more.toml").write_text('b = "2"\n')
    outs = [
        user.run("variables", "set", "shop", "token=s3cret", f"@{tmp_path / 'more.toml'}").output,
        user.run("variables", "set", "shop", "key=-", input="pi\nped\n").output,
        user.run("variables", "list", "shop").output,
    ]
    assert outs[-1].split() == ["b", "key", "token"]
    head = user.fleet.first.head()
    assert head is not None
    assert head.variables == {"token": "s3cret", "b": "2", "key": "pi\nped"}
    user.run("variables", "delete", "shop", "b", "key")
    assert user.json("variables", "list", "shop") == [{"app": "shop", "variables": ["token"]}]
    assert "s3cret" not in "".join(outs) + head.message
    with pytest.raises(UsageError, match="no variable `b` set"):
        user.run("variables", "delete", "shop", "b")


def test_remove_and_back(user: Commands) -> None:
    user.run("push", str(user.app()))
    with pytest.raises(UsageError, match="out of every region"):
        user.run("remove", "shop")
    head = user.fleet.first.head()
    assert head is not None
    assert head.regions
    assert "✓ shop is in no region any more" in user.run("remove", "shop", "--count", "1").stdout
    assert user.json("apps") == []
    with pytest.raises(AppUnknown):
        user.run("remove", "shop", "--count", "1")
    user.run("rollback", "shop")
    assert [app["app"] for app in user.json("apps")] == ["shop"]


@pytest.mark.parametrize("count", [[], ["--yes"], ["--count", "1"], ["--count", "3"]])
def test_apps_are_removed_only_if_their_number_is_said(user: Commands, count: list[str]) -> None:
    user.run("push", str(user.app()))
    manifest = user.app() / "spin.toml"
    manifest.write_text(manifest.read_text().replace('name = "shop"', 'name = "blog"'))
    user.run("push", str(manifest.parent))
    with pytest.raises(UsageError, match="shop, blog would be taken out") as refused:
        user.run("remove", "shop", "blog", "shop", *count)
    assert "--count 2" in refused.value.remedy
    assert {app["app"] for app in user.json("apps")} == {"shop", "blog"}
    events = user.json("remove", "shop", "blog", "--count", "2")
    assert [(one["event"], one["app"]) for one in events if one["event"] in ("published", "finished")] == [
        ("published", "shop"), ("published", "blog"), ("finished", "shop"), ("finished", "blog")
    ]  # fmt: skip
    removed = [user.fleet.first.head(app) for app in ("shop", "blog")]
    assert [(one.removal_count, one.regions) for one in removed if one] == [(2, {}), (2, {})]
    assert len({one.issued for one in removed if one}) == 1


@pytest.mark.parametrize(("said", "goes"), [("1\n", False), ("2\n", True)])
def test_a_removal_asks_for_the_number(user: Commands, monkeypatch: pytest.MonkeyPatch, said: str, goes: bool) -> None:
    user.run("push", str(user.app()))
    terminal = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("edged.cli.remove.sys", terminal)
    ended = CliRunner().invoke(cli._edged, ["remove", "shop", "nothing"], input=said, standalone_mode=False)
    assert "Type how many apps that are" in ended.output
    assert type(ended.exception) is (AppUnknown if goes else UsageError)  # only who meant it learns what is not there
    head = user.fleet.first.head()
    assert head is not None
    assert head.regions


def test_logs(user: Commands) -> None:
    line: dict[str, object] = {"node": "a", "region": "eu", "component": "shop", "stream": "stdout"}
    user.fleet.first.lines = [
        line | {"time": "2026-11-21T06:00:02.250Z", "text": "later\x1b[2J"},
        line | {"time": "2026-11-21T06:00:01.000Z", "text": "sooner", "node": "b", "region": "us", "stream": "stderr"},
        line | {"time": "not a time", "text": "rollout.stage", "component": "", "stream": "edged"},
    ]
    out = user.run("logs", "shop").stdout.splitlines()
    assert [text.split(maxsplit=1)[1] for text in out[:2]] == ["us/b shop ┃ sooner", "eu/a shop │ later\\x1b[2J"]
    assert out[1][:12].endswith(":02.250")
    assert out[2] == "not a time eu/a - · rollout.stage"
    assert [one["text"] for one in user.json("logs", "shop", "-n", "2")] == ["sooner", "rollout.stage"]


def test_logs_of_two_nodes_until_ctrl_c(user: Commands) -> None:
    user.run("push", str(user.app()))

    async def lines(_peer: Peer, app: str, tail: int, follow: bool) -> AsyncIterator[dict[str, object]]:
        assert (app, tail, follow) == ("shop", 100, True)
        for second, node, region in ((2, "a", "eu"), (1, "b", "us"), (3, "b", "us")):
            time = f"2026-11-21T06:00:0{second}.000Z"
            where = {"node": node, "region": region, "component": "shop", "stream": "stdout"}
            yield {"time": time, "text": f"line {second}", **where}
        signal.raise_signal(signal.SIGINT)
        await trio.sleep_forever()

    user.fleet.first.handlers["logs"] = lines
    found = [line.split(maxsplit=1)[1] for line in user.run("logs", "shop", "-f").stdout.splitlines()]
    assert found == ["us/b shop │ line 1", "eu/a shop │ line 2", "us/b shop │ line 3"]


def test_logs_of_nothing(user: Commands) -> None:
    user.run("push", str(user.app()))
    said = user.run("logs", "shop")
    assert (said.stdout, said.stderr) == ("", "no line of shop is kept by any node\n")
    assert user.json("logs", "shop") == []
    for options in ([], ["--follow"]):
        with pytest.raises(AppUnknown, match="no app `shpo`"):
            user.run("logs", "shpo", *options)


# --- login ---


def test_login_by_a_folder(user: Commands, tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    folder.mkdir()
    (folder / "roster.bin").write_bytes(user.fleet.roster_envelope)
    save_identity(user.fleet.ada, folder / "operator.key", folder / "operator.crt")
    (shape,) = user.json("login", str(folder))
    assert shape["fleet"] == "demo"
    assert shape["nodes"] == list(user.fleet.addresses)
    assert ContextStore(default_config_folder()).load().key == folder / "operator.key"
    user.run("push", str(user.app()))


def test_login_with_a_key_that_the_fleet_does_not_know(user: Commands, tmp_path: Path) -> None:
    (tmp_path / "roster.bin").write_bytes(user.fleet.roster_envelope)
    stranger = make_identity("stranger", now=NOW)
    save_identity(stranger, tmp_path / "operator.key", tmp_path / "operator.crt")
    with pytest.raises(LoginRefused, match="does not know the certificate of stranger"):
        user.run("login", str(tmp_path))


def test_known_fleets(user: Commands) -> None:
    assert user.run("login").stdout.startswith("* demo  a.example:7400")
    assert user.json("login")[0]["current"] is True
    with pytest.raises(NotLoggedIn, match="not logged in to a fleet `other`"):
        user.run("login", "--use", "other")
    assert user.run("login", "--use", "demo").stdout == "demo is the current fleet\n"
    with pytest.raises(NotLoggedIn, match="not logged in to a fleet `other`"):
        user.run("status", "--fleet", "other")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "is no folder"),
        (["a.example:7400"], "needs --fleet, --key and --root-key"),
        (["a.example:7400", "--fleet", "demo", "--key", "x", "--root-key", "AB"], "no id of a key"),
        (["--use", "demo", "a.example:7400"], "known already"),
    ],
)
def test_a_login_that_cannot_mean_anything(user: Commands, arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        user.run("login", *arguments)


def test_a_roster_of_other_root_keys(user: Commands) -> None:
    """Somebody replaced the file that login wrote."""
    forged = user.fleet.roster.seal([SigningKey.generate()])
    user.store.save_roster("demo", forged)
    with pytest.raises(EdgedError, match="roster kept for demo cannot be used"):
        user.run("status")


# --- completion ---


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(user: Commands, shell: str) -> None:
    assert "_EDGED_COMPLETE" in user.run("completion", shell).stdout


def test_names_of_apps_are_completed(user: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    def completed() -> list[str]:
        complete = ShellComplete(cli._edged, {}, "edged", "_EDGED_COMPLETE")
        return [item.value for item in complete.get_completions(["rollback"], "sh")]

    assert completed() == []
    user.run("push", str(user.app()))
    user.run("status")
    assert completed() == ["shop"]


def test_keys_and_when_they_were_last_used(user: Commands) -> None:
    assert {key["used_at"] for key in user.json("keys")[0]["keys"]} == {None}
    user.run("push", str(user.app()))
    used = [key["name"] for key in user.json("keys")[0]["keys"] if key["used_at"] is not None]
    assert len(used) == 1
    assert "last used" in user.run("keys").stdout


def test_keys_of_a_fleet_that_does_not_answer(user: Commands) -> None:
    for node in user.fleet.nodes.values():
        node.is_down = True
    ended = user.run("keys")
    assert "last used" not in ended.stdout
    assert "not known" in ended.stderr


def test_a_backup_and_its_restore(user: Commands) -> None:
    user.run("push", str(user.app()), "--variable", "token=t")
    file, folder = user.folder / "fleet.backup", user.folder / "releases"
    (told,) = user.json("fleet", "backup", str(file), "--releases", str(folder))
    assert (told["event"], told["counts"]["deployment"], told["left_out"]) == ("backup", 1, [])
    assert file.stat().st_mode & 0o777 == 0o600
    (bundle,) = folder.glob("*.bundle")
    assert told["releases"] == [str(bundle)]

    (again,) = user.json("fleet", "restore", str(file), "--releases", str(folder))
    assert (sum(again["accepted"].values()), again["known"], again["releases"]) == (0, 2, 1)
    said = user.run("fleet", "restore", str(file), "--releases", str(folder)).stdout.splitlines()
    assert said[0] == f"{bundle} is there"
    assert said[1].endswith("has records of 1 app and version 1 of the roster.")
    assert said[2] == "It gave the fleet 0 records; 2 more are there as they are, or newer."
    bundle.write_bytes(b"no bundle")
    with pytest.raises(RestoreUnfinished, match="bundle"):
        user.run("fleet", "restore", str(file), "--releases", str(folder))
