"""Every error that leaves the registry: one class, one stable code, one sentence of remedy.

Foreign exceptions (OSError, ValueError of a library) become one of these in the module that calls the foreign thing.
The shape is that of every error of the program: `code`, `message`, `remedy`, `exit_status` (sysexits.h), `as_json()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class RegistryError(Exception):
    """Base of all. Never raised itself.

    Attributes:
        code: stable, dotted, lower-case; part of the public interface.
        exit_status: status of a command that ends with this error (sysexits.h).
        message: what is wrong.
        remedy: one sentence that says what to do.
    """

    code: ClassVar[str] = "registry"
    exit_status: ClassVar[int] = 70
    default_remedy: ClassVar[str] = "Report this with the log lines around it."

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = self.default_remedy if remedy is None else remedy

    def __str__(self) -> str:
        return self.message

    def as_json(self) -> dict[str, str]:
        """The one shape of every JSON error: `code`, `message`, `remedy`."""
        return {"code": self.code, "message": self.message, "remedy": self.remedy}


# --- what a publisher or peer sent, or a file said ---------------------------------------------------------


class Malformed(RegistryError):
    """Bytes that are not a record in our strict form."""

    code = "registry.malformed"
    exit_status = 65
    default_remedy = "Make it again with a current version; if it came from a peer, the peer is at fault."


class ReleaseInvalid(RegistryError):
    """A release that breaks a rule or a limit."""

    code = "registry.release-invalid"
    exit_status = 65
    default_remedy = "Pack the app again with a current version."


class EnvelopeInvalid(RegistryError):
    """Bytes that are not a signed envelope."""

    code = "registry.envelope-invalid"
    exit_status = 65
    default_remedy = "Sign it again with a current version."


class BundleFileInvalid(RegistryError):
    """A bundle file that is truncated, corrupt, over a limit, or not one."""

    code = "registry.bundle-file"
    exit_status = 65
    default_remedy = "Export it again, and copy it in a way that keeps every byte."


class DigestInvalid(RegistryError):
    """A text that is not `sha256:` and 64 lower-case hexadecimal digits."""

    code = "registry.digest-invalid"
    exit_status = 65
    default_remedy = "Write a digest as sha256: and 64 lower-case hexadecimal digits."


class PathInvalid(RegistryError):
    """A path of a release that would not be the same file, or no file at all, on some node."""

    code = "registry.path-invalid"
    exit_status = 65
    default_remedy = "Rename the file: relative, /-separated, no . or .., NFC, unique whatever the case."


class FrameInvalid(RegistryError):
    """A compressed chunk that is not one zstd frame of the size it says, or asks for too much memory."""

    code = "registry.frame-invalid"
    exit_status = 65
    default_remedy = "Fetch the chunk again from elsewhere: whoever sent this is broken or hostile."


class BlobMismatch(RegistryError):
    """Bytes that do not have the size or digest they were announced with."""

    code = "registry.blob-mismatch"
    exit_status = 65
    default_remedy = "Fetch the chunk again from elsewhere: whoever sent this is broken or hostile."


class BlobTooLarge(RegistryError):
    """A file of more than BLOB_BYTES_MAX."""

    code = "registry.blob-too-large"
    exit_status = 65
    default_remedy = "Leave the file out of the application, or serve it from elsewhere."


# --- who signed, and with what -----------------------------------------------------------------------------


class SignatureInvalid(RegistryError):
    """No known key has a valid signature."""

    code = "registry.signature"
    exit_status = 77
    default_remedy = "Sign it with a key that the roster names."


class KeyNotAllowed(RegistryError):
    """A valid signature of a key that is revoked, or may not do this."""

    code = "registry.key-not-allowed"
    exit_status = 77
    default_remedy = "Use a key whose roles, apps and regions include this, or have the roster changed."


class KeyInvalid(RegistryError):
    """A key, its file's mode, its passphrase or what a roster says of it is wrong."""

    code = "registry.key"
    exit_status = 78
    default_remedy = "Correct the key file's path, mode or passphrase, or make a new key."


# --- the stores --------------------------------------------------------------------------------------------


class ReleaseMissing(RegistryError):
    """The store does not have the release, or had it damaged and put it aside."""

    code = "registry.release-missing"
    exit_status = 66
    default_remedy = "Fetch it from a peer, or push it again."


class BlobsMissing(RegistryError):
    """Chunks that must be there first are not.

    Attributes:
        digests: of the missing chunks.
    """

    code = "registry.blobs-missing"
    exit_status = 66
    default_remedy = "Send the missing chunks first."

    def __init__(self, message: str, digests: Sequence[str], *, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.digests = tuple(digests)


class StoreFailed(RegistryError):
    """The disk refused: no space, no permission, a fault."""

    code = "registry.store"
    exit_status = 74
    default_remedy = "Look at the disk's space, permissions and health."


class BlobMissing(RegistryError):
    """A chunk that this store does not have."""

    code = "registry.blob-missing"
    exit_status = 66
    default_remedy = "Fetch or upload the chunk first."


class BlobCorrupt(RegistryError):
    """A stored chunk that is not what was stored. It was moved aside: from now on it is missing."""

    code = "registry.blob-corrupt"
    exit_status = 74
    default_remedy = "Fetch the chunk again, and check the disk."


class StoreFull(StoreFailed):
    """The store's own quota."""

    code = "registry.store-full"
    exit_status = 73
    default_remedy = "Remove releases that nobody needs, or raise the store's bytes_max."


class DiskFull(StoreFailed):
    """The disk, or what must stay free on it. Nothing that was acknowledged is lost."""

    code = "registry.disk-full"
    exit_status = 73
    default_remedy = "Free some space on the disk of the store."


class SourceUnreadable(RegistryError):
    """A file that was to be put into the store and cannot be read."""

    code = "registry.source-unreadable"
    exit_status = 66
    default_remedy = "Correct the path, or make the file readable."


class LeaseRefused(RegistryError):
    """A lease of more chunks than the store keeps for one transfer, or of too long a name."""

    code = "registry.lease-refused"
    exit_status = 65
    default_remedy = "Push a smaller application."


# --- images of other registries (registry.oci) ---


class OciReferenceInvalid(RegistryError):
    """A text that names no image."""

    code = "registry.oci-reference"
    exit_status = 64
    default_remedy = "Write it as HOST/NAME:TAG or HOST/NAME@sha256:DIGEST, or name a folder with an OCI image layout."


class OciUnavailable(RegistryError):
    """A registry that cannot be reached, or answers something else than what was asked for."""

    code = "registry.oci-unavailable"
    exit_status = 69
    default_remedy = "Check the address and the network, then try again."


class OciDenied(RegistryError):
    """A registry that does not let us in."""

    code = "registry.oci-denied"
    exit_status = 77
    default_remedy = "Check the name of the image, and give --username and --password-file."


class OciMissing(RegistryError):
    """An image or a part of it that is not there."""

    code = "registry.oci-missing"
    exit_status = 66
    default_remedy = "Check the name and tag of the image, or push it again."


class OciRedirectRefused(RegistryError):
    """A registry that sends us to a place where only the operator may send us."""

    code = "registry.oci-redirect"
    exit_status = 69
    default_remedy = "If that host is meant to hold parts of the image, name it with --allow-host."


class OciInvalid(RegistryError):
    """An image that is not what it says, or not what `spin registry push` makes."""

    code = "registry.oci-invalid"
    exit_status = 65
    default_remedy = (
        "Push the image again with `spin registry push`; if it stays so, its registry is broken or hostile."
    )


class OciUnsupported(RegistryError):
    """An image that asks for what edged does not have."""

    code = "registry.oci-unsupported"
    exit_status = 69
    default_remedy = "Leave that out of the app, or use an edged that has it."


class OciFolderUnusable(RegistryError):
    """A folder for an app that is there already, or cannot be written."""

    code = "registry.oci-folder"
    exit_status = 73
    default_remedy = "Name a folder that does not exist yet, in one that you may write to."
