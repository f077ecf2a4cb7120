"""A machine and its voucher -> what its provider, or a NoCloud seed, is given. Pure: equal machines, equal bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from provisioning import paths
from provisioning.errors import VoucherUnfit
from provisioning.files import machine_files
from provisioning.limits import VOUCHER_CHARS_MAX
from provisioning.machine import Machine, MachineFile, Seed
from provisioning.user_data import meta_data, network_config, user_data

_token = re.compile(r"[A-Za-z0-9_-]+").fullmatch


def render(machine: Machine, voucher: str | None, ssh_keys: Sequence[str] = ()) -> Seed:
    """
    Args:
        voucher: as `edged fleet voucher` prints it; None for a machine that begins a fleet.
        ssh_keys: public keys, as `ssh_keys.public_keys` finds them.

    Raises:
        VoucherUnfit: there is none where one is needed, or the other way round, or it is something else.
        UserDataTooLarge
        TemplateInvalid
    """
    files = machine_files(machine)
    if voucher is not None:
        files = (*files, _voucher_file(machine, voucher))
    elif not machine.begins:
        raise VoucherUnfit(f"{machine.name} joins the fleet, and has no voucher")
    text = user_data(machine, files, ssh_keys)
    config = None if machine.network is None else network_config(machine.network)
    return Seed(text, meta_data(machine, text), config)


def _voucher_file(machine: Machine, voucher: str) -> MachineFile:
    if machine.begins:
        raise VoucherUnfit(f"{machine.name} begins the fleet: there is nobody to show a voucher to")
    if len(voucher) > VOUCHER_CHARS_MAX or not _token(voucher):
        raise VoucherUnfit(f"what {machine.name} is given is no voucher")
    return MachineFile(str(paths.VOUCHER), f"{voucher}\n", "0440", f"root:{paths.USER}")
