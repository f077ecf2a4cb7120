"""What a node saw of itself -> `bgp.gate.Evidence`. Pure.

Only what concerns this node alone goes in. Peers, the registry, the control plane, names: if they are gone, nothing of
what is announced changes, since none of them is an argument here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from bgp.gate import Evidence
from bgp.prefix import Address
from edged.anycast.probe import Round
from edged.limits import ANYCAST_LAG_S_MAX


@dataclass(frozen=True, slots=True)
class Facts:
    """Besides the answers of workers.

    Attributes:
        absent: addresses that this machine does not have.
        applied: every app that the fleet places here runs, or failed for good, or was waited for.
        impaired: why requests should rather go elsewhere, a sentence without its end; "" for not.
    """

    absent: Collection[Address] = ()
    applied: bool = True
    impaired: str = ""


def evidence_of(round_: Round, addresses: Collection[Address], facts: Facts) -> Evidence:
    """
    Args:
        addresses: those of one prefix that this node serves; each has to be there and to answer.
    """
    absent = [str(address) for address in addresses if address in facts.absent]
    lagging = round_.lag_s > ANYCAST_LAG_S_MAX
    if absent:
        detail = ", ".join(sorted(absent))
    elif lagging:
        detail = f"{round_.lag_s:.1f} s"
    else:
        detail = round_.detail(addresses)
    return Evidence(
        serving=round_.serving(addresses),
        address_present=not absent,
        lagging=lagging,
        applied=facts.applied,
        impaired=facts.impaired,
        detail=detail,
    )
