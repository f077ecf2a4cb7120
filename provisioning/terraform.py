"""Machines as Terraform's JSON: https://developer.hashicorp.com/terraform/language/syntax/json.

It lies in the folder of `edged provision render --all`, from where it takes each machine's user-data. That is marked as
sensitive, and no more than named here: it holds vouchers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from provisioning.errors import TerraformUnsupported
from provisioning.inventory import merged
from provisioning.machine import Machine
from provisioning.providers.provider import PROVIDERS

_COMMENT = "Made from fleet.toml by `edged provision terraform`: edit that, and make this anew."


def main_tf_json(machines: Iterable[Machine]) -> str:
    """The file main.tf.json, with those of the machines that Terraform makes.

    Raises:
        TerraformUnsupported: it makes none of them.
    """
    required: dict[str, Any] = {}
    resources: dict[str, Any] = {}
    for machine in machines:
        terraform = PROVIDERS[machine.provider].terraform
        if terraform is None:
            continue
        required[terraform.source.rpartition("/")[2]] = {"source": terraform.source, "version": terraform.version}
        plain = replace(machine, terraform=_literal(machine.terraform))
        user_data = f'${{sensitive(file("${{path.module}}/{machine.name}/user-data"))}}'
        resources = merged(resources, terraform.resources(plain, user_data))
    if not resources:
        raise TerraformUnsupported("none of the machines is of a provider for which Terraform makes them")
    document = {"//": _COMMENT, "terraform": {"required_providers": required}, "resource": resources}
    return f"{json.dumps(document, indent=2, ensure_ascii=False)}\n"


def _literal(value: Any) -> Any:
    """Texts as they are: Terraform would take some for expressions."""
    match value:
        case dict():
            return {_literal(key): _literal(item) for key, item in value.items()}
        case list():
            return [_literal(item) for item in value]
        case str():
            return value.replace("${", "$${").replace("%{", "%%{")
        case _:
            return value
