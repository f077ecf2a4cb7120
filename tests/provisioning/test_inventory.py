"""fleet.toml -> machines."""

from __future__ import annotations

import pytest

from provisioning.errors import InventoryInvalid, MachineUnknown
from provisioning.inventory import merged, of_provider, read
from provisioning.limits import INVENTORY_BYTES_MAX, MACHINE_COUNT_MAX
from provisioning.machine import Binary, Network
from tests.provisioning.inventories import TEXT, machine

DIGEST = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"


def test_all_that_is_said_of_a_machine() -> None:
    inventory = read(TEXT, "fleet.toml")
    assert inventory.fleet == "demo"
    assert [each.name for each in inventory.machines] == ["ams-1", "ams-2", "nyc-1", "lax-1"]
    first = inventory.machine("ams-1")
    assert (first.region, first.address, first.provider, first.begins) == ("eu", "192.0.2.10:7400", "static", True)
    assert first.ssh_keys == ("keys/ops.pub",)
    assert first.network == Network(
        "52:54:00:12:34:56", ("192.0.2.10/24", "2001:db8::10/64"), ("192.0.2.1", "fe80::1"), ("192.0.2.53",)
    )
    urls = (f"http://203.0.113.7:7402/edged/{DIGEST}", "https://downloads.example.com/edged")
    assert first.binary == Binary(DIGEST, urls, "/media/edged")
    assert inventory.machine("lax-1").provider == "vultr"
    assert not inventory.machine("lax-1").begins
    assert inventory.machine("lax-1").terraform["plan"] == "vbm-4c-32gb"


def test_a_machine_has_what_all_have_and_its_own() -> None:
    text = TEXT.replace(
        '[provision.node.http]\nlisten = ["[::]:80"]', "[provision.node]\nhttp.listen = ['[::]:80']\nlog.level = 'info'"
    )
    own = text + '[machine.node.http]\nlisten = ["0.0.0.0:8080"]\n'
    assert machine("lax-1", text).node["http"] == {"listen": ["[::]:80"]}
    assert machine("lax-1", own).node["http"] == {"listen": ["0.0.0.0:8080"]}
    assert machine("lax-1", own).node["log"] == {"level": "info"}


def test_merged() -> None:
    assert merged({"a": {"x": 1, "y": [1, 2]}, "b": 1}, {"a": {"y": [3]}, "b": {"c": 2}}) == {
        "a": {"x": 1, "y": [3]},
        "b": {"c": 2},
    }


def test_another_provider_has_its_own_network() -> None:
    assert of_provider(machine("ams-1"), "vultr").network is None
    assert of_provider(machine("ams-1"), "static") == machine("ams-1")
    assert of_provider(machine("lax-1"), "equinix").provider == "equinix"


def test_an_unknown_machine() -> None:
    with pytest.raises(MachineUnknown, match=r"no \[\[machine\]\] 'ams-3'; is 'ams-[12]' meant\?"):
        machine("ams-3")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[provision]", "[provision]\nsshkeys = []", "`provision.sshkeys` is not known; is 'ssh_keys' meant?"),
        ("[provision]", '[provision]\nprovider = "vulture"', "`provision.provider` = 'vulture' is none of"),
        ("sha256 = ", "sha265 = ", "`provision.binary.sha265` is not known; is 'sha256' meant?"),
        ('urls = ["http:', 'urls = ["ftp:', "`provision.binary.urls[0]` = 'ftp://"),
        ('fleet = "demo"', 'fleet = "De mo"', "`fleet` = 'De mo' cannot be"),
        ('fleet = "demo"', "", "`fleet` is missing"),
        ('regions = ["eu", "us"]', "regions = 1", "`regions` is not an array"),
        ('regions = ["eu", "us"]', "", "`regions` is missing"),
        ('name = "ams-2"', 'name = "ams-1"', "[[machine]] 'ams-1': `name` is the name of another machine"),
        ('name = "ams-2"', 'name = "x\\ny"', r"[[machine]] 'x\ny': `name` = 'x\ny' has characters"),
        ('name = "ams-2"\n', "", "[[machine]] number 2: `name` is missing"),
        ('name = "ams-2"', "name = 7", "[[machine]] number 2: `name` is not text"),
        ('name = "ams-2"\nregion = "eu"', 'name = "ams-2"\nregion = "ue"', "[[machine]] 'ams-2': `region` = 'ue' is"),
        ("begins = true", 'begins = "yes"', "[[machine]] 'ams-1': `begins` is neither true nor false"),
        ('mac = "52:54:00:12:34:57"', "", "[[machine]] 'ams-2': `network.mac` is missing"),
        ('"198.51.100.11/32"', "", "[[machine]] 'ams-2': `network.addresses` is empty"),
        ('"192.0.2.1", "fe80::1"', '"192.0.2.1", "192.0.2.2"', "[[machine]] 'ams-1': `network.gateways` has two"),
        ('provider = "vultr"', 'provider = "vultr"\nnetwork.mac = "52:54:00:12:34:58"\nnetwork.addresses = []',
         "[[machine]] 'lax-1': `network` is for the provider static"),
        ("[machine.node.bgp.metadata]", "[machine.node.node]\nname = 'x'\n[machine.node.bgp.metadata]",
         "[[machine]] 'lax-1': `node.node.name` follows from the machine"),
        ("[machine.node.bgp.metadata]", "[machine.node.fleet]\nroster = 'x'\n[machine.node.bgp.metadata]",
         "[[machine]] 'lax-1': `node.fleet.roster` follows"),
        ("[machine.node.bgp.metadata]", "[machine.node]\nfleet = 7\n[machine.node.bgp.metadata]",
         "[[machine]] 'lax-1': `node.fleet` is not a table"),
        ('metro = "ny"', 'metro = "n\\u0007y"', "[[machine]] 'nyc-1': `terraform.metro` = 'n\\x07y' has characters"),
    ],
)  # fmt: skip
def test_refused(old: str, new: str, message: str) -> None:
    assert TEXT.count(old) >= 1
    with pytest.raises(InventoryInvalid) as caught:
        read(TEXT.replace(old, new, 1), "demo/fleet.toml")
    assert f"demo/fleet.toml: {message}" in caught.value.message


@pytest.mark.parametrize("text", ["[", "a = 1\na = 2", "a = " + "1" * 5000, "a = " + "[" * 5000, "\0"])
def test_what_is_no_toml(text: str) -> None:
    with pytest.raises(InventoryInvalid, match=r"^fleet\.toml: "):
        read(text, "fleet.toml")


def test_machine_written_otherwise() -> None:
    head = TEXT.split("[[machine]]")[0]
    for text, message in [
        (head, "`machine` is missing"),
        (TEXT.replace("[[machine]]", "[[machines]]").replace("[machine.", "[machines."), "`machine` is missing"),
        (head + "[machine]\nname = 'a'\n", "`machine` is missing, or not written as"),
        ("machine = [1]\n" + head, r"\[\[machine\]\] number 1.* is not a table"),
        (TEXT.replace("[provision", "[provisions"), "`provision` is missing"),
    ]:
        with pytest.raises(InventoryInvalid, match=message):
            read(text, "fleet.toml")


def test_neither_a_url_nor_a_path() -> None:
    text = "\n".join(line for line in TEXT.splitlines() if not line.startswith(("urls", "path")))
    with pytest.raises(InventoryInvalid, match=r"`provision\.binary\.urls` is missing, and `path` too"):
        read(text, "fleet.toml")
    assert (
        machine("ams-1", text.replace("[provision.node.http]", "path = '/m'\n[provision.node.http]")).binary.path
        == "/m"
    )


def test_at_most_so_many_bytes() -> None:
    filled = TEXT + "#" * (INVENTORY_BYTES_MAX - len(TEXT))
    assert len(read(filled, "fleet.toml").machines) == 4
    with pytest.raises(InventoryInvalid, match=str(INVENTORY_BYTES_MAX)):
        read(filled + "#", "fleet.toml")


def test_at_most_so_many_machines() -> None:
    def text(count: int) -> str:
        head = TEXT.split("[[machine]]")[0]
        return head + "".join(
            f'[[machine]]\nname = "m{number}"\nregion = "eu"\naddress = "192.0.2.1:7400"\n' for number in range(count)
        )

    assert len(read(text(MACHINE_COUNT_MAX), "fleet.toml").machines) == MACHINE_COUNT_MAX
    with pytest.raises(InventoryInvalid, match=str(MACHINE_COUNT_MAX)):
        read(text(MACHINE_COUNT_MAX + 1), "fleet.toml")
