"""How a node that was taken out of the roster learns of it.

    removed node                                  a node of the fleet
    link with its certificate   ──────────────>   closed: a stranger's
    link without a certificate  ──────────────>   may only join, or ask this:
    removed {certificate, proof, roster_version}  the key was in the fleet once? then the rosters since that version

Who is not in the roster is let into no link, so no roster could reach it, and it would go on as if it were
cut off. So it may ask without its certificate. It proves that it holds the key, and is given the rosters that it lacks,
the one that removed it among them, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from edged.errors import CallForbidden
from edged.fleet.certificate import Identity, check_certificate, public_key
from edged.fleet.ledger import Ledger
from edged.fleet.record import open_envelope, refusing
from edged.fleet.view import View
from edged.limits import RECORD_BYTES_MAX
from registry import strict
from registry.digest import digest_of
from registry.dsse import pae

_PROOF_TYPE = "application/vnd.edged.removed.v1"


def prove_held(identity: Identity, fleet: str, asked: str) -> bytes:
    """That this is asked by whoever holds the key.

    Args:
        asked: fingerprint of the node that is asked: what it was told is of no use to it elsewhere.
    """
    return identity.key.sign(_proven(identity.certificate, fleet, asked))


def check_known(view: View, ledger: Ledger, certificate: bytes, proof: bytes, asked: str) -> None:
    """Demand that the certificate is, or was, that of a node or key of the fleet, and that its key made the proof.

    Args:
        asked: fingerprint of this node.

    Raises:
        CallForbidden
        IdentityInvalid: it is no certificate.
    """
    check_certificate(certificate)
    key = public_key(certificate)
    fleet = "" if view.roster is None else view.roster.fleet
    if not key.verify(proof, _proven(certificate, fleet, asked)):
        raise CallForbidden("the certificate came without a proof that its key is held")
    is_revoked = view.roster is not None and key.id in view.roster.revoked
    digest = digest_of(certificate)
    was_admitted = any(use.certificate == digest for use in ledger.uses.values())
    if not is_revoked and not was_admitted and view.anchors.find(certificate) is None:
        raise CallForbidden("the fleet has never had this certificate")


def rosters_after(chain: Sequence[bytes], version: int) -> list[bytes]:
    """Those of a roster chain that whoever has that version of the roster has not."""
    return [envelope for envelope in chain if _version_of(envelope) > version]


def _version_of(envelope: bytes) -> int:
    """Of a roster that was accepted: parsing its certificates takes long."""
    with refusing():
        fields = strict.decode(open_envelope(envelope).payload, RECORD_BYTES_MAX)
        return strict.Reader(fields, "roster").integer("version")


def _proven(certificate: bytes, fleet: str, asked: str) -> bytes:
    return pae(_PROOF_TYPE, strict.encode({"certificate": digest_of(certificate), "fleet": fleet, "asked": asked}))
