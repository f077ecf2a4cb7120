"""Ed25519 keys (RFC 8032): in files as PKCS #8 PEM, by name as the sha256 of the public half.

A private key's file is its owner's alone: one that a group or others may read is refused, since whoever could read it
may have. Keys never show in a repr.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from registry.errors import KeyInvalid
from registry.limits import KEY_FILE_BYTES_MAX
from registry.whole_file import write_whole

PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half.

    Attributes:
        raw: 32 bytes (RFC 8032, section 5.1.5).

    Raises:
        KeyInvalid: not 32 bytes.
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != PUBLIC_KEY_BYTES:
            raise KeyInvalid(f"a public key of {len(self.raw)} bytes, not {PUBLIC_KEY_BYTES}")

    def __repr__(self) -> str:
        return f"PublicKey({self.short})"

    @property
    def id(self) -> str:
        """sha256 of `raw`, 64 hexadecimal digits."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def short(self) -> str:
        """The first 16 digits of `id`: what people are shown."""
        return self.id[:16]

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether the private half signed these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):  # ValueError: bytes that are no point of the curve
            return False
        return True


class SigningKey:
    """The private half.

    Attributes:
        private: the library's own object, for what needs one (a certificate). Not to be shown or stored.
        public: the public half.
    """

    __slots__ = ("private", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self.private = private
        self.public = PublicKey(private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"SigningKey({self.public.short})"

    @staticmethod
    def generate() -> SigningKey:
        return SigningKey(Ed25519PrivateKey.generate())

    @staticmethod
    def parse(pem: bytes, *, what: str, passphrase: bytes | None = None) -> SigningKey:
        """A key from the bytes of its file.

        Args:
            what: names the file in messages.

        Raises:
            KeyInvalid: no Ed25519 key in PKCS #8 PEM, or the passphrase is wrong, missing or not needed.
        """
        try:
            private = serialization.load_pem_private_key(pem, password=passphrase)
        except TypeError:
            if passphrase is None:
                raise KeyInvalid(f"{what} is encrypted", remedy="Give its passphrase in a file.") from None
            raise KeyInvalid(f"{what} is not encrypted", remedy="Leave the passphrase out.") from None
        except (ValueError, UnsupportedAlgorithm):
            why = "is no private key in PEM" if passphrase is None else "is no private key, or has another passphrase"
            raise KeyInvalid(f"{what} {why}") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyInvalid(f"{what} is a key of another algorithm than Ed25519", remedy="Make a new key.")
        return SigningKey(private)

    @staticmethod
    def load(path: Path, *, passphrase: bytes | None = None) -> SigningKey:
        """The key in a file.

        Raises:
            KeyInvalid: it cannot be read, is open to others than its owner, or holds no such key.
        """
        return SigningKey.parse(_read_private(path), what=str(path), passphrase=passphrase)

    def pem(self, *, passphrase: bytes | None = None) -> bytes:
        """PKCS #8; encrypted if there is a passphrase."""
        return self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase),
        )

    def save(self, path: Path, *, passphrase: bytes | None = None) -> None:
        """Write the key to a new file with mode 0600: whole and durable, or not at all.

        Raises:
            KeyInvalid: the file is there already, or cannot be written.
        """
        try:
            write_whole(path, self.pem(passphrase=passphrase), mode=0o600, replace=False)
        except FileExistsError:
            raise KeyInvalid(f"{path} is there already", remedy="Name another file; a key is never replaced.") from None
        except OSError as error:
            raise KeyInvalid(f"{path} cannot be written: {error.strerror}") from error

    def sign(self, data: bytes) -> bytes:
        """64 bytes; the same for the same bytes (RFC 8032, section 5.1.6)."""
        return self.private.sign(data)


def _read_private(path: Path) -> bytes:
    try:
        # A named pipe must not hold us up; what is opened is what is looked at.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise KeyInvalid(f"{path} is not a file")
            if found.st_mode & 0o077:
                raise KeyInvalid(
                    f"{path} has mode {stat.S_IMODE(found.st_mode):04o}: others than its owner may have read it",
                    remedy=f"Run `chmod 600 {path}`, and make a new key if the old one may be known.",
                )
            data = file.read(KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyInvalid(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > KEY_FILE_BYTES_MAX:
        raise KeyInvalid(f"{path} has more than {KEY_FILE_BYTES_MAX} bytes: it is no key")
    return data
