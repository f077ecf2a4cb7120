"""What an operator has to look at: somebody who should not signs, or a disk that forgets. Bounded, newest last."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import structlog

from edged.errors import EdgedError
from edged.limits import RECORD_ALARM_COUNT_MAX

_logger = structlog.get_logger("edged.fleet")


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that somebody must look at.

    Attributes:
        code: of the error (docs/errors.md).
        subject: the record that it is about: "deployment shop".
        since: unix time at which it was first seen, s.
        count: how often it was.
        proof: the signed records that show it, as they were the first time.
    """

    code: str
    subject: str
    message: str
    remedy: str
    since: int
    count: int
    proof: tuple[bytes, ...] = field(repr=False)


class Alarms:
    """All that are raised, one for each code and subject. Not thread-safe; what `all` returns never changes."""

    def __init__(self) -> None:
        self._alarms: dict[tuple[str, str], Alarm] = {}
        self.all: tuple[Alarm, ...] = ()

    def raise_(self, error: EdgedError, subject: str, now: float, proof: tuple[bytes, ...] = ()) -> None:
        """Raise it, or count it once more."""
        former = self._alarms.get((error.code, subject))
        if former is not None:
            self._alarms[error.code, subject] = replace(former, count=former.count + 1)
        else:
            _logger.error("alarm.raised", code=error.code, message=error.message, subject=subject)
            if len(self._alarms) >= RECORD_ALARM_COUNT_MAX:
                self._drop_one()
            self._alarms[error.code, subject] = Alarm(
                error.code, subject, error.message, error.remedy, int(now), 1, proof
            )
        self.all = tuple(self._alarms.values())

    def _drop_one(self) -> None:
        """The oldest of the commonest code: who can raise many of one kind hides none of another."""
        ((commonest, _),) = Counter(code for code, _ in self._alarms).most_common(1)
        del self._alarms[next(key for key in self._alarms if key[0] == commonest)]

    def clear_all(self, code: str) -> None:
        """What is said by all with this code is over."""
        for subject in [subject for of, subject in self._alarms if of == code]:
            self.clear(subject, code)

    def clear(self, subject: str, *codes: str) -> None:
        """What these were about is over."""
        for code in codes:
            if self._alarms.pop((code, subject), None) is not None:
                _logger.info("alarm.cleared", code=code, subject=subject)
        self.all = tuple(self._alarms.values())
