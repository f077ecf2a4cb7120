"""Debian's cloud-init takes what is rendered."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.render import render
from tests.provisioning import cloud_init
from tests.provisioning.golden import FOLDER
from tests.provisioning.inventories import machine

USER_DATA = sorted(FOLDER.glob("*/user-data"))
WITH_NETWORK = ["ams-1", "ams-2"]


@pytest.mark.parametrize("path", USER_DATA, ids=lambda path: path.parent.name)
def test_its_schema(path: Path) -> None:
    ended = cloud_init.run("schema", "--config-file", str(path))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"Valid cloud-config: {path}\n", "")


@pytest.mark.parametrize(
    ("old", "new"),
    [("permissions:", "permission:"), ("write_files:", "write_files: 7\nx:"), ("runcmd:", "runcmd: {}\nx:")],
)
def test_its_schema_refuses(old: str, new: str, tmp_path: Path) -> None:
    text = USER_DATA[0].read_text()
    assert old in text
    (tmp_path / "user-data").write_text(text.replace(old, new, 1))
    ended = cloud_init.run("schema", "--config-file", str(tmp_path / "user-data"))
    assert ended.returncode != 0


def network_files(name: str, kind: str, folder: Path) -> str:
    """What it writes for one of its renderers."""
    config = render(machine(name), None if name == "ams-1" else "edged-voucher-x").network_config
    mac = machine(name).network
    assert config is not None
    assert mac is not None
    (folder / "network-config").write_text(config)
    ended = cloud_init.run(
        "devel", "net-convert", "-p", str(folder / "network-config"), "-k", "yaml", "-D", "debian",
        "-d", str(folder / kind), "-m", f"main,{mac.mac}", "-O", kind,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    files = [file.read_text() for file in sorted((folder / kind).rglob("*")) if file.is_file()]
    return "\n".join([*files, ended.stdout])


@pytest.mark.parametrize("name", WITH_NETWORK)
@pytest.mark.parametrize("kind", ["netplan", "networkd", "eni"])
def test_its_network(name: str, kind: str, tmp_path: Path) -> None:
    written = network_files(name, kind, tmp_path)
    network = machine(name).network
    assert network is not None
    for text in (network.mac, *network.addresses, *network.gateways):
        assert text in written
    assert "::/64" not in written.replace("2001:db8::/64", "")


def test_both_default_routes(tmp_path: Path) -> None:
    for kind, routes in {
        "netplan": ("to: 0.0.0.0/0", "gateway6: fe80::1"),
        "networkd": ("Destination=0.0.0.0/0", "[Route]\nGateway=fe80::1"),
        "eni": ("add default gw 192.0.2.1", "gateway fe80::1"),
    }.items():
        written = network_files("ams-1", kind, tmp_path)
        assert [route for route in routes if route not in written] == [], written
