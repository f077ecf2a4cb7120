"""`edged provision`, typed as an operator would."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from edged import cli
from edged.cli.provision import provision, render
from edged.cli.provision_seeds import SeedMaker, read_inventory
from edged.errors import FleetFileInvalid
from edged.fleet.certificate import make_identity, save_identity
from edged.fleet.folder import FleetFolder
from edged.fleet.voucher import TOKEN_PREFIX, Voucher, open_voucher, parse_token
from provisioning import paths
from tests.provisioning.inventories import SSH_KEY, TEXT

NOW = 1_800_000_000.0
MACHINES = "[provision]" + TEXT.partition("[provision]")[2]


class Shell:
    """A folder of a fleet with one node, `ams-0`, and the machines of `inventories`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.now = NOW
        monkeypatch.setattr("edged.cli.provision.time.time", lambda: self.now)
        self.folder = folder / "demo"
        self.fleet = FleetFolder.make(self.folder, "demo", "demo.localhost", ("eu", "us"), now=NOW)
        self.toml = self.folder / "fleet.toml"
        self.toml.write_text(self.toml.read_text() + MACHINES)
        (self.folder / "keys" / "ops.pub").write_text(SSH_KEY)

    def add_node(self, name: str) -> None:
        identity = make_identity(name, now=NOW)
        save_identity(identity, self.folder / f"{name}.key", self.folder / f"{name}.crt")
        self.fleet.add_node(name, "eu", f"{name}.example.com:7400", self.folder / f"{name}.crt", "")
        self.fleet.sign(self.fleet.draft(), self.fleet.root_keys([], None))

    def edit(self, old: str, new: str) -> None:
        text = self.toml.read_text()
        assert old in text
        self.toml.write_text(text.replace(old, new, 1))

    def __call__(self, *arguments: object) -> tuple[object, str, str]:
        """Exit status, stdout, stderr."""
        words = ["edged", "provision", *map(str, arguments), "-C", str(self.folder)]
        self._monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, *self._capsys.readouterr()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setattr("edged.cli.with_fleet.configure", lambda **_: None)
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def with_node(shell: Shell) -> Shell:
    shell.add_node("ams-0")
    return shell


def voucher_in(user_data: str) -> Voucher:
    files = {file["path"]: file["content"] for file in yaml.safe_load(user_data)["write_files"]}
    return open_voucher(parse_token(files[str(paths.VOUCHER)])).voucher


def test_a_machine_that_joins(with_node: Shell) -> None:
    status, out, err = with_node("render", "ams-2")
    assert status == 0
    voucher = voucher_in(out)
    assert (voucher.fleet, voucher.node, voucher.region) == ("demo", "ams-2", "eu")
    assert voucher.address == "[2001:db8::11]:7400"
    assert voucher.expires == int(NOW) + 3_600
    assert [seed.address for seed in voucher.seeds] == ["ams-0.example.com:7400"]
    assert err == "The voucher for ams-2 is good until 2027-01-15 09:00 UTC: keep it as a password till then.\n"
    assert yaml.safe_load(out)["ssh_authorized_keys"] == [SSH_KEY]


def test_a_machine_that_begins_needs_no_key(shell: Shell) -> None:
    (shell.folder / "operator.key").unlink()
    status, out, err = shell("render", "ams-1")
    assert status == 0
    assert str(paths.VOUCHER) not in out
    assert err == "ams-1 begins the fleet: put the signed roster to /etc/edged/roster.bin there.\n"


def test_the_same_voucher_as_of_edged_fleet(with_node: Shell) -> None:
    _, out, _ = with_node(
        "render", "ams-2", "--good-for", "30m", "--seed", "ams-0", "--key", with_node.folder / "operator.key"
    )
    assert voucher_in(out).expires == int(NOW) + 1_800


def test_into_a_file_that_only_we_may_read(with_node: Shell, tmp_path: Path) -> None:
    file = tmp_path / "user-data"
    status, out, err = with_node("render", "ams-2", "-o", file)
    assert (status, out) == (0, f"The user-data of ams-2 is in {file}.\n")
    assert "is good until" in err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert voucher_in(file.read_text()).node == "ams-2"
    assert with_node("render", "ams-2", "-o", file)[0] == 73  # what is there stays


def test_a_voucher_that_is_there(with_node: Shell, tmp_path: Path) -> None:
    file = tmp_path / "user-data"
    with_node("render", "ams-2", "-o", file)
    kept = next(
        each["content"]
        for each in yaml.safe_load(file.read_text())["write_files"]
        if each["path"] == str(paths.VOUCHER)
    )
    (tmp_path / "voucher").write_text(kept)
    status, out, _ = with_node("render", "ams-2", "--voucher", tmp_path / "voucher")
    assert (status, out) == (0, file.read_text())
    status, _, err = with_node("render", "lax-1", "--voucher", tmp_path / "voucher")
    assert (status, "has a voucher for ams-2 of demo in eu" in err) == (64, True)
    status, _, err = with_node("render", "ams-1", "--voucher", tmp_path / "voucher")
    assert (status, "has a voucher for ams-2" in err) == (64, True)
    with_node.now = NOW + 3_600
    status, _, err = with_node("render", "ams-2", "--voucher", tmp_path / "voucher")
    assert (status, "has expired" in err) == (64, True)
    (tmp_path / "voucher").write_text(kept[:-9])
    status, _, err = with_node("render", "ams-2", "--voucher", tmp_path / "voucher")
    assert (status, "the voucher is damaged" in err) == (77, True)


def test_all(with_node: Shell, tmp_path: Path) -> None:
    status, out, err = with_node("render", "--all", tmp_path / "seeds")
    assert status == 0
    names = ["ams-1", "ams-2", "nyc-1", "lax-1"]
    assert out.splitlines() == [f"The seed of {name} is in {tmp_path / 'seeds' / name}." for name in names]
    assert len(err.splitlines()) == 4
    files = {str(path.relative_to(tmp_path / "seeds")): path for path in (tmp_path / "seeds").glob("*/*")}
    assert files.keys() == {
        *(f"{name}/{file}" for name in names for file in ("user-data", "meta-data")),
        "ams-1/network-config",
        "ams-2/network-config",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for name, path in files.items() if "user-data" in name} == {0o600}
    assert {stat.S_IMODE(path.parent.stat().st_mode) for path in files.values()} == {0o700}
    assert len({voucher_in(files[f"{name}/user-data"].read_text()).id for name in names[1:]}) == 3


def test_all_again(with_node: Shell, tmp_path: Path) -> None:
    """New vouchers; what a machine has no more is gone; who is in the roster keeps what it has."""
    target = tmp_path / "seeds"
    with_node("render", "--all", target)
    before = {path: path.read_bytes() for path in target.glob("*/user-data")}
    with_node.add_node("nyc-1")
    status, out, _ = with_node("render", "--all", target, "--provider", "vultr")
    assert status == 0
    assert "nyc-1 is left out: it is in the roster already." in out.splitlines()
    assert list(target.glob("*/network-config")) == []
    changed = {path.parent.name for path, data in before.items() if path.read_bytes() != data}
    assert changed == {"ams-1", "ams-2", "lax-1"}


def test_all_of_a_fleet_that_has_no_node(shell: Shell, tmp_path: Path) -> None:
    status, out, _ = shell("render", "--all", tmp_path)
    assert status == 0
    assert out.splitlines()[0] == f"The seed of ams-1 is in {tmp_path / 'ams-1'}."
    assert "lax-1 is left out: the roster has no node yet that it could ask to be let in." in out
    assert [path.name for path in tmp_path.iterdir() if path != shell.folder] == ["ams-1"]


def test_nothing_is_written_if_one_is_wrong(with_node: Shell, tmp_path: Path) -> None:
    with_node.edit('source = "/etc/edged/metadata.json"', "source = 7")
    status, _, err = with_node("render", "--all", tmp_path / "seeds")
    assert status == 78
    assert "lax-1 would have a node.toml that is refused" in err
    assert not (tmp_path / "seeds").exists()


def json_of(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


def test_json(with_node: Shell, tmp_path: Path) -> None:
    status, out, err = with_node("render", "ams-2", "--json")
    (event,) = json_of(out)
    assert (status, err) == (0, "")
    assert (event["event"], event["machine"], event["provider"]) == ("rendered", "ams-2", "static")
    assert (event["expires"], event["bytes"]) == (int(NOW) + 3_600, len(event["user_data"].encode()))
    assert yaml.safe_load(event["meta_data"])["local-hostname"] == "ams-2"
    assert yaml.safe_load(event["network_config"])["version"] == 2
    with_node.add_node("nyc-1")
    events = json_of(with_node("render", "--all", tmp_path / "seeds", "--json")[1])
    assert [(event["event"], event["machine"]) for event in events] == [
        ("rendered", "ams-1"), ("rendered", "ams-2"), ("rendered", "lax-1"), ("left-out", "nyc-1"),
    ]  # fmt: skip
    assert (events[0]["expires"], events[0]["path"]) == (None, str(tmp_path / "seeds" / "ams-1"))
    assert all("user_data" not in event for event in events)


def test_an_error_is_json_too(shell: Shell) -> None:
    status, out, _ = shell("render", "ams-3", "--json")
    (event,) = json_of(out)
    assert (status, event["event"], event["code"]) == (64, "error", "provisioning.machine-unknown")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["render"], 64, "name a machine, or a folder with --all"),
        (["render", "ams-2", "--all", "x"], 64, "name a machine, or a folder with --all"),
        (["render", "--all", "x", "-o", "y"], 64, "are of one machine"),
        (["render", "--all", "x", "--voucher", "y"], 64, "are of one machine"),
        (["render", "ams-3"], 64, "no [[machine]] 'ams-3'; is 'ams-"),
        (["render", "ams-2", "--good-for", "8d"], 64, "at most 7 days"),
        (["render", "ams-2", "--seed", "zzz"], 64, "no node 'zzz'"),
        (["render", "ams-2", "--provider", "zzz"], 64, "'zzz'"),
        (["render", "ams-2", "--key", "zzz.key"], 66, "there is no zzz.crt"),
        (["render", "ams-2", "--voucher", "zzz"], 66, "there is no zzz"),
        (["terraform", "ams-1"], 78, "none of the machines"),
        (["terraform", "zzz"], 64, "no [[machine]] 'zzz'"),
    ],
)
def test_refused(with_node: Shell, arguments: list[str], status: int, said: str) -> None:
    ended, out, err = with_node(*arguments)
    assert (ended, out) == (status, "")
    assert said in err


def test_who_is_in_the_roster_gets_no_voucher(with_node: Shell) -> None:
    with_node.add_node("ams-2")
    status, _, err = with_node("render", "ams-2")
    assert (status, "the roster has 'ams-2' already" in err) == (64, True)


def test_what_a_node_would_refuse(with_node: Shell) -> None:
    with_node.edit('listen = ["[::]:80"]', 'lissen = ["[::]:80"]')
    status, out, err = with_node("render", "ams-2")
    assert (status, out) == (78, "")
    assert f"{with_node.toml}: ams-2 would have a node.toml that is refused:" in err
    assert "lissen" in err
    assert "[provision.node]" in err


def test_a_key_of_ssh_that_is_none(with_node: Shell) -> None:
    (with_node.folder / "keys" / "ops.pub").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n")
    status, out, err = with_node("render", "ams-2")
    assert (status, out) == (78, "")
    assert "keys/ops.pub is a private key" in err
    (with_node.folder / "keys" / "ops.pub").unlink()
    assert with_node("render", "ams-2")[0] == 66


def test_another_key_has_to_be_one_that_lets_nodes_in(with_node: Shell) -> None:
    save_identity(make_identity("x", now=NOW), with_node.folder / "x.key", with_node.folder / "x.crt")
    status, _, err = with_node("render", "ams-2", "--key", with_node.folder / "x.key")
    assert status != 0
    assert "the key is not in the signed roster" in err


def test_terraform(with_node: Shell, tmp_path: Path) -> None:
    status, out, err = with_node("terraform", "lax-1")
    assert (status, err) == (0, "")
    document = json.loads(out)
    assert document["resource"].keys() == {"vultr_bare_metal_server"}
    assert with_node("terraform", "lax-1", "--json")[1].count("\n") == 1
    assert json.loads(with_node("terraform", "lax-1", "--json")[1]) == document
    assert "equinix_metal_device" in json.loads(with_node("terraform")[1])["resource"]


def test_the_roster_passes_over_machines(with_node: Shell) -> None:
    assert [node.name for node in with_node.fleet.draft().roster.nodes] == ["ams-0"]
    with_node.toml.write_text(with_node.toml.read_text().replace("machine", "machines"))
    with pytest.raises(FleetFileInvalid, match="`machines` is not known; is 'machine' meant"):
        with_node.fleet.draft()


def test_no_voucher_in_a_repr(with_node: Shell) -> None:
    maker = SeedMaker(with_node.fleet, (), None, 60, NOW)
    rendered = maker.make(read_inventory(with_node.fleet).machine("ams-2"))
    assert TOKEN_PREFIX in rendered.seed.user_data
    assert TOKEN_PREFIX not in repr(rendered)


def test_help() -> None:
    for command in (provision, *provision.commands.values()):
        assert command.help
    assert render.name == "render"
