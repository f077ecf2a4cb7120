"""Where everything is on a provisioned machine: units, scripts, `edged doctor` and `edged upgrade` agree here."""

from __future__ import annotations

from pathlib import PurePosixPath

BINARIES = PurePosixPath("/usr/local/lib/edged")
"""A file for each version: `edged-` and the sha256 of its bytes, 64 hexadecimal digits."""

NOT_HERE = BINARIES / "not-here"
"""What `COMMAND` leads to before there is any: a script that says why."""

COMMAND = PurePosixPath("/usr/local/bin/edged")
"""A symbolic link to the one of `BINARIES` that is in use."""

FETCH = BINARIES / "edged-fetch"
"""The script that brings the binary."""

UNPACKED = PurePosixPath("/var/cache/edged")
"""Where root unpacks it, a folder for each build."""

CONFIG_FOLDER = PurePosixPath("/etc/edged")
CONFIG = CONFIG_FOLDER / "node.toml"
VOUCHER = CONFIG_FOLDER / "voucher"
ROSTER = CONFIG_FOLDER / "roster.bin"
"""Put there by the operator, on a machine that begins a fleet."""

MACHINE = CONFIG_FOLDER / "machine.json"
"""What the machine was provisioned as."""

BINARY_ENV = CONFIG_FOLDER / "binary.env"
"""For the script that brings the binary: `EDGED_SHA256`, `EDGED_URLS`, `EDGED_PATH`."""

FIREWALL = CONFIG_FOLDER / "firewall.nft"
SYSCTL = PurePosixPath("/etc/sysctl.d/60-edged.conf")
UNITS = PurePosixPath("/etc/systemd/system")

FETCH_STATE = PurePosixPath("/run/edged-fetch/state")
"""Lines of KEY=VALUE: how the bringing goes."""

FETCH_LOCK = FETCH_STATE.with_name("lock")
"""Held by the script that brings the binary: one at a time."""

STATE = PurePosixPath("/var/lib/edged")
"""The node's `state_dir`."""

FAILURE = STATE / "failure.json"
"""Why the node did not start, or ended; not there while it is ready."""

USER = "edged"
"""System user and group that the node runs as."""
