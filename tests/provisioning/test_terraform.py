"""Terraform's JSON.

The providers' schemas come from a registry, which tests do not ask. What Terraform checks without one it does check
here, on the resource that is built into it: the syntax, the expressions, and `lifecycle`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provisioning.errors import TerraformUnsupported
from provisioning.terraform import main_tf_json
from tests.provisioning.golden import INVENTORY
from tests.provisioning.inventories import machine

TERRAFORM = shutil.which("terraform")
needs_terraform = pytest.mark.skipif(
    TERRAFORM is None, reason="terraform is not installed, which no package of Debian is"
)


def resources(*names: str) -> dict[str, Any]:
    found = json.loads(main_tf_json(machine(name) for name in names))["resource"]
    assert isinstance(found, dict)
    return found


def test_all_that_terraform_makes() -> None:
    document = json.loads(main_tf_json(INVENTORY.machines))
    assert document["terraform"]["required_providers"].keys() == {"equinix", "vultr"}
    assert {kind: list(names) for kind, names in document["resource"].items()} == {
        "equinix_metal_project": ["edged"],
        "equinix_metal_device": ["nyc-1"],
        "equinix_metal_bgp_session": ["nyc-1-ipv4", "nyc-1-ipv6"],
        "vultr_bare_metal_server": ["lax-1"],
    }


def test_none_that_it_makes() -> None:
    with pytest.raises(TerraformUnsupported):
        main_tf_json([machine("ams-1"), machine("ams-2")])
    with pytest.raises(TerraformUnsupported):
        main_tf_json([])


def test_user_data_is_taken_from_its_file_and_a_new_one_destroys_nothing() -> None:
    for kind, name in [("vultr_bare_metal_server", "lax-1"), ("equinix_metal_device", "nyc-1")]:
        server = resources(name)[kind][name]
        assert server["user_data"] == f'${{sensitive(file("${{path.module}}/{name}/user-data"))}}'
        assert server["lifecycle"] == {"ignore_changes": ["user_data"]}
        assert server["hostname"] == name


@pytest.mark.parametrize(
    ("plan", "kind"),
    [("vbm-4c-32gb", "vultr_bare_metal_server"), ("vc2-1c-1gb", "vultr_instance"), (None, "vultr_instance")],
)
def test_vultr_has_two_kinds(plan: str | None, kind: str) -> None:
    of = machine("lax-1")
    terraform = {"region": "lax"} if plan is None else {"region": "lax", "plan": plan}
    assert list(json.loads(main_tf_json([replace(of, terraform=terraform)]))["resource"]) == [kind]


def test_equinix_with_a_project_of_the_operator_and_without_bgp() -> None:
    of = machine("nyc-1")
    given = replace(of, terraform={**of.terraform, "project_id": "e188d7db"}, node={})
    assert json.loads(main_tf_json([given]))["resource"].keys() == {"equinix_metal_device"}
    made = json.loads(main_tf_json([replace(of, node={})]))["resource"]
    assert made["equinix_metal_project"] == {"edged": {"name": "demo"}}
    both = json.loads(main_tf_json([of, replace(of, name="nyc-2", node={})]))["resource"]
    assert both["equinix_metal_project"]["edged"]["bgp_config"] == {"deployment_type": "local", "asn": 65000}
    assert both["equinix_metal_device"]["nyc-2"]["project_id"] == "${equinix_metal_project.edged.id}"


def test_texts_are_no_expressions() -> None:
    of = replace(machine("lax-1"), terraform={"label": "${file(1)} %{if true}", "tags": ["${x}"]})
    server = json.loads(main_tf_json([of]))["resource"]["vultr_instance"]["lax-1"]
    assert (server["label"], server["tags"]) == ("$${file(1)} %%{if true}", ["$${x}"])


def test_a_name_that_begins_with_a_digit() -> None:
    made = json.loads(main_tf_json([replace(machine("nyc-1"), name="1a")]))["resource"]
    assert list(made["equinix_metal_device"]) == ["_1a"]
    assert made["equinix_metal_bgp_session"]["_1a-ipv4"]["device_id"] == "${equinix_metal_device._1a.id}"


@needs_terraform
@pytest.mark.parametrize("expression", ["", "${nothing.at.all}"])
def test_terraform_takes_it(expression: str, tmp_path: Path) -> None:
    """With the servers replaced by what is built in; and not with an expression that is none."""
    document = json.loads(main_tf_json(INVENTORY.machines))
    servers = {
        name: {
            "input": [server["user_data"], *([expression] if expression else [])],
            "lifecycle": {"ignore_changes": ["input"]},
        }
        for kind in ("equinix_metal_device", "vultr_bare_metal_server")
        for name, server in document["resource"][kind].items()
    }
    assert servers.keys() == {"nyc-1", "lax-1"}
    stand_in = {"//": document["//"], "resource": {"terraform_data": servers}}
    (tmp_path / "main.tf.json").write_text(json.dumps(stand_in))
    for name in servers:
        (tmp_path / name).mkdir()
        (tmp_path / name / "user-data").write_text("#cloud-config\n")
    assert TERRAFORM is not None
    for command in (["init", "-backend=false", "-input=false"], ["validate", "-json"]):
        ended = subprocess.run(
            [TERRAFORM, *command],
            cwd=tmp_path,
            env={"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        if command[0] == "init":
            assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["valid"] is (not expression), ended.stdout
