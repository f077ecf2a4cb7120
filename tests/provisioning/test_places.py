"""What fills the firewall's places."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from provisioning import paths
from provisioning.files import machine_files
from provisioning.places import places_of
from tests.lab.lab import may_run
from tests.provisioning.inventories import machine


@pytest.mark.parametrize(
    ("name", "routers_v4", "routers_v6", "metadata"),
    [
        ("ams-1", "192.0.2.1", "2001:db8::1", ""),
        ("ams-2", "", "", ""),
        ("nyc-1", "0.0.0.0/0", "::/0", "192.80.8.124"),
        ("lax-1", "0.0.0.0/0", "::/0", ""),
    ],
)
def test_addresses(name: str, routers_v4: str, routers_v6: str, metadata: str) -> None:
    values = places_of(machine(name), machine(name).node)
    assert (values["ROUTERS_V4"], values["ROUTERS_V6"]) == (routers_v4, routers_v6)
    assert (values["METADATA_V4"], values["METADATA_V6"]) == (metadata, "")


@pytest.mark.parametrize(
    ("listen", "port"),
    [
        ("127.0.0.1:7401", "7401"),
        ("[::1]:7401", "7401"),
        (":07401", "7401"),
        ("/run/edged/admin.sock", "0"),
        ("/run/a:80", "0"),
        ("admin.sock", "0"),
        ("127.0.0.1:65536", "0"),
        ("127.0.0.1:80 accept", "0"),
        (80, "0"),
        (None, "0"),
    ],
)
def test_admin_port(listen: object, port: str) -> None:
    node: dict[str, Any] = {} if listen is None else {"admin": {"listen": listen}}
    assert places_of(machine("ams-2"), node)["ADMIN_PORT"] == port


@pytest.mark.parametrize(
    "bgp",
    [
        {"peer": [{"address": "192.0.2.1 }\n}\nflush ruleset"}, {"address": "fe80::1%eth0"}, {"address": 7}, {}, 7]},
        {"peer": "192.0.2.1"},
        "peer",
    ],
)
def test_what_edged_would_refuse_is_put_nowhere(bgp: object) -> None:
    values = places_of(machine("ams-2"), {"bgp": bgp, "admin": "x"})
    assert (values["ROUTERS_V4"], values["ROUTERS_V6"], values["ADMIN_PORT"]) == ("", "", "0")


@pytest.mark.skipif(bool(may_run("nft")), reason=may_run("nft") or "-")
@pytest.mark.parametrize("name", ["ams-1", "ams-2", "nyc-1", "lax-1"])
def test_nft_takes_it(name: str, tmp_path: Path) -> None:
    """In a network of its own; with a user that every machine has, since nft asks who that is."""
    (rules,) = [file.content for file in machine_files(machine(name)) if file.path == str(paths.FIREWALL)]
    assert f" {paths.USER} }} accept" in rules
    (tmp_path / "rules").write_text(rules.replace(f" {paths.USER} }} accept", " nobody } accept"))
    command = ["unshare", "--net", "nft", "--file", str(tmp_path / "rules")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
