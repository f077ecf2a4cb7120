"""A machine of which nobody knows anything: its network stands in the inventory, its user-data on a NoCloud seed."""

from __future__ import annotations

from provisioning.providers.traits import Provider

PROVIDER = Provider(takes_network=True)
