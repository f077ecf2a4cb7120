"""Files with public keys of people who may log in to a machine."""

from __future__ import annotations

import re

from provisioning.errors import SshKeyInvalid
from provisioning.limits import SSH_KEY_COUNT_MAX, SSH_KEY_FILE_BYTES_MAX

# sshd(8), AUTHORIZED_KEYS FILE FORMAT; without options, which would stand in front.
_key = re.compile(
    r"(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r" AAAA[A-Za-z0-9+/]{20,2000}={0,3}(?: [^\n]{0,200})?"
).fullmatch


def public_keys(data: bytes, path: str) -> tuple[str, ...]:
    """The keys of a file, a line each; comments of the file and empty lines are left out.

    Args:
        path: of the file, for messages.

    Raises:
        SshKeyInvalid: it has something else in it, or nothing. What it has is in no message: it may be a private key.
    """
    if len(data) > SSH_KEY_FILE_BYTES_MAX:
        raise SshKeyInvalid(f"{path} has more than {SSH_KEY_FILE_BYTES_MAX} bytes")
    try:
        lines = [line.strip() for line in data.decode().split("\n")]
    except UnicodeDecodeError:
        raise SshKeyInvalid(f"{path} is not UTF-8") from None
    keys = []
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        if "PRIVATE KEY" in line:
            raise SshKeyInvalid(f"{path} is a private key", remedy="Name the file beside it with the suffix .pub.")
        if not line.isprintable() or not _key(line):
            raise SshKeyInvalid(f"{path}: line {number} is no public key of OpenSSH")
        keys.append(line)
    if not keys:
        raise SshKeyInvalid(f"{path} has no key in it")
    if len(keys) > SSH_KEY_COUNT_MAX:
        raise SshKeyInvalid(f"{path} has {len(keys)} keys: at most {SSH_KEY_COUNT_MAX}")
    return tuple(keys)
