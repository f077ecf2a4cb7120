"""`edged check` and `edged node init`: every problem with its line and remedy, and what a start would do as well."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from edged.cli.check import check as check_command
from edged.cli.node import node as node_command
from edged.errors import FleetFileMissing, NodeConfigInvalid
from edged.fleet.certificate import load_identity, make_identity
from edged.fleet.roster import Node, Region, Roster
from edged.fleet.voucher import Seed, Voucher, token_of
from edged.node.check import check
from edged.node.config_file import load
from registry.keys import SigningKey

ROOT = SigningKey.generate()


class Folder:
    """A node.toml and what it names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "node.toml"
        self.write()
        result = CliRunner().invoke(node_command, ["init", "--config", str(self.file)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        self.identity = load_identity(
            folder / "state" / "identity" / "node.key", folder / "state" / "identity" / "node.crt"
        )
        self.roster()

    def write(
        self, more: str = "", *, name: str = "n1", region: str = "eu", fleet: str = 'roster = "roster.bin"'
    ) -> None:
        self.file.write_text(
            f'[node]\nname = "{name}"\nregion = "{region}"\nstate_dir = "state"\n'
            f'[fleet]\n{fleet}\n[http]\nlisten = ["127.0.0.1:8080"]\n{more}'
        )

    def roster(self, region: str = "eu") -> None:
        node = Node("n1", region, "192.0.2.1:7400", self.identity.certificate)
        roster = Roster(
            "demo", 1, 1, "", "demo.localhost", (Region("eu"), Region("us")), (node,), (), (ROOT.public.raw,), 1
        )
        (self.folder / "roster.bin").write_bytes(roster.seal([ROOT]))

    def voucher(self, node: str = "n1", region: str = "eu") -> None:
        seed = Seed("192.0.2.1:7400", make_identity("n0", now=time.time()).certificate)
        voucher = Voucher(
            "demo", "0" * 32, node, region, "192.0.2.2:7400", int(time.time()) + 600, (ROOT.public.raw,), (seed,)
        )
        (self.folder / "voucher").write_text(token_of(voucher.seal(ROOT)))

    def problems(self) -> list[str]:
        try:
            check(load(self.file))
        except NodeConfigInvalid as error:
            return error.message.split("\n")
        return []


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_node_that_could_start(folder: Folder) -> None:
    assert folder.problems() == []
    result = CliRunner().invoke(check_command, ["--config", str(folder.file), "--json"])
    assert (result.exit_code, json.loads(result.output)["valid"]) == (0, True)


def test_an_identity_is_made_once(folder: Folder) -> None:
    result = CliRunner().invoke(node_command, ["init", "--config", str(folder.file), "--json"])
    shown = json.loads(result.output)
    assert (shown["made"], shown["fingerprint"]) == (False, folder.identity.fingerprint)
    assert (folder.folder / "state" / "identity" / "node.key").stat().st_mode & 0o777 == 0o600


def test_a_key_that_power_was_lost_over_is_given_its_certificate(folder: Folder) -> None:
    """The unit does this at every start, so that a full disk or a power cut at the first one heals by itself."""
    key, certificate = (folder.folder / "state" / "identity" / name for name in ("node.key", "node.crt"))
    before = key.read_bytes()
    certificate.unlink()
    result = CliRunner().invoke(node_command, ["init", "--config", str(folder.file), "--json"])
    assert (result.exit_code, json.loads(result.output)["made"]) == (0, True)
    assert key.read_bytes() == before
    assert load_identity(key, certificate).name == "n1"


def test_a_certificate_that_the_fleet_knows_is_not_made_anew(folder: Folder) -> None:
    certificate = folder.folder / "state" / "identity" / "node.crt"
    certificate.unlink()
    (folder.folder / "state" / "records" / "roster" / "1").mkdir(parents=True)
    result = CliRunner().invoke(node_command, ["init", "--config", str(folder.file)])
    assert isinstance(result.exception, FleetFileMissing)
    assert not certificate.exists()


def test_without_an_identity_it_says_how_to_make_one(folder: Folder) -> None:
    for name in ("node.key", "node.crt"):
        (folder.folder / "state" / "identity" / name).unlink()
    (problem,) = folder.problems()
    assert f"edged node init --config {folder.file}" in problem


def test_another_ones_name(folder: Folder) -> None:
    folder.write(name="n2")
    (problem,) = folder.problems()
    assert problem.startswith(f"{folder.file}:2: `node.name`: is 'n2'")


@pytest.mark.parametrize(("region", "said"), [("us", "has this node in 'eu'"), ("mars", "is no region of the roster")])
def test_another_region_than_the_roster_says(folder: Folder, region: str, said: str) -> None:
    folder.write(region=region)
    (problem,) = folder.problems()
    assert problem.startswith(f"{folder.file}:3: `node.region`")
    assert said in problem


def test_prefixes_are_those_of_the_roster_at_hand_until_there_is_a_newer_one(folder: Folder) -> None:
    peer = '[[bgp.peer]]\naddress = "192.0.2.1"\nasn = 65101\nlocal_address = "192.0.2.2"\n'
    folder.write(f'[bgp]\nasn = 65200\nprefixes = ["127.0.0.1/32"]\n{peer}')
    (problem,) = folder.problems()
    assert "127.0.0.1/32 is not announced: the roster does not have it" in problem
    (folder.folder / "state" / "records" / "roster" / "demo").mkdir(parents=True)
    assert folder.problems() == []


def test_a_roster_that_is_none_or_not_there(folder: Folder) -> None:
    (folder.folder / "roster.bin").write_bytes(b"roster")
    assert folder.problems()[0].startswith(f"{folder.file}:6: `fleet.roster`")
    (folder.folder / "roster.bin").unlink()
    assert "there is no" in folder.problems()[0]


def test_a_voucher(folder: Folder) -> None:
    folder.write(fleet='voucher = "voucher"')
    folder.voucher()
    assert folder.problems() == []
    folder.voucher(node="n2", region="us")
    assert [problem.split("`")[1] for problem in folder.problems()] == ["node.name", "node.region"]
    (folder.folder / "voucher").write_text("edged-voucher-no")
    assert "damaged" in folder.problems()[0]


def test_a_voucher_is_of_no_interest_once_the_node_has_joined(folder: Folder) -> None:
    folder.write(fleet='voucher = "voucher"')
    assert len(folder.problems()) == 1
    (folder.folder / "state" / "records" / "roster" / "demo").mkdir(parents=True)
    assert folder.problems() == []


def test_a_node_without_a_fleet(folder: Folder) -> None:
    folder.write(fleet="")
    (problem,) = folder.problems()
    assert "this node is in no fleet" in problem


def test_every_problem_is_found(folder: Folder) -> None:
    folder.write(
        '[https]\nlisten = ["127.0.0.1:8080"]\n'
        '[[certificate]]\nhosts = ["a.example"]\ncertificate = "a.crt"\nkey = "a.key"\n'
        '[runtime_config]\nfile = "rc.toml"\n',
        name="n2",
    )
    problems = folder.problems()
    assert [problem.split("`")[1] for problem in problems] == [
        "node.name",
        "https.listen[0]",
        "certificate[0]",
        "runtime_config.file",
    ]
    result = CliRunner().invoke(check_command, ["--config", str(folder.file), "--json"])
    assert result.exit_code == NodeConfigInvalid.exit_status
    assert json.loads(result.output)["problems"] == problems


def test_a_state_folder_that_is_a_file(folder: Folder) -> None:
    (folder.folder / "taken").write_text("")
    folder.file.write_text(
        folder.file.read_text().replace(
            '"state"',
            '"taken/state"\nidentity = { key = "state/identity/node.key", certificate = "state/identity/node.crt" }',
        )
    )
    (problem,) = folder.problems()
    assert "is not a folder" in problem
