"""Files with public keys."""

from __future__ import annotations

import pytest

from provisioning.errors import SshKeyInvalid
from provisioning.limits import SSH_KEY_COUNT_MAX, SSH_KEY_FILE_BYTES_MAX
from provisioning.ssh_keys import public_keys
from tests.provisioning.inventories import SSH_KEY

BARE = SSH_KEY.rpartition(" ")[0]
SECRET = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (SSH_KEY, (SSH_KEY,)),
        (f"{BARE}\r\n", (BARE,)),
        (f"# ops\n\n  {SSH_KEY}  \n{BARE}\n", (SSH_KEY, BARE)),
        (f"{BARE} wörk: 'x' # y\n", (f"{BARE} wörk: 'x' # y",)),
        ("sk-ssh-ed25519@openssh.com " + BARE.split()[1], ("sk-ssh-ed25519@openssh.com " + BARE.split()[1],)),
    ],
)
def test_taken(text: str, keys: tuple[str, ...]) -> None:
    assert public_keys(text.encode(), "ops.pub") == keys


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ops.pub has no key in it"),
        (b"# nothing\n", "ops.pub has no key in it"),
        (b"\xff", "ops.pub is not UTF-8"),
        (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n".encode(), "ops.pub is a private key"),
        (f"{SSH_KEY}\n{SECRET}\n".encode(), "ops.pub: line 2 is no public key"),
        (f'command="x" {SSH_KEY}'.encode(), "ops.pub: line 1 is no public key"),
        (f"{BARE} a\x1b[2Jb".encode(), "ops.pub: line 1 is no public key"),
        (b"ssh-ed25519 AAAA", "ops.pub: line 1 is no public key"),
        (b"ssh-dss " + BARE.split()[1].encode(), "ops.pub: line 1 is no public key"),
    ],
)
def test_refused(data: bytes, message: str) -> None:
    with pytest.raises(SshKeyInvalid, match=message) as caught:
        public_keys(data, "ops.pub")
    assert SECRET not in caught.value.message


def test_at_most_so_many() -> None:
    assert len(public_keys(f"{BARE}\n".encode() * SSH_KEY_COUNT_MAX, "ops.pub")) == SSH_KEY_COUNT_MAX
    with pytest.raises(SshKeyInvalid, match=f"at most {SSH_KEY_COUNT_MAX}"):
        public_keys(f"{BARE}\n".encode() * (SSH_KEY_COUNT_MAX + 1), "ops.pub")
    text = f"{BARE}\n#".encode()
    assert public_keys(text.ljust(SSH_KEY_FILE_BYTES_MAX, b"x"), "ops.pub") == (BARE,)
    with pytest.raises(SshKeyInvalid, match=str(SSH_KEY_FILE_BYTES_MAX)):
        public_keys(text.ljust(SSH_KEY_FILE_BYTES_MAX + 1, b"x"), "ops.pub")
