"""Who signs what a fleet is told, and who checks what it answers. The real one is `edged.publish.signer.Signer`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from edged.fleet.deployment import Deployment
from edged.fleet.wave_order import Waves
from registry.digest import Digest


@dataclass(frozen=True, slots=True)
class Signed:
    """A deployment that came from the fleet.

    Attributes:
        digest: of the record's payload: the next one names it as `previous`.
        signed_by: name of the key; "" if it was signed by none that may sign it today.
    """

    deployment: Deployment
    digest: Digest
    signed_by: str


class Author(Protocol):
    """This user, in one fleet."""

    @property
    def fleet(self) -> str:
        """Name of the fleet."""

    def epoch_of(self, app: str) -> int:
        """What deployments of an app carry."""

    def floor_of(self, app: str) -> int:
        """The lowest sequence that the roster lets an app have in that epoch; 0 where it says none."""

    def pace(self, regions: Collection[str]) -> tuple[Waves, int]:
        """The waves in which a release goes to these regions, empty for all at once, and how long each takes, s."""

    def sign_release(self, payload: bytes) -> bytes:
        """The envelope of a release."""

    def countersign_release(self, envelope: bytes) -> bytes:
        """The envelope of a release that came from elsewhere, with this user's signature as well."""

    def verify_release(self, envelope: bytes, app: str) -> None:
        """Whether somebody has signed a release who may deploy that app.

        Raises:
            SignatureInvalid, KeyNotAllowed: nobody has.
        """

    def sign_deployment(self, deployment: Deployment) -> bytes:
        """The envelope of a deployment. The same deployment gives the same bytes."""

    def read_deployment(self, envelope: bytes) -> Signed:
        """What an envelope says, and who says so.

        Raises:
            RecordInvalid: it is no deployment of this fleet.
        """
