"""Vultr: bare metal and cloud servers.

Source: the schemas of vultr_bare_metal_server and vultr_instance in vultr/terraform-provider-vultr.
"""

from __future__ import annotations

from provisioning.machine import Machine
from provisioning.providers.traits import Provider, Resources, Terraform, resource_name

_BARE_METAL = "vbm-"
"""How the names of all plans of bare metal begin; `vultr_bare_metal_server` takes these only."""


def _resources(machine: Machine, user_data: str) -> Resources:
    is_bare_metal = str(machine.terraform.get("plan", "")).startswith(_BARE_METAL)
    server = {
        "label": machine.name,
        "hostname": machine.name,
        "tags": ["edged", machine.fleet],
        "enable_ipv6": True,
        "activation_email": False,
        **machine.terraform,
        "user_data": user_data,
        # A new voucher is no reason to destroy a machine that has joined with the old one.
        "lifecycle": {"ignore_changes": ["user_data"]},
    }
    return {"vultr_bare_metal_server" if is_bare_metal else "vultr_instance": {resource_name(machine): server}}


PROVIDER = Provider(
    tells_routers=True,
    packages=("ca-certificates", "nftables"),
    terraform=Terraform("vultr/vultr", ">= 2.15", _resources),
)
