"""What `edged provision render` makes of an operator's folder: seeds of machines, each with a voucher of its own.

fleet.toml ── inventory ── node.toml, read as the node will read it
operator.key ── voucher ──┴─> render ──> Seed ──> a folder, as the datasource NoCloud wants it
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edged.cli.voucher_token import Token, make_token
from edged.errors import FleetFileError, NodeConfigInvalid, UsageError
from edged.fleet.files import read_file, write_file
from edged.fleet.fleet_toml import read_source
from edged.fleet.folder import FleetFolder
from edged.fleet.voucher import open_voucher, parse_token
from edged.limits import VOUCHER_BYTES_MAX
from edged.node import config_file
from provisioning import inventory, paths
from provisioning.files import node_toml
from provisioning.inventory import Inventory
from provisioning.limits import SSH_KEY_FILE_BYTES_MAX
from provisioning.machine import Machine, Seed
from provisioning.render import render
from provisioning.ssh_keys import public_keys


@dataclass(frozen=True, slots=True)
class Rendered:
    """Attributes:
    expires: of its voucher, unix time, s; None for a machine that begins.
    """

    machine: Machine
    seed: Seed
    expires: int | None


def read_inventory(fleet: FleetFolder, provider: str | None = None) -> Inventory:
    """The machines of its fleet.toml.

    Args:
        provider: that all are of, whatever the file says.

    Raises:
        FleetFileMissing, FleetFileError, FleetFileInvalid
        InventoryInvalid
    """
    found = inventory.read(read_source(fleet.toml).text, str(fleet.toml))
    if provider is None:
        return found
    return replace(found, machines=tuple(inventory.of_provider(machine, provider) for machine in found.machines))


@dataclass(frozen=True, slots=True)
class SeedMaker:
    """Attributes:
    seeds: names of nodes that new ones ask; some of the roster's where there are none.
    key: signs vouchers; the operator's own where it is None.
    now: unix time, s.
    """

    fleet: FleetFolder
    seeds: Sequence[str]
    key: Path | None
    good_for_s: int
    now: float

    def make(self, machine: Machine, voucher: Path | None = None) -> Rendered:
        """The seed of one machine.

        Args:
            voucher: a file with the one that it is to have, instead of a new one.

        Raises:
            NodeConfigInvalid: its node.toml would be refused.
            VoucherInvalid, UsageError: the voucher is none, or for another; or there can be none.
            SshKeyInvalid, VoucherUnfit, UserDataTooLarge, TemplateInvalid
            IdentityInvalid, FleetFileMissing, FleetFileError, FleetFileInvalid: of a key that is needed.
        """
        self._check_config(machine)
        keys = [key for name in machine.ssh_keys for key in self._ssh_keys(name)]
        if voucher is not None:
            token = self._read(voucher, machine)
        elif machine.begins:
            return Rendered(machine, render(machine, None, keys), None)
        else:
            token = make_token(
                self.fleet, machine.name, machine.region, machine.address,
                seeds=self.seeds, key=self.key, good_for_s=self.good_for_s, now=self.now,
            )  # fmt: skip
        return Rendered(machine, render(machine, token.text, keys), token.expires)

    def make_all(self, machines: Iterable[Machine]) -> tuple[list[Rendered], dict[str, str]]:
        """The seeds of all that can join now, and of every other the reason why it cannot. Errors: as `make`."""
        roster = self.fleet.signed()
        members = {party.name for party in roster.parties} if roster is not None else set()
        has_nodes = roster is not None and bool(roster.nodes)
        rendered, left_out = [], {}
        for machine in machines:
            if machine.name in members:
                left_out[machine.name] = "it is in the roster already"
            elif not machine.begins and not has_nodes:
                left_out[machine.name] = "the roster has no node yet that it could ask to be let in"
            else:
                rendered.append(self.make(machine))
        return rendered, left_out

    def _check_config(self, machine: Machine) -> None:
        """Say here what the node would say at its first start, where nobody listens."""
        try:
            config_file.parse(node_toml(machine).encode(), Path(paths.CONFIG))
        except NodeConfigInvalid as error:
            raise NodeConfigInvalid(
                f"{self.fleet.toml}: {machine.name} would have a node.toml that is refused:\n{error.message}",
                remedy="Correct it in [provision.node] or the machine's [machine.node]; docs/node.md has all keys.",
            ) from None

    def _ssh_keys(self, name: str) -> tuple[str, ...]:
        path = self.fleet.path / name
        return public_keys(read_file(path, SSH_KEY_FILE_BYTES_MAX), str(path))

    def _read(self, path: Path, machine: Machine) -> Token:
        text = read_file(path, 2 * VOUCHER_BYTES_MAX).decode(errors="replace").strip()
        voucher = open_voucher(parse_token(text)).voucher
        wanted = (machine.fleet, machine.name, machine.region, machine.address)
        if (voucher.fleet, voucher.node, voucher.region, voucher.address) != wanted:
            raise UsageError(
                f"{path} has a voucher for {voucher.node} of {voucher.fleet} in {voucher.region}, {voucher.address}",
                remedy=f"Name one for {machine.name}, or leave --voucher out: a new one is made then.",
            )
        if voucher.expires <= self.now:
            raise UsageError(
                f"the voucher in {path} has expired", remedy="Leave --voucher out: a new one is made then."
            )
        return Token(text, voucher.expires)


def write_seed(folder: Path, seed: Seed) -> None:
    """A folder of the datasource NoCloud, replaced where it is there. The user-data is for its owner only.

    Raises:
        FleetFileError
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if seed.network_config is None:
            (folder / "network-config").unlink(missing_ok=True)
    except OSError as error:
        raise FleetFileError(f"{folder} cannot be made: {error.strerror}") from error
    if seed.network_config is not None:
        write_file(folder / "network-config", seed.network_config.encode(), mode=0o644, replace=True)
    write_file(folder / "meta-data", seed.meta_data.encode(), mode=0o644, replace=True)
    write_file(folder / "user-data", seed.user_data.encode(), mode=0o600, replace=True)
