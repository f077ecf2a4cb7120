"""Which release of an app runs in which regions: one signed record per app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from edged.errors import RecordInvalid
from edged.fleet.names import check_app, check_host_name, check_label
from edged.fleet.record import VERSION, Key, Version, refusing, seal
from edged.fleet.wave_order import Waves, read_waves
from edged.limits import (
    DEPLOYMENT_LIMIT_COUNT_MAX,
    DEPLOYMENT_VARIABLES_BYTES_MAX,
    EPOCH_MAX,
    HOST_COUNT_MAX,
    MESSAGE_BYTES_MAX,
    PATH_BYTES_MAX,
    RECORD_BYTES_MAX,
    REGION_COUNT_MAX,
    REMOVAL_COUNT_MAX,
    VARIABLES_MAX,
    WAVE_SOAK_S_MAX,
)
from registry import strict
from registry.digest import Digest, digest_of, parse_digest
from registry.keys import SigningKey

PAYLOAD_TYPE = "application/vnd.edged.deployment.v1+msgpack"

_NAME_BYTES_MAX = 255

_USUAL: dict[str, object] = {"waves": [], "soak_s": 0, "removal_count": 0}
"""Of fields that a record may leave out, and does where they say nothing else."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the fleet should run for one app.

    Attributes:
        fleet: name of the fleet that it is for: a record of one means nothing in another.
        epoch: as the roster says (`Roster.epoch_of`).
        sequence: one more than the record before, from 1 on.
        regions: region -> digest of the release there. Empty: the app is removed.
        hosts: names that it answers for.
        limits: what its requests may use (edged.limits.GuestLimits), where that is not the node's own default.
        variables: values of the app's variables. Secrets: they are in no repr.
        issued: unix time, s. Shown to people; nothing is decided by it.
        previous: digest of the record that it replaces; "" for the first.
        message: why, by whoever published it.
        probe: path that must answer below 500 before a release is served; "" for none.
        waves: the regions in the order in which they get it, each once; empty: all at once. See `edged.fleet.wave`.
        soak_s: how long a wave has to serve it until the next one goes.
        removal_count: of a record that removes the app: how many apps its publisher removes with this one. See
            `edged.fleet.removal`.
    """

    fleet: str
    app: str
    epoch: int
    sequence: int
    regions: Mapping[str, Digest]
    hosts: tuple[str, ...] = ()
    limits: Mapping[str, int | float] = field(default_factory=lambda: MappingProxyType({}))
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    issued: int = 0
    previous: Digest | str = ""
    message: str = ""
    probe: str = ""
    waves: Waves = ()
    soak_s: int = 0
    removal_count: int = 0

    @property
    def key(self) -> Key:
        return Key("deployment", self.app)

    @property
    def version(self) -> Version:
        return Version(self.epoch, self.sequence)

    def encode(self) -> bytes:
        """The payload: the same for equal deployments. Not checked; `seal` does."""
        return strict.encode(
            {
                "v": VERSION,
                "fleet": self.fleet,
                "app": self.app,
                "epoch": self.epoch,
                "sequence": self.sequence,
                "regions": dict(self.regions),
                "hosts": list(self.hosts),
                "limits": dict(self.limits),
                "variables": dict(self.variables),
                "issued": self.issued,
                "previous": self.previous,
                "message": self.message,
                "probe": self.probe,
                # Left out where they are not used: what was signed before there were such fields stays as it is.
                **({"waves": [list(wave) for wave in self.waves], "soak_s": self.soak_s} if self.waves else {}),
                **({"removal_count": self.removal_count} if self.removal_count else {}),
            }
        )

    @property
    def digest(self) -> Digest:
        """Of the payload."""
        return digest_of(self.encode())

    def seal(self, key: SigningKey) -> bytes:
        """The signed record.

        Raises:
            RecordInvalid: it says something that no node would accept.
        """
        with refusing():
            payload = self.encode()
        Deployment.parse(payload)
        return seal(PAYLOAD_TYPE, payload, [key])

    @staticmethod
    def parse(payload: bytes) -> Deployment:
        """The deployment of a payload.

        Raises:
            RecordInvalid
        """
        with refusing():
            fields = strict.decode(payload, RECORD_BYTES_MAX)
            reader = strict.Reader({**_USUAL, **fields} if isinstance(fields, dict) else fields, "deployment")
            reader.integer("v", VERSION, VERSION)
            regions = MappingProxyType(
                {
                    check_label(name, "region"): parse_digest(digest)
                    for name, digest in reader.mapping("regions", REGION_COUNT_MAX).items()
                }
            )
            deployment = Deployment(
                fleet=check_label(reader.line("fleet", _NAME_BYTES_MAX), "fleet"),
                app=check_app(reader.line("app", _NAME_BYTES_MAX)),
                epoch=reader.integer("epoch", 1, EPOCH_MAX),
                sequence=reader.integer("sequence", 1),
                regions=regions,
                hosts=tuple(
                    check_host_name(host, "host") for host in reader.texts("hosts", HOST_COUNT_MAX, _NAME_BYTES_MAX)
                ),
                limits=MappingProxyType(_limits(reader)),
                variables=MappingProxyType(_variables(reader)),
                issued=reader.integer("issued"),
                previous=_previous(reader),
                message=reader.line("message", MESSAGE_BYTES_MAX, bytes_min=0),
                probe=_probe(reader),
                waves=read_waves(reader, regions, whole=True),
                soak_s=reader.integer("soak_s", 0, WAVE_SOAK_S_MAX),
                removal_count=reader.integer("removal_count", 0, REMOVAL_COUNT_MAX),
            )
            reader.end()
            if regions and deployment.removal_count:
                raise RecordInvalid("deployment.removal_count is for a record that removes the app")
            if deployment.encode() != payload:
                raise RecordInvalid("the deployment is not in the one form that its content has")
        return deployment


def _limits(reader: strict.Reader) -> dict[str, int | float]:
    limits = reader.mapping("limits", DEPLOYMENT_LIMIT_COUNT_MAX)
    numbers = strict.Reader(limits, "deployment.limits")
    return {name: numbers.number(name) for name in limits}


def _variables(reader: strict.Reader) -> dict[str, str]:
    variables: dict[str, str] = {}
    bytes_left = DEPLOYMENT_VARIABLES_BYTES_MAX
    for name, value in reader.mapping("variables", VARIABLES_MAX).items():
        if not isinstance(value, str) or not 0 < len(name.encode()) <= _NAME_BYTES_MAX:
            raise RecordInvalid("deployment.variables has a value that is not text, or a name too long or empty")
        bytes_left -= len(name.encode()) + len(value.encode())
        variables[name] = value
    if bytes_left < 0:
        raise RecordInvalid(f"deployment.variables has more than {DEPLOYMENT_VARIABLES_BYTES_MAX} bytes")
    return variables


def _previous(reader: strict.Reader) -> Digest | str:
    text = reader.text("previous", _NAME_BYTES_MAX)
    return parse_digest(text) if text else ""


def _probe(reader: strict.Reader) -> str:
    path = reader.line("probe", PATH_BYTES_MAX, bytes_min=0)
    if path and (not path.startswith("/") or " " in path):
        raise RecordInvalid("deployment.probe is not a path: begin it with /")
    return path
