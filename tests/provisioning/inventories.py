"""A fleet.toml with a machine of each provider, and one that begins."""

from __future__ import annotations

from provisioning.inventory import read
from provisioning.machine import Machine

VOUCHER = "edged-voucher-" + "hKRr_-0123456789" * 131
"""As long as one with three seeds; it lets nobody in."""

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDOLsD4x5KcD1QPzn0BBMYE4bvr2lM2lVKk5yWvTF5gR ops@example.com"

TEXT = """\
fleet = "demo"
domain = "apps.example.com"
regions = ["eu", "us"]
prefixes = ["203.0.113.10/32", "2001:db8:a::10/128"]

[root]
keys = []

[provision]
ssh_keys = ["keys/ops.pub"]

[provision.binary]
sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
urls = ["http://203.0.113.7:7402/edged/{sha256}", "https://downloads.example.com/edged"]
path = "/media/edged"

[provision.node.http]
listen = ["[::]:80"]

[[machine]]
name = "ams-1"
region = "eu"
address = "192.0.2.10:7400"
begins = true
[machine.network]
mac = "52:54:00:12:34:56"
addresses = ["192.0.2.10/24", "2001:db8::10/64"]
gateways = ["192.0.2.1", "fe80::1"]
nameservers = ["192.0.2.53"]
[machine.node.bgp]
asn = 64512
drain = { linger_s = 10 }
[[machine.node.bgp.peer]]
address = "192.0.2.1"
asn = 64513
local_address = "192.0.2.10"
[[machine.node.bgp.peer]]
address = "2001:db8::1"
asn = 64513
local_address = "2001:db8::10"

[[machine]]
name = "ams-2"
region = "eu"
address = "[2001:db8::11]:7400"
[machine.network]
mac = "52:54:00:12:34:57"
addresses = ["198.51.100.11/32"]
gateways = ["192.0.2.1"]
[machine.node.admin]
listen = "127.0.0.1:7401"

[[machine]]
name = "nyc-1"
region = "us"
address = "nyc-1.example.com:7400"
provider = "equinix"
[machine.node.bgp]
asn = 65000
[machine.terraform]
plan = "c3.small.x86"
metro = "ny"
operating_system = "debian_12"

[[machine]]
name = "lax-1"
region = "us"
address = "198.51.100.1:7400"
provider = "vultr"
[machine.node.bgp.metadata]
source = "/etc/edged/metadata.json"
[machine.terraform]
plan = "vbm-4c-32gb"
region = "lax"
os_id = 2136
"""


def machine(name: str, text: str = TEXT) -> Machine:
    return read(text, "fleet.toml").machine(name)


def voucher_of(machine: Machine) -> str | None:
    """What `render` is to be given."""
    return None if machine.begins else VOUCHER
