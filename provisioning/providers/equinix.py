"""Equinix Metal, which was Packet before.

Source: docs/resources/metal_device.md, metal_bgp_session.md and metal_project.md of equinix/terraform-provider-equinix.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning.machine import Machine
from provisioning.providers.traits import Provider, Resources, Terraform, resource_name

_METADATA = "192.80.8.124"
"""What metadata.platformequinix.com leads to, and metadata.packet.net before."""

_ASN = 65000
"""The private AS number that the provider gives customers of local BGP who name none."""

_FAMILIES = ("ipv4", "ipv6")


def _resources(machine: Machine, user_data: str) -> Resources:
    """A device; where it announces, a session of each family with the rack's routers, which needs a project with BGP.

    A project of its own is made where `project_id` names none.
    """
    device: dict[str, Any] = {
        "hostname": machine.name,
        "billing_cycle": "hourly",
        "tags": ["edged", machine.fleet],
        **machine.terraform,
        "user_data": user_data,
        # A new voucher is no reason to destroy a machine that has joined with the old one.
        "lifecycle": {"ignore_changes": ["user_data"]},
    }
    name = resource_name(machine)
    found: dict[str, Mapping[str, Mapping[str, Any]]] = {}
    bgp = machine.node.get("bgp")
    if "project_id" not in device:
        device["project_id"] = "${equinix_metal_project.edged.id}"
        found["equinix_metal_project"] = {"edged": _project(machine, bgp)}
    found["equinix_metal_device"] = {name: device}
    if isinstance(bgp, Mapping):
        found["equinix_metal_bgp_session"] = {
            f"{name}-{family}": {
                "device_id": f"${{equinix_metal_device.{name}.id}}",
                "address_family": family,
            }
            for family in _FAMILIES
        }
    return found


def _project(machine: Machine, bgp: object) -> dict[str, Any]:
    if not isinstance(bgp, Mapping):
        return {"name": machine.fleet}
    return {"name": machine.fleet, "bgp_config": {"deployment_type": "local", "asn": bgp.get("asn", _ASN)}}


PROVIDER = Provider(
    metadata_addresses=(_METADATA,),
    tells_routers=True,
    packages=("ca-certificates", "nftables"),
    terraform=Terraform("equinix/equinix", ">= 1.20", _resources),
)
