"""User-data, as cloud-init will load it: `yaml.safe_load`."""

from __future__ import annotations

import base64
import gzip
from dataclasses import replace
from typing import Any

import pytest
import tomli_w
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning import paths
from provisioning.errors import InventoryInvalid, UserDataTooLarge
from provisioning.files import machine_files
from provisioning.inventory import read
from provisioning.limits import USER_DATA_BYTES_MAX
from provisioning.machine import Machine, Network
from provisioning.providers.provider import PROVIDERS
from provisioning.render import render
from provisioning.user_data import network_config
from tests.provisioning.inventories import SSH_KEY, VOUCHER, machine, voucher_of

NAMES = ["ams-1", "ams-2", "nyc-1", "lax-1"]


def content_of(file: dict[str, Any]) -> str:
    if file.get("encoding") == "gz+b64":
        return gzip.decompress(base64.b64decode(file["content"])).decode()
    return str(file["content"])


def check(machine: Machine, text: str) -> dict[str, Any]:
    """Demand that user-data says what the machine is, byte by byte, and nothing else."""
    assert text.startswith("#cloud-config\n")
    document = yaml.safe_load(text)
    wanted = {file.path: (file.content, file.mode, "root:root") for file in machine_files(machine)}
    if not machine.begins:
        wanted[str(paths.VOUCHER)] = (f"{VOUCHER}\n", "0440", "root:edged")
    files = document["write_files"]
    assert len(files) == len(wanted)
    assert {
        file["path"]: (content_of(file), file["permissions"], file.get("owner", "root:root")) for file in files
    } == wanted
    known = {"manage_etc_hosts", "users", "ssh_authorized_keys", "packages", "write_files", "runcmd"}
    assert document.keys() <= known
    assert [line for line in document["runcmd"] if not line.startswith("systemctl ")] == []
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("name", NAMES)
def test_everything_comes_back(name: str) -> None:
    of = machine(name)
    document = check(of, render(of, voucher_of(of), [SSH_KEY]).user_data)
    assert document["ssh_authorized_keys"] == [SSH_KEY]
    assert document.get("packages", []) == list(PROVIDERS[of.provider].packages)
    assert document["manage_etc_hosts"] == "localhost"
    default, edged = document["users"]
    assert (default, edged["name"], edged["lock_passwd"]) == ("default", "edged", True)


def test_no_key_of_nobody() -> None:
    assert "ssh_authorized_keys" not in check(machine("ams-1"), render(machine("ams-1"), None).user_data)


def test_files_of_the_user_wait_for_the_user() -> None:
    document = yaml.safe_load(render(machine("ams-2"), VOUCHER).user_data)
    waiting = [file["path"] for file in document["write_files"] if file.get("defer")]
    assert waiting == [str(paths.VOUCHER)]


@pytest.mark.parametrize("name", NAMES)
def test_people_can_read_what_is_the_machine_s_own(name: str) -> None:
    of = machine(name)
    text = render(of, voucher_of(of)).user_data
    for file in machine_files(of):
        if not file.is_packed:
            shown = "".join(f"    {line}\n" if line else "\n" for line in file.content.splitlines())
            assert f"  content: |\n{shown}" in text, file.path
    plain = {file.path for file in machine_files(of) if not file.is_packed}
    assert plain == {str(path) for path in (paths.FIREWALL, paths.CONFIG, paths.BINARY_ENV)}


PRINTABLE = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), max_size=60)
ANYTHING = st.text(max_size=40) | st.sampled_from(
    ["a\nruncmd: [x]", "a\n  b", "' }", '"', "$(reboot)", "`x`", "\x85", "\u2028", "- a", "{{ x }}", "!!python/x", "|"]
)
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


def document_of(name: str, value: str, *, free: str) -> dict[str, Any]:
    """An inventory of one machine; `value` stands wherever text does."""
    return {
        "fleet": name,
        "regions": [name],
        "provision": {"binary": {"sha256": "0" * 64, "urls": [f"http://a.example.com/{value}"]}},
        "machine": [
            {
                "name": name,
                "region": name,
                "address": "192.0.2.1:7400",
                "node": {"http": {"listen": [free]}, "log": {free: free}, "x": [{"y": free}]},
            }
        ],
    }


@settings(max_examples=30)  # of 15 KiB of YAML each
@given(name=LABEL, free=PRINTABLE)
def test_whatever_is_accepted_comes_back(name: str, free: str) -> None:
    (of,) = read(tomli_w.dumps(document_of(name, "x", free=free)), "fleet.toml").machines
    assert of.node["x"] == [{"y": free}]
    seed = render(of, VOUCHER)
    check(of, seed.user_data)
    assert yaml.safe_load(seed.meta_data)["local-hostname"] == name


@settings(max_examples=30)  # of 15 KiB of YAML each
@given(name=LABEL | ANYTHING, value=ANYTHING, free=ANYTHING)
def test_what_is_hostile_is_refused_or_comes_back(name: str, value: str, free: str) -> None:
    try:
        (of,) = read(tomli_w.dumps(document_of(name, value, free=free)), "fleet.toml").machines
    except InventoryInvalid:
        return
    check(of, render(of, VOUCHER).user_data)


@settings(max_examples=30)  # of 15 KiB of YAML each
@given(PRINTABLE)
def test_what_follows_the_key_of_a_person(comment: str) -> None:
    line = f"{SSH_KEY} {comment}"
    document = check(machine("ams-1"), render(machine("ams-1"), None, [line]).user_data)
    assert document["ssh_authorized_keys"] == [line]


def test_at_most_so_many_bytes() -> None:
    of = machine("ams-1")
    size = len(render(of, None, ["x"]).user_data.encode())
    text = render(of, None, ["x" * (1 + USER_DATA_BYTES_MAX - size)]).user_data
    assert len(text.encode()) == USER_DATA_BYTES_MAX
    with pytest.raises(UserDataTooLarge, match=f"has {USER_DATA_BYTES_MAX + 1} bytes"):
        render(of, None, ["x" * (2 + USER_DATA_BYTES_MAX - size)])


def test_the_network() -> None:
    assert yaml.safe_load(render(machine("ams-1"), None).network_config or "") == {
        "version": 2,
        "ethernets": {
            "main": {
                "match": {"macaddress": "52:54:00:12:34:56"},
                "dhcp4": False,
                "dhcp6": False,
                "addresses": ["192.0.2.10/24", "2001:db8::10/64"],
                "gateway6": "fe80::1",
                "routes": [{"to": "0.0.0.0/0", "via": "192.0.2.1"}],
                "nameservers": {"addresses": ["192.0.2.53"]},
            }
        },
    }
    assert render(machine("lax-1"), VOUCHER).network_config is None
    assert render(replace(machine("ams-1"), network=None), None).network_config is None


@pytest.mark.parametrize(
    ("address", "gateway", "route"),
    [
        ("198.51.100.11/32", "192.0.2.1", {"to": "0.0.0.0/0", "via": "192.0.2.1", "on-link": True}),
        ("2001:db8::1/128", "2001:db8:1::1", {"to": "::/0", "via": "2001:db8:1::1", "on-link": True}),
        ("192.0.2.1/24", "192.0.2.254", {"to": "0.0.0.0/0", "via": "192.0.2.254"}),
    ],
)
def test_a_gateway_outside_of_the_network(address: str, gateway: str, route: dict[str, Any]) -> None:
    config = yaml.safe_load(network_config(Network("52:54:00:12:34:56", (address,), (gateway,))))
    assert config["ethernets"]["main"]["routes"] == [route]
