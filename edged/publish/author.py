"""Who signs what a fleet is told, and who checks what it answers. The real one is `edged.publish.signer.Signer`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edged.fleet.deployment import Deployment


@dataclass(frozen=True, slots=True)
class Signed:
    """A deployment that came from the fleet, checked.

    Attributes:
        digest: of the record's payload: the next one names it as `previous`.
        signed_by: name of the key.
    """

    deployment: Deployment
    digest: str
    signed_by: str


class Author(Protocol):
    """This user, in one fleet."""

    @property
    def fleet(self) -> str:
        """Name of the fleet."""

    @property
    def epoch(self) -> int:
        """Of the fleet's roster; a deployment carries it."""

    def sign_release(self, payload: bytes) -> bytes:
        """The envelope of a release."""

    def sign_deployment(self, deployment: Deployment) -> bytes:
        """The envelope of a deployment. The same deployment gives the same bytes."""

    def read_deployment(self, envelope: bytes) -> Signed:
        """What an envelope says.

        Raises:
            EdgedError: nobody who may signed it, or it is no deployment of this fleet.
        """
