"""The deployment record of an app: read, made from the one before, published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edged.errors import AppUnknown, PushConflict, RecordConflict, RecordForbidden, RecordStale, RemoteError
from edged.fleet.deployment import Deployment
from edged.limits import SEQUENCE_JUMP_MAX
from edged.publish.author import Author, Signed
from edged.publish.pace import ALL_AT_ONCE, IN_WAVES, Pace
from edged.publish.upload import Call
from edged.status.answer import Answer
from registry.digest import Digest

_CONFLICTS = frozenset({RecordStale.code, RecordConflict.code})


@dataclass(frozen=True, slots=True)
class Head:
    """The newest deployment of an app that the fleet has, or that it has none.

    Attributes:
        signed: None if there never was one.
    """

    app: str
    signed: Signed | None

    @property
    def sequence(self) -> int:
        """0 if there never was one."""
        return 0 if self.signed is None else self.signed.deployment.sequence

    @property
    def is_doubtful(self) -> bool:
        """No key that may sign for the app today has signed it: only its sequence is believed, and nothing repeated."""
        return self.signed is not None and not self.signed.signed_by

    @property
    def live(self) -> Deployment | None:
        """The deployment, unless it is doubtful, or the app was removed or never there."""
        if self.signed is None or self.is_doubtful or not self.signed.deployment.regions:
            return None
        return self.signed.deployment

    def known(self) -> Deployment:
        """The deployment.

        Raises:
            AppUnknown: the app was removed or never there.
            RecordForbidden: the deployment is doubtful.
        """
        if self.is_doubtful:
            raise RecordForbidden(
                f"sequence {self.sequence} of {self.app} was signed by a key that may not sign it today",
                remedy="Push the app again, with all its options and variables.",
            )
        if self.live is None:
            raise AppUnknown(f"the fleet has no app `{self.app}`")
        return self.live


@dataclass(frozen=True, slots=True)
class Wish:
    """What a publisher wants of an app. None: as it was, or as usual if it was not there.

    Attributes:
        regions: that run it; None for those that run it now, or all of the fleet.
        variables: set these, besides those that are set. They may be secrets and stay out of the repr.
        pace: in which waves.
    """

    release: Digest
    message: str = ""
    hosts: tuple[str, ...] | None = None
    regions: tuple[str, ...] | None = None
    limits: Mapping[str, float | int] | None = None
    probe: str = ""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    pace: Pace = IN_WAVES


async def read_head(call: Call, author: Author, app: str) -> Head:
    """The newest deployment of an app, checked.

    Raises:
        EdgedError: as `call` and `Author.read_deployment`.
    """
    envelope = Answer(await call("head", app=app), "head").maybe("envelope", bytes)
    return Head(app, None if envelope is None else author.read_deployment(envelope))


def wished(author: Author, head: Head, wish: Wish, fleet_regions: Sequence[str], issued: int) -> Deployment:
    """The deployment that does what is wished.

    Args:
        fleet_regions: all that there are.
        issued: unix time, s.
    """
    before = head.live
    regions = wish.regions
    if regions is None:
        regions = tuple(fleet_regions) if before is None else tuple(sorted(before.regions))
    hosts, limits = wish.hosts, wish.limits
    if hosts is None:
        hosts = () if before is None else tuple(before.hosts)
    if limits is None:
        limits = {} if before is None else before.limits
    return _after(
        author,
        head,
        issued,
        regions=dict.fromkeys(regions, wish.release),
        hosts=hosts,
        limits=dict(limits),
        variables={**({} if before is None else before.variables), **wish.variables},
        probe=wish.probe,
        message=wish.message,
        pace=wish.pace,
    )


def again(
    author: Author,
    head: Head,
    old: Deployment,
    issued: int,
    message: str,
    *,
    variables: Mapping[str, str] | None = None,
    pace: Pace = ALL_AT_ONCE,
) -> Deployment:
    """An earlier deployment, as the newest one.

    Args:
        variables: in place of those that it had.
        pace: what goes back does not wait; what is another with it does.
    """
    return _after(
        author,
        head,
        issued,
        regions=dict(old.regions),
        hosts=tuple(old.hosts),
        limits=dict(old.limits),
        variables=dict(old.variables if variables is None else variables),
        probe=old.probe,
        message=message,
        pace=pace,
    )


def removed(author: Author, head: Head, issued: int, message: str, count: int = 1) -> Deployment:
    """The app in no region. Its history stays, its variables do not.

    Args:
        count: of the apps that are removed together; all of them with the same `issued`.
    """
    deployment = _after(author, head, issued, regions={}, hosts=(), limits={}, variables={}, probe="", message=message)
    return replace(deployment, removal_count=count)


async def publish(call: Call, author: Author, deployment: Deployment, head: Head) -> None:
    """Give the fleet a deployment that was made after `head`.

    Raises:
        PushConflict: there is another one by now; or the node lacks what `head` has, so that nobody can tell.
        EdgedError: as `call`: the node refuses it.
    """
    # A record with the same sequence as somebody else's would be an alarm on every node, so it is looked first.
    now = await read_head(call, author, deployment.app)
    if now.signed is not None and now.signed.deployment == deployment:
        return  # an earlier try arrived after all
    if now.sequence != head.sequence:
        raise _conflict(head, now)
    try:
        await call("put_record", envelope=author.sign_deployment(deployment))
    except RemoteError as error:
        if error.code in _CONFLICTS:
            raise PushConflict(f"somebody changed {deployment.app} in the same moment: {error.message}") from None
        raise


def _conflict(head: Head, now: Head) -> PushConflict:
    app, before = head.app, head.signed
    if before is not None and (now.signed is None or now.signed.deployment.version < before.deployment.version):
        return PushConflict(
            f"sequence {head.sequence} of {app} was there, and the node that is asked now has {now.sequence}",
            remedy="Do it again in a moment: nodes learn from each other within seconds.",
        )
    assert now.signed is not None
    return PushConflict(
        f"{now.signed.signed_by or 'somebody'} changed {app} meanwhile: sequence {now.sequence} is there"
    )


def _after(
    author: Author,
    head: Head,
    issued: int,
    *,
    regions: Mapping[str, Digest],
    hosts: tuple[str, ...],
    limits: Mapping[str, float | int],
    variables: Mapping[str, str],
    probe: str,
    message: str,
    pace: Pace = ALL_AT_ONCE,
) -> Deployment:
    before = None if head.signed is None else head.signed.deployment
    waves, soak_s = pace.waves(author, before, tuple(regions))
    return Deployment(
        fleet=author.fleet,
        app=head.app,
        epoch=author.epoch_of(head.app),
        sequence=_sequence_after(author, head),
        regions=regions,
        hosts=hosts,
        limits=limits,
        variables=variables,
        issued=issued,
        previous="" if head.signed is None else head.signed.digest,
        message=message,
        probe=probe,
        waves=waves,
        soak_s=soak_s,
    )


def _sequence_after(author: Author, head: Head) -> int:
    """The next number, also across epochs, as nodes and people compare sequences of one app alone. But not below the
    roster's floor; and where a stolen key ran far ahead before root began a new epoch, it begins anew, too."""
    floor = author.floor_of(head.app)
    sequence = max(head.sequence + 1, floor)
    is_new_epoch = head.signed is not None and head.signed.deployment.epoch != author.epoch_of(head.app)
    return max(floor, 1) if is_new_epoch and sequence - floor > SEQUENCE_JUMP_MAX else sequence
