"""Seeds: with a voucher, or without; and nothing secret in them but that."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml

from provisioning.errors import VoucherUnfit
from provisioning.files import machine_files
from provisioning.limits import VOUCHER_CHARS_MAX
from provisioning.render import render
from tests.provisioning.golden import INVENTORY, rendered
from tests.provisioning.inventories import SSH_KEY, VOUCHER, machine, voucher_of


def test_equal_machines_equal_bytes() -> None:
    assert rendered() == rendered()


def test_who_joins_has_a_voucher_and_who_begins_has_none() -> None:
    assert VOUCHER in render(machine("ams-2"), VOUCHER).user_data
    assert "voucher" not in render(machine("ams-1"), None).user_data.partition("write_files")[0]
    with pytest.raises(VoucherUnfit, match="ams-2 joins the fleet, and has no voucher"):
        render(machine("ams-2"), None)
    with pytest.raises(VoucherUnfit, match="ams-1 begins the fleet"):
        render(machine("ams-1"), VOUCHER)


@pytest.mark.parametrize("voucher", ["", "a b", "a\nb", "a: b", "x" * (VOUCHER_CHARS_MAX + 1)])
def test_what_is_no_voucher_is_put_nowhere(voucher: str) -> None:
    with pytest.raises(VoucherUnfit) as caught:
        render(machine("ams-2"), voucher)
    assert caught.value.message == "what ams-2 is given is no voucher"


def test_another_voucher_is_another_instance() -> None:
    def instance(voucher: str) -> str:
        return str(yaml.safe_load(render(machine("ams-2"), voucher).meta_data)["instance-id"])

    assert instance(VOUCHER) == instance(VOUCHER)
    assert instance(VOUCHER) != instance(VOUCHER[:-1])
    assert instance(VOUCHER).startswith("demo-ams-2-")


def test_nothing_secret_but_the_voucher() -> None:
    secret = re.compile(r"password|passwd|PRIVATE KEY|secret|token|md5|api.?key|BEGIN ", re.IGNORECASE)
    allowed = {
        "lock_passwd: true",  # nobody can log in as edged
        "# The voucher in it lets one machine in: keep this file as a password until it is used, or has expired.",
    }
    for of in INVENTORY.machines:
        seed = render(of, voucher_of(of), [SSH_KEY])
        # Base64 of gzip: what is in it is looked at by itself.
        packed = [file.content for file in machine_files(of) if file.is_packed]
        assert packed
        for text in (seed.user_data, seed.meta_data, seed.network_config or "", *packed):
            lines = {line.strip() for line in text.splitlines()}
            found = {line for line in lines if secret.search(line) and not line.startswith("content: H4sI")}
            assert found <= allowed
        assert seed.user_data.count(VOUCHER) == (0 if of.begins else 1)


def test_a_password_is_named_by_its_file() -> None:
    """No key of node.toml takes a secret: docs/provisioning.md says where an operator puts such files."""
    peer = {"address": "192.0.2.1", "asn": 1, "local_address": "192.0.2.2", "password_file": "/etc/edged/bgp.password"}
    of = replace(machine("ams-2"), node={"bgp": {"asn": 2, "peer": [peer]}})
    assert 'password_file = "/etc/edged/bgp.password"' in render(of, VOUCHER).user_data


def test_a_voucher_is_not_in_any_repr() -> None:
    seed = render(machine("ams-2"), VOUCHER)
    assert VOUCHER not in repr(seed)
