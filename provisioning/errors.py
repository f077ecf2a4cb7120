"""Every error that leaves provisioning: one class, one stable code, one sentence of remedy.

The shape is that of every error of the program: `code`, `message`, `remedy`, `exit_status` (sysexits.h), `as_json()`.
"""

from __future__ import annotations

from typing import ClassVar


class ProvisioningError(Exception):
    """Base of all. Never raised itself.

    Attributes:
        code: stable, dotted, lower-case; part of the public interface.
        exit_status: status of a command that ends with this error (sysexits.h).
        message: what is wrong.
        remedy: one sentence that says what to do.
    """

    code: ClassVar[str] = "provisioning"
    exit_status: ClassVar[int] = 70
    default_remedy: ClassVar[str] = "Report this with the command that led here."

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = self.default_remedy if remedy is None else remedy

    def __str__(self) -> str:
        return self.message

    def as_json(self) -> dict[str, str]:
        """The one shape of every JSON error: `code`, `message`, `remedy`."""
        return {"code": self.code, "message": self.message, "remedy": self.remedy}


# --- what an operator says ---------------------------------------------------------------------------------


class InventoryInvalid(ProvisioningError):
    """A fleet.toml whose machines cannot be made as it describes them."""

    code = "provisioning.inventory-invalid"
    exit_status = 78
    default_remedy = "Correct it; docs/provisioning.md lists all keys."


class MachineUnknown(ProvisioningError):
    """A machine that the fleet.toml does not have."""

    code = "provisioning.machine-unknown"
    exit_status = 64
    default_remedy = "Add it to fleet.toml as a [[machine]], or name one that is there."


class SshKeyInvalid(ProvisioningError):
    """A file of ssh_keys that holds anything but public keys."""

    code = "provisioning.ssh-key-invalid"
    exit_status = 78
    default_remedy = "Name files with public keys, as ssh-keygen writes them with the suffix .pub."


class VoucherUnfit(ProvisioningError):
    """A machine that joins was given no voucher, or something else in its place, or one that begins was given one."""

    code = "provisioning.voucher-unfit"
    exit_status = 64
    default_remedy = "Give one made by `edged fleet voucher` to a machine that joins, and none to one that begins."


class UserDataTooLarge(ProvisioningError):
    """User-data above the size that providers take."""

    code = "provisioning.user-data-too-large"
    exit_status = 78
    default_remedy = "Shorten what is its own: ssh_keys, urls, tables of node, or the voucher by naming one --seed."


class TerraformUnsupported(ProvisioningError):
    """Machines of which none is made by Terraform."""

    code = "provisioning.terraform-unsupported"
    exit_status = 78
    default_remedy = "Say `provider` for those machines that Terraform is to make, as equinix or vultr."


# --- who builds the one file -------------------------------------------------------------------------------


class BinaryNotBuilt(ProvisioningError):
    """`make binary` that ended without one."""

    code = "provisioning.binary-not-built"
    exit_status = 69
    default_remedy = "Run `make venv`, then try again."


# --- what is our own mistake -------------------------------------------------------------------------------


class TemplateInvalid(ProvisioningError):
    """A file of cloud-init/ that is not there, or with a place that nothing fills."""

    code = "provisioning.template-invalid"
    exit_status = 70
    default_remedy = "Install edged anew, and report this if it stays."
