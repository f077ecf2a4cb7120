"""`edged fleet` and `edged keys`, typed as an operator would."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import trio

from edged import cli
from edged.cli.fleet_admissions import take
from edged.cli.fleet_publish import give
from edged.errors import FleetFileMissing, UsageError
from edged.fleet.certificate import load_identity
from edged.fleet.folder import FleetFolder
from edged.fleet.roster import Roster
from edged.fleet.state import FleetState
from edged.fleet.store import RecordStore
from edged.fleet.voucher import open_voucher, parse_token, prove
from tests.fleet.kit import identity


class Typed:
    """What a command printed, and how it ended."""

    def __init__(self, status: object, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


class Shell:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *words: object) -> Typed:
        self._monkeypatch.setattr("sys.argv", ["edged", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Typed(ended.value.code or 0, *self._capsys.readouterr())

    def ok(self, *words: object) -> Typed:
        typed = self(*words)
        assert typed.status == 0, typed.err
        return typed

    def fails(self, code: str, *words: object) -> Typed:
        typed = self(*words)
        assert typed.status not in (0, 70)
        assert f"[{code}]" in typed.err, typed.err
        assert "  -> " in typed.err
        return typed


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    shell = Shell(monkeypatch, capsys)
    shell.ok("fleet", "init", "demo", "--region", "eu", "--region", "us")
    return shell


def signed(folder: str = "demo") -> Roster:
    roster = FleetFolder(Path(folder)).signed()
    assert roster is not None
    return roster


def with_nodes(shell: Shell, *names: str) -> None:
    for number, name in enumerate(names):
        shell.ok("keys", "create", name)
        address = f"{name}.example:{7400 + number}"
        shell.ok("fleet", "add-node", name, f"{name}.crt", "--region", "eu", "--address", address, "-C", "demo")
    shell.ok("fleet", "sign", "--yes", "-C", "demo")


def test_init(shell: Shell) -> None:
    roster = signed()
    assert (roster.fleet, roster.version, roster.domain) == ("demo", 1, "demo.localhost")
    assert [region.name for region in roster.regions] == ["eu", "us"]
    assert [(key.name, sorted(key.roles)) for key in roster.keys] == [("operator", ["admit", "deploy", "read"])]
    for name in ("root.key", "operator.key"):
        assert stat.S_IMODE(Path("demo", name).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path("demo").stat().st_mode) == 0o700


def test_init_again_replaces_no_key(shell: Shell) -> None:
    key = Path("demo/root.key").read_bytes()
    shell.fails("fleet.file-exists", "fleet", "init", "demo")
    assert Path("demo/root.key").read_bytes() == key


def test_init_with_a_name_that_cannot_be_one(shell: Shell) -> None:
    shell.fails("fleet.record-invalid", "fleet", "init", "other", "--name", "Not A Name")
    assert not Path("other").exists()


def test_init_as_json(shell: Shell) -> None:
    shape = shell.ok("fleet", "init", "other", "--json").json
    assert (shape["fleet"], shape["regions"], shape["version"]) == ("other", ["local"], 1)


def test_a_node_by_its_certificate(shell: Shell) -> None:
    shell.ok("keys", "create", "n1")
    said = shell.ok("fleet", "add-node", "n1", "n1.crt", "--region", "eu", "--address", "h:7400", "-C", "demo").out
    assert "counts after `edged fleet sign -C demo`" in said
    assert signed().nodes == ()
    assert "+ node n1  eu h:7400" in shell.ok("fleet", "show", "-C", "demo").out
    assert "+ node n1  eu h:7400" in shell.ok("fleet", "sign", "--yes", "-C", "demo").out
    assert [node.name for node in signed().nodes] == ["n1"]
    assert signed().version == 2
    assert "Nothing to sign." in shell.ok("fleet", "sign", "-C", "demo").out
    assert [path.name for path in sorted(Path("demo/rosters").iterdir())] == ["000001.bin", "000002.bin"]
    # Nodes accept what comes out.
    fleet = FleetState(RecordStore(Path("records")), now=0)
    assert fleet.begin(Path("demo/rosters/000001.bin").read_bytes(), 0).kind == "accepted"
    assert fleet.accept(Path("demo/roster.bin").read_bytes(), 0).kind == "accepted"


def test_without_a_certificate_it_says_how(shell: Shell) -> None:
    typed = shell.fails("usage", "fleet", "add-node", "n1", "--region", "eu", "--address", "h:7400", "-C", "demo")
    assert "edged fleet voucher n1 --region eu --address h:7400" in typed.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["n1", "n1.crt", "--region", "moon", "--address", "h:1"], "fleet.record-invalid"),
        (["n1", "n1.crt", "--region", "eu", "--address", "h"], "fleet.record-invalid"),
        (["n1", "n1.crt", "--region", "eu", "--address", "h:0"], "fleet.record-invalid"),
        (["N_1", "n1.crt", "--region", "eu", "--address", "h:1"], "fleet.record-invalid"),
        (["n1", "n1.crt", "--region", "eu", "--address", "h:1", "--url", "x"], "fleet.record-invalid"),
        (["n1", "n1.key", "--region", "eu", "--address", "h:1"], "fleet.identity-invalid"),
        (["n1", "n2.crt", "--region", "eu", "--address", "h:1"], "fleet.file-missing"),
        (["operator", "n1.crt", "--region", "eu", "--address", "h:1"], "usage"),
    ],
)
def test_nodes_that_cannot_be(shell: Shell, words: list[str], code: str) -> None:
    shell.ok("keys", "create", "n1")
    before = Path("demo/fleet.toml").read_text()
    shell.fails(code, "fleet", "add-node", *words, "-C", "demo")
    assert Path("demo/fleet.toml").read_text() == before


def test_a_key(shell: Shell) -> None:
    shell.ok("keys", "create", "alice")
    shell.fails("usage", "fleet", "add-key", "alice", "alice.crt", "--role", "deploy", "-C", "demo")
    shell.ok("fleet", "add-key", "alice", "alice.crt", "--role", "deploy", "--app", "shop-*", "-C", "demo")
    shell.ok("fleet", "sign", "--yes", "-C", "demo")
    [_, alice] = shell.ok("keys", "-C", "demo", "--json").json["keys"]
    assert (alice["name"], alice["roles"], alice["apps"]) == ("alice", ["deploy"], ["shop-*"])
    assert 364 < alice["certificate_days"] <= 366
    assert "shop-*" in shell.ok("keys", "-C", "demo").out


def test_nothing_is_signed_that_nobody_confirmed(shell: Shell) -> None:
    shell.ok("keys", "create", "n1")
    shell.ok("fleet", "add-node", "n1", "n1.crt", "--region", "eu", "--address", "h:1", "-C", "demo")
    shell.fails("usage", "fleet", "sign", "-C", "demo")
    shape = shell.ok("fleet", "sign", "--dry-run", "--json", "-C", "demo").json
    assert shape["event"] == "draft"
    assert [change["sign"] for change in shape["changes"]] == ["+"]
    assert signed().version == 1


def test_removals_are_counted(shell: Shell) -> None:
    with_nodes(shell, "n1", "n2", "n3")
    text = Path("demo/fleet.toml").read_text()
    head, _, _, third = text.split("[[node]]")
    Path("demo/fleet.toml").write_text(f"{head}[[node]]{third}")
    typed = shell.fails("fleet.removal-unconfirmed", "fleet", "sign", "--yes", "-C", "demo")
    assert "--yes-remove 2" in typed.err
    shell.ok("fleet", "sign", "--yes", "--yes-remove", "2", "-C", "demo")
    assert [node.name for node in signed().nodes] == ["n3"]
    assert len(signed().revoked) == 2
    # One alone goes without; and what was revoked stays so.
    Path("demo/fleet.toml").write_text(head)
    assert "- node n3" in shell.ok("fleet", "sign", "--yes", "-C", "demo").out
    assert len(signed().revoked) == 3


def with_prefixes(shell: Shell, prefixes: list[str], more: str = "") -> Typed:
    """Sign fleet.toml with these and no others."""
    file = Path("demo/fleet.toml")
    kept = [line for line in file.read_text().splitlines() if not line.startswith(("prefixes", "allow_removal"))]
    file.write_text("\n".join([f"prefixes = {json.dumps(prefixes)}", more, *kept]) + "\n")
    dry = shell.ok("fleet", "sign", "--dry-run", "-C", "demo")
    done = shell.ok("fleet", "sign", "--yes", "-C", "demo")
    assert done.err == dry.err
    return done


def test_waves(shell: Shell) -> None:
    path = Path("demo/fleet.toml")
    text = path.read_text()
    path.write_text(f'waves = [["us"], ["eu"]]\nsoak_s = 0\n{text}')
    out = shell.ok("fleet", "sign", "--yes", "-C", "demo").out
    assert "+ waves of a release  us, then eu" in out
    assert "+ time that a wave takes  0 s" in out
    assert (signed().waves, signed().soak_s) == ((("us",), ("eu",)), 0)
    path.write_text(f'waves = [["us"], ["mars"]]\n{text}')
    assert "'mars'" in shell.fails("fleet.record-invalid", "fleet", "sign", "--yes", "-C", "demo").err


def test_prefixes_that_nodes_would_keep_are_warned_of_before_they_are_signed(shell: Shell) -> None:
    one, two, three = "203.0.113.10/32", "203.0.113.11/32", "203.0.113.12/32"
    warning = "Nodes will not follow in this: the roster would take away {} prefixes, and says that {} may go"
    assert with_prefixes(shell, [one, two, three]).err == ""
    assert with_prefixes(shell, [one, two]).err == ""
    assert warning.format(2, 0) in with_prefixes(shell, []).err
    # Nodes have not followed, so that two are still to go, whatever was signed since.
    assert warning.format(2, 1) in with_prefixes(shell, [], "allow_removal = 1").err
    assert with_prefixes(shell, [], "allow_removal = 2").err == ""
    assert with_prefixes(shell, [one]).err == ""
    assert with_prefixes(shell, [three]).err == ""
    assert warning.format(1, 0) in with_prefixes(shell, []).err


def test_a_node_that_was_removed_may_come_back(shell: Shell) -> None:
    with_nodes(shell, "n1")
    text = Path("demo/fleet.toml").read_text()
    Path("demo/fleet.toml").write_text(text.split("[[node]]")[0])
    shell.ok("fleet", "sign", "--yes", "-C", "demo")
    shell.ok("fleet", "add-node", "n1", "n1.crt", "--region", "eu", "--address", "h:1", "-C", "demo")
    shell.ok("fleet", "sign", "--yes", "-C", "demo")
    assert signed().revoked == frozenset()


def test_a_passphrase(shell: Shell) -> None:
    Path("secret").write_text("geheim\n")
    Path("other").write_text("falsch\n")
    Path("empty").write_text("\n")
    shell.fails("usage", "fleet", "init", "safe", "--passphrase-file", "empty")
    shell.ok("fleet", "init", "safe", "--passphrase-file", "secret")
    assert b"ENCRYPTED" in Path("safe/root.key").read_bytes()
    with Path("safe/fleet.toml").open("a") as file:
        file.write("\n[floors]\nshop = [1, 7]\n")
    typed = shell.fails("fleet.identity-invalid", "fleet", "sign", "--yes", "-C", "safe")
    assert "--passphrase-file" in typed.err
    typed = shell.fails("fleet.identity-invalid", "fleet", "sign", "--yes", "-C", "safe", "--passphrase-file", "other")
    assert "falsch" not in typed.err + typed.out
    shell.ok("fleet", "sign", "--yes", "-C", "safe", "--passphrase-file", "secret")
    assert signed("safe").floors == {"shop": (1, 7)}


def test_root_keys_are_changed_by_old_and_new(shell: Shell) -> None:
    shell.ok("fleet", "init", "other")
    new = signed("other").root_keys[0].hex()
    old = signed().root_keys[0].hex()
    path = Path("demo/fleet.toml")
    path.write_text(path.read_text().replace(old, new))
    shell.fails("fleet.record-forbidden", "fleet", "sign", "--yes", "-C", "demo")
    words = ["fleet", "sign", "--yes", "-C", "demo", "--root-key", "other/root.key"]
    shell.fails("fleet.record-forbidden", *words)
    shell.ok(*words, "--root-key", "demo/root.key")
    assert signed().root_keys[0].hex() == new


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("x = [", "fleet.toml"),
        ("regoins = []", "`regoins`"),
        ("epoch = 'one'", "`epoch`"),
        ("node = 1", "[[node]]"),
        ("waves = 'eu'", "`waves`"),
        ("waves = ['eu']", "`waves`"),
        ("soak_s = 0.5", "`soak_s`"),
    ],
)
def test_a_fleet_toml_that_is_none(shell: Shell, text: str, named: str) -> None:
    path = Path("demo/fleet.toml")
    path.write_text(f"{text}\n{path.read_text()}")
    assert named in shell.fails("fleet.file-invalid", "fleet", "sign", "--yes", "-C", "demo").err


def test_a_folder_that_is_none(shell: Shell) -> None:
    shell.fails("fleet.file-missing", "fleet", "show", "-C", "nowhere")
    shell.fails("fleet.file-missing", "fleet", "sign", "-C", "nowhere")
    shell.fails("fleet.file-missing", "keys", "-C", "nowhere")


def test_a_damaged_roster(shell: Shell) -> None:
    path = Path("demo/roster.bin")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    shell.fails("fleet.record-forbidden", "fleet", "show", "-C", "demo")


def test_a_voucher_and_the_node_that_comes_with_it(shell: Shell) -> None:
    shell.fails("usage", "fleet", "voucher", "n2", "--region", "us", "--address", "h:2", "-C", "demo")
    with_nodes(shell, "n1")
    words = ["fleet", "voucher", "n2", "--region", "us", "--address", "h:2", "-C", "demo"]
    token = shell.ok(*words).out.strip()
    opened = open_voucher(parse_token(token)).voucher
    assert (opened.fleet, opened.node, opened.region, opened.address) == ("demo", "n2", "us", "h:2")
    assert [seed.address for seed in opened.seeds] == ["n1.example:7400"]
    shape = shell.ok(*words, "--json", "-o", "voucher").json
    assert "token" not in shape
    assert stat.S_IMODE(Path("voucher").stat().st_mode) == 0o600

    seed, new = load_identity(Path("n1.key"), Path("n1.crt")), identity("n2")
    fleet = FleetState(RecordStore(Path("records")), now=0)
    fleet.begin(Path("demo/roster.bin").read_bytes(), 0)
    voucher = parse_token(Path("voucher").read_text())
    now = opened.expires - 60
    admission = fleet.admit(voucher, new.certificate, prove(voucher, new), seed, now)
    Path("n2.admission").write_bytes(admission)
    assert "+ node n2" in shell.ok("fleet", "sign", "--yes", "--admission", "n2.admission", "-C", "demo").out
    assert [node.name for node in signed().nodes] == ["n1", "n2"]
    assert "Nothing to sign." in shell.ok("fleet", "sign", "-C", "demo").out
    assert fleet.accept(Path("demo/roster.bin").read_bytes(), now).kind == "accepted"
    assert [node.certificate for node in fleet.nodes()][1] == new.certificate


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["n2", "--region", "moon", "--address", "h:2"], "usage"),
        (["n1", "--region", "us", "--address", "h:2"], "usage"),
        (["n2", "--region", "us", "--address", "h:2", "--good-for", "8d"], "usage"),
        (["n2", "--region", "us", "--address", "h:2", "--good-for", "soon"], "usage"),
        (["n2", "--region", "us", "--address", "h:2", "--seed", "n9"], "usage"),
        (["n2", "--region", "us", "--address", "h"], "fleet.record-invalid"),
        (["n2", "--region", "us", "--address", "h:2", "--key", "n1.key"], "fleet.identity-invalid"),
    ],
)
def test_vouchers_that_cannot_be(shell: Shell, words: list[str], code: str) -> None:
    with_nodes(shell, "n1")
    shell.fails(code, "fleet", "voucher", *words, "-C", "demo")


def test_a_key_is_never_replaced(shell: Shell) -> None:
    shell.ok("keys", "create", "me")
    shell.fails("fleet.identity-invalid", "keys", "create", "me")
    shell.fails("fleet.record-invalid", "keys", "create", "No/Name")


def test_an_error_as_json(shell: Shell) -> None:
    typed = shell("fleet", "show", "-C", "nowhere", "--json")
    assert typed.status == 66
    assert (typed.json["event"], typed.json["code"]) == ("error", "fleet.file-missing")


def test_publish(shell: Shell) -> None:
    with_nodes(shell, "n1")
    with_nodes(shell, "n2")
    first, newest = (Path("demo", name).read_bytes() for name in ("rosters/000001.bin", "roster.bin"))
    given: list[bytes] = []

    async def call(name: str, **args: Any) -> Any:
        if name == "roster":
            return {"envelopes": [first]}
        assert name == "put_record"
        given.append(args["envelope"])
        return {}

    assert trio.run(give, call, FleetFolder(Path("demo"))) == [2, 3]
    assert given[-1] == newest
    shell.ok("fleet", "init", "other")
    with pytest.raises(UsageError):
        trio.run(give, call, FleetFolder(Path("other")))
    with pytest.raises(FleetFileMissing):
        trio.run(give, call, FleetFolder(Path("nowhere")))


def test_admissions_are_fetched_and_taken_over(shell: Shell) -> None:
    with_nodes(shell, "n1")
    shell.ok("fleet", "voucher", "n2", "--region", "us", "--address", "h:2", "-C", "demo", "-o", "voucher")
    fleet = FleetState(RecordStore(Path("records")), now=0)
    fleet.begin(Path("demo/roster.bin").read_bytes(), 0)
    voucher, new = parse_token(Path("voucher").read_text()), identity("n2")
    seed, now = load_identity(Path("n1.key"), Path("n1.crt")), open_voucher(voucher).voucher.expires - 60
    admission = fleet.admit(voucher, new.certificate, prove(voucher, new), seed, now)

    async def call(name: str, **_args: Any) -> Any:
        assert name == "roster"
        return {"envelopes": list(fleet.roster_chain()), "admissions": [b"none", admission]}

    folder = FleetFolder(Path("demo"))
    [(node, path)] = trio.run(take, call, folder)
    assert (node.name, path.read_bytes()) == ("n2", admission)
    shell.ok("fleet", "sign", "--yes", "--admission", path, "-C", "demo")
    assert [node.name for node in signed().nodes] == ["n1", "n2"]
    assert trio.run(take, call, folder) == []
    with pytest.raises(FleetFileMissing):
        trio.run(take, call, FleetFolder(Path("nowhere")))
