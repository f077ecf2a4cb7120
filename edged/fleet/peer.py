"""Who is at the other end of a link, and whom we let be there.

A party is whoever holds the key of a certificate that is in the roster (or in an admission). The name by which it is
found is the certificate's fingerprint; what is written in the certificate means nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Literal

Kind = Literal["node", "key", "anyone"]


@dataclass(frozen=True, slots=True)
class Peer:
    """A party, as the roster has it.

    Attributes:
        name: of the node or key; "" for `anyone`.
        kind: a node of the fleet; a publisher's or operator's key; or somebody without a certificate.
        fingerprint: "sha256:" and the hex digest of its DER certificate; "" for `anyone`.
        roles: of a key: deploy, read, admit.
        apps: globs of the apps that a key with the role deploy may change.
        regions: that it may do so in; empty for all. Of a node: its own.
        address: host:port of a node's fleet listener.
    """

    name: str
    kind: Kind
    fingerprint: str
    roles: frozenset[str] = frozenset()
    apps: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    address: str = ""

    def may_change(self, app: str) -> bool:
        """Whether it is a key that may deploy that app."""
        return "deploy" in self.roles and any(fnmatchcase(app, glob) for glob in self.apps)


ANYONE = Peer("", "anyone", "")
"""A client without a certificate: it may only join."""


def fingerprint_of(certificate: bytes) -> str:
    """The fingerprint of a DER certificate."""
    return "sha256:" + hashlib.sha256(certificate).hexdigest()


class Anchors:
    """All certificates that are trusted at one moment, and whose they are. Immutable, and equal by content.

    Args:
        parties: DER certificate and the party that holds its key. A certificate that comes twice counts as what it is
            first.
    """

    __slots__ = ("_parties", "certificates")

    def __init__(self, parties: Iterable[tuple[bytes, Peer]] = ()) -> None:
        found: dict[str, Peer] = {}
        certificates: list[bytes] = []
        for certificate, peer in parties:
            if peer.fingerprint not in found:
                found[peer.fingerprint] = peer
                certificates.append(certificate)
        self._parties: Mapping[str, Peer] = MappingProxyType(found)
        self.certificates: tuple[bytes, ...] = tuple(certificates)

    @classmethod
    def of_nodes(cls, nodes: Iterable[tuple[str, bytes]]) -> Anchors:
        """Of nodes, given by name and DER certificate: what a publisher or a new node trusts."""
        return cls((certificate, Peer(name, "node", fingerprint_of(certificate))) for name, certificate in nodes)

    def find(self, certificate: bytes) -> Peer | None:
        """Whose certificate that is; None for a stranger's."""
        return self._parties.get(fingerprint_of(certificate))

    def by_fingerprint(self, fingerprint: str) -> Peer | None:
        """The party with that fingerprint."""
        return self._parties.get(fingerprint)

    @property
    def nodes(self) -> tuple[Peer, ...]:
        """Those that are nodes."""
        return tuple(peer for peer in self._parties.values() if peer.kind == "node")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Anchors) and self._parties == other._parties

    def __hash__(self) -> int:
        return hash(frozenset(self._parties))
