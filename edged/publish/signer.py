"""This user in one fleet: the key that signs, and the roster that says who else may."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

from edged.errors import RecordForbidden, RecordInvalid
from edged.fleet.certificate import Identity, public_key
from edged.fleet.deployment import PAYLOAD_TYPE as DEPLOYMENT_TYPE
from edged.fleet.deployment import Deployment
from edged.fleet.peer import Anchors
from edged.fleet.record import check_signed, open_envelope
from edged.fleet.roster import PAYLOAD_TYPE as ROSTER_TYPE
from edged.fleet.roster import Node, Roster
from edged.fleet.wave_order import Waves, waves_for
from edged.limits import WAVE_SOAK_S
from edged.publish.author import Signed
from registry.dsse import Envelope, sign
from registry.errors import RegistryError
from registry.keyring import Keyring, TrustedKey
from registry.release import RELEASE_TYPE


class Signer:
    """Signs as one identity, and believes what a roster lets it believe.

    Attributes:
        roster: replaced by `renew`.
        admitted: nodes that came with a voucher, besides those of the roster.
    """

    def __init__(self, identity: Identity, roster: Roster) -> None:
        self.identity = identity
        self.roster = roster
        self.admitted: tuple[Node, ...] = ()
        self._keyring = keyring_of(roster)

    @property
    def fleet(self) -> str:
        return self.roster.fleet

    @property
    def anchors(self) -> Anchors:
        """Whom we talk to."""
        return Anchors.of_nodes((node.name, node.certificate) for node in (*self.roster.nodes, *self.admitted))

    def epoch_of(self, app: str) -> int:
        return self.roster.epoch_of(app)

    def floor_of(self, app: str) -> int:
        floor = self.roster.floors.get(app)
        return 0 if floor is None or floor.epoch != self.epoch_of(app) else floor.sequence

    def pace(self, regions: Collection[str]) -> tuple[Waves, int]:
        known = [region.name for region in self.roster.regions]
        soak_s = self.roster.soak_s
        return waves_for(known, regions, self.roster.waves), WAVE_SOAK_S if soak_s is None else soak_s

    def may_deploy(self, app: str) -> bool:
        """Whether the roster lets this key deploy an app somewhere."""
        own = (key for key in self.roster.keys if key.certificate == self.identity.certificate)
        return any("deploy" in key.roles and any(fnmatchcase(app, glob) for glob in key.apps) for key in own)

    def sign_release(self, payload: bytes) -> bytes:
        return sign(RELEASE_TYPE, payload, self.identity.key).encode()

    def countersign_release(self, envelope: bytes) -> bytes:
        return Envelope.parse(envelope).signed_by(self.identity.key).encode()

    def verify_release(self, envelope: bytes, app: str) -> None:
        self._keyring.verify(Envelope.parse(envelope), RELEASE_TYPE, "deploy", app)

    def sign_deployment(self, deployment: Deployment) -> bytes:
        return deployment.seal(self.identity.key)

    def read_deployment(self, envelope: bytes) -> Signed:
        """A deployment as a node tells it.

        Raises:
            RecordInvalid: it is none, or one of another fleet.
        """
        opened = open_envelope(envelope)
        deployment = Deployment.parse(opened.payload)
        if deployment.fleet != self.fleet:
            raise RecordInvalid("the node answered with a deployment of another fleet")
        try:
            key = self._keyring.verify(
                opened, DEPLOYMENT_TYPE, "deploy", app=deployment.app, regions=tuple(deployment.regions)
            )
        except RegistryError:
            return Signed(deployment, deployment.digest, "")
        return Signed(deployment, deployment.digest, key.name)

    def renew(self, envelope: bytes) -> bool:
        """Take a newer roster from a node, if the root keys of the one that is here have signed it.

        Returns:
            Whether it is newer.

        Raises:
            RecordInvalid, RecordForbidden: it is none, or not signed by them.
        """
        opened = open_envelope(envelope)
        if opened.payload_type != ROSTER_TYPE:
            raise RecordInvalid("the node answered with something else than a roster")
        roster = Roster.parse(opened.payload)
        if roster.fleet != self.fleet or roster.record_version <= self.roster.record_version:
            return False
        check_signed(opened, self.roster.root_publics(), self.roster.threshold, "the fleet's new roster")
        check_signed(opened, roster.root_publics(), roster.threshold, "the fleet's new roster")
        self.roster, self._keyring = roster, keyring_of(roster)
        return True


def keyring_of(roster: Roster) -> Keyring:
    """The keys of a roster, and what they may sign.

    Raises:
        RecordForbidden: a key that cannot be one.
    """
    try:
        return Keyring(
            [
                TrustedKey(public_key(key.certificate), key.name, key.roles, key.apps, key.regions)
                for key in roster.keys
            ],
            roster.revoked,
        )
    except RegistryError as error:
        raise RecordForbidden(f"the roster has a key that cannot be used: {error.message}") from None
