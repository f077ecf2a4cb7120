"""What a node must not forget besides records: which key used which voucher, who tried one with another key, and when
keys last signed what others have replaced since. One small file.

An admission is forgotten when the roster has the node, or bears the admission out no more. Its voucher stays good until
it expires: without this, whoever stole it could come in under the name of a node that was removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from edged.errors import EdgedError
from edged.fleet.record import VERSION, refusing
from edged.limits import (
    LEDGER_ALARM_COUNT_MAX,
    LEDGER_BYTES_MAX,
    LEDGER_SIGNER_COUNT_MAX,
    LEDGER_VOUCHER_COUNT_MAX,
    VOUCHER_S_MAX,
)
from registry import strict
from registry.digest import Digest, digest_of, parse_digest

_TEXT_BYTES_MAX = 4096
_DIGEST_BYTES_MAX = 71


@dataclass(frozen=True, slots=True)
class Use:
    """A voucher that let somebody in.

    Attributes:
        certificate: digest of the one that came with it.
        expires: of the voucher, unix time, s.
    """

    certificate: Digest
    expires: int


@dataclass(frozen=True, slots=True)
class Misuse:
    """A voucher that came again with another key: an alarm, until the operator signs another roster.

    Attributes:
        subject: the record that it is about, as in alarms.
        since: unix time, s.
    """

    subject: str
    message: str
    since: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """Never changes: each entry makes a new one.

    Attributes:
        uses: by digest of the voucher's payload.
        signers: by key id, when the last deployment of that key was accepted here that is not the newest of its app.
            Unix time, s.
    """

    uses: Mapping[Digest, Use] = field(default_factory=lambda: MappingProxyType({}))
    misuses: tuple[Misuse, ...] = ()
    signers: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def allows(self, voucher: Digest, certificate: bytes) -> bool:
        """Whether the voucher is unused, or was used with this certificate."""
        use = self.uses.get(voucher)
        return use is None or use.certificate == digest_of(certificate)

    def used(self, voucher: Digest, certificate: bytes, expires: int, now: float) -> Ledger:
        """With one more, unless it is known. Those that expired long ago go, and where there are too many, the one that
        expires first."""
        if voucher in self.uses:
            return self
        uses = {each: use for each, use in self.uses.items() if use.expires + VOUCHER_S_MAX >= now}
        if len(uses) >= LEDGER_VOUCHER_COUNT_MAX:
            del uses[min(uses, key=lambda each: uses[each].expires)]
        return replace(self, uses=MappingProxyType({**uses, voucher: Use(digest_of(certificate), expires)}))

    def misused(self, subject: str, error: EdgedError, now: float) -> Ledger:
        """With one more, unless there is one about that subject; the first ones stay."""
        if any(each.subject == subject for each in self.misuses) or len(self.misuses) >= LEDGER_ALARM_COUNT_MAX:
            return self
        return replace(self, misuses=(*self.misuses, Misuse(subject, error.message, int(now))))

    def replaced(self, signer: str, accepted_at: int) -> Ledger:
        """With a deployment of that key, accepted then, that another key's has replaced."""
        if self.signers.get(signer, -1) >= accepted_at:
            return self
        signers = {**self.signers, signer: accepted_at}
        if len(signers) > LEDGER_SIGNER_COUNT_MAX:
            del signers[min(signers, key=lambda each: signers[each])]
        return replace(self, signers=MappingProxyType(signers))

    def settled(self) -> Ledger:
        """Without misuses."""
        return replace(self, misuses=()) if self.misuses else self

    def encode(self) -> bytes:
        """As it stands in the file."""
        return strict.encode(
            {
                "v": VERSION,
                "uses": {voucher: [use.certificate, use.expires] for voucher, use in self.uses.items()},
                "misuses": [
                    {"subject": each.subject, "message": each.message, "since": each.since} for each in self.misuses
                ],
                "signers": dict(self.signers),
            }
        )

    @staticmethod
    def parse(data: bytes) -> Ledger:
        """The reverse of `encode`.

        Raises:
            RecordInvalid
        """
        with refusing():
            reader = strict.Reader(strict.decode(data, LEDGER_BYTES_MAX), "ledger")
            reader.integer("v", VERSION, VERSION)
            uses = reader.mapping("uses", LEDGER_VOUCHER_COUNT_MAX)
            misuses = tuple(map(_misuse, reader.readers("misuses", LEDGER_ALARM_COUNT_MAX)))
            signers = reader.mapping("signers", LEDGER_SIGNER_COUNT_MAX)
            times = strict.Reader(signers, "ledger.signers")
            reader.end()
            return Ledger(
                MappingProxyType({parse_digest(each): _use(use) for each, use in uses.items()}),
                misuses,
                MappingProxyType({each: times.integer(each) for each in signers}),
            )


def _use(value: object) -> Use:
    pair = value if isinstance(value, list) and len(value) == 2 else [None, None]
    reader = strict.Reader(dict(zip(("certificate", "expires"), pair, strict=True)), "ledger.uses")
    return Use(parse_digest(reader.text("certificate", _DIGEST_BYTES_MAX)), reader.integer("expires"))


def _misuse(reader: strict.Reader) -> Misuse:
    misuse = Misuse(
        reader.text("subject", _TEXT_BYTES_MAX), reader.text("message", _TEXT_BYTES_MAX), reader.integer("since")
    )
    reader.end()
    return misuse
