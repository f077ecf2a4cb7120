"""Nodes that came with a voucher after the roster was signed, believed as nodes believe each other."""

from __future__ import annotations

from collections.abc import Iterable

from edged.errors import EdgedError
from edged.fleet.certificate import public_key
from edged.fleet.checks import check_signer, parse
from edged.fleet.record import open_envelope
from edged.fleet.roster import Node, Roster
from edged.fleet.view import View
from edged.fleet.voucher import Admission


def admitted(roster: Roster, envelopes: Iterable[bytes]) -> tuple[Node, ...]:
    """The nodes of these admissions, as far as the roster lets them count. Blocking: verifies signatures.

    One that does not count is left out: it is of a node whose voucher, seed or key the fleet trusts no more.
    """
    view = View({}, roster)
    taken = {node.name for node in roster.nodes} | {key.name for key in roster.keys}
    found = []
    for data in envelopes:
        try:
            candidate = parse(open_envelope(data), data)
            check_signer(view, candidate)
        except EdgedError:
            continue
        admission = candidate.value
        if not isinstance(admission, Admission) or public_key(admission.certificate).id in roster.revoked:
            continue
        node = admission.opened().node(admission.certificate)
        if node.name not in taken:
            taken.add(node.name)
            found.append(node)
    return tuple(found)
