"""Every limit of provisioning, with its unit and the reason for its value."""

from __future__ import annotations

USER_DATA_BYTES_MAX = 16 * 1024  # the smallest limit among common providers, EC2's; plain, so that people can read it
INVENTORY_BYTES_MAX = 1024 * 1024  # of a fleet.toml: written by people
MACHINE_COUNT_MAX = 500  # as nodes of a roster
REGION_COUNT_MAX = 256  # as a roster
TEXT_CHARS_MAX = 1_000  # of one value: a long URL
DEPTH_MAX = 8  # of tables within node and terraform: node.toml has three
URL_COUNT_MAX = 8  # places of the binary: one of them answers
SSH_KEY_FILE_COUNT_MAX = 16
SSH_KEY_FILE_BYTES_MAX = 16 * 1024  # an RSA key of 4096 bits has 750
SSH_KEY_COUNT_MAX = 32  # on one machine: the user-data has room for some 30 of Ed25519 beside the rest
ADDRESS_COUNT_MAX = 16  # of each kind, of one machine's network
TEMPLATE_BYTES_MAX = 64 * 1024  # of a file of cloud-init/; all together have to fit into user-data
VOUCHER_CHARS_MAX = 24 * 1024  # more than any that edged makes; the user-data has room for less
