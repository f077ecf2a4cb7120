"""A voucher made with the operator's key, as text: for `edged fleet voucher` and `edged provision render`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edged.errors import IdentityInvalid
from edged.fleet.certificate import load_identity
from edged.fleet.folder import FleetFolder
from edged.fleet.voucher import token_of


@dataclass(frozen=True, slots=True)
class Token:
    """Attributes:
    expires: unix time, s.
    """

    text: str = field(repr=False)
    expires: int


def make_token(
    folder: FleetFolder,
    node: str,
    region: str,
    address: str,
    *,
    seeds: Sequence[str],
    key: Path | None,
    good_for_s: int,
    now: float,
) -> Token:
    """A voucher for a new node.

    Args:
        seeds: names of nodes that it may ask; some of the roster's where none are named.
        key: signs it; the operator's own where none is named.

    Raises:
        FleetFileMissing, FleetFileError, IdentityInvalid: no key, or one that nodes would not believe.
        UsageError: as `FleetFolder.voucher`.
    """
    path = key or folder.path / "operator.key"
    identity = load_identity(path, path.with_suffix(".crt"))
    _check_may_admit(folder, identity.certificate, region)
    expires = now + good_for_s
    return Token(
        token_of(folder.voucher(node, region, address, seeds, identity.key, expires=expires, now=now)), int(expires)
    )


def _check_may_admit(folder: FleetFolder, certificate: bytes, region: str) -> None:
    """Say here what every node would say later."""
    roster = folder.signed()
    held = [key for key in roster.keys if key.certificate == certificate] if roster is not None else []
    if not held:
        raise IdentityInvalid(
            "the key is not in the signed roster", remedy="Name another with --key, or add and sign it."
        )
    if "admit" not in held[0].roles or (held[0].regions and region not in held[0].regions):
        raise IdentityInvalid(
            f"the key {held[0].name!r} may not let nodes into {region!r}",
            remedy="Name one with the role admit, for that region.",
        )
