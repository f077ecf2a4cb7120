"""Providers by name: what a machine needs because it is theirs.

One more provider is one more module with a `PROVIDER`, and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from provisioning.providers import equinix, static, vultr
from provisioning.providers.traits import Provider

PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {"static": static.PROVIDER, "equinix": equinix.PROVIDER, "vultr": vultr.PROVIDER}
)
