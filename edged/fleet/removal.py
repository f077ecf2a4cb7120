"""Whether apps that were removed may go: a slip of the hand, or of a script, must not take everything away.

A deployment without regions removes its app. It says how many apps its publisher meant to remove (`removal_count`), and
counts only if that signer has not signed more removals than that within `REMOVAL_WINDOW_S` up to it. What is compared
are times and numbers of signed records, no node's clock, so all nodes with the same records come to the same answer. A
removal that is held stays accepted, its sequence counts; the app is served as before until somebody says more.
"""

from __future__ import annotations

from collections.abc import Iterable

from edged.fleet.deployment import Deployment
from edged.fleet.view import Record
from edged.limits import REMOVAL_WINDOW_S

_APPS_SHOWN_MAX = 5


def removals_held(records: Iterable[Record]) -> dict[str, str]:
    """Of the apps whose newest deployment removes them: those that are not to go -> why."""
    by_signer: dict[bytes, list[Deployment]] = {}
    for record in records:
        if isinstance(record.value, Deployment) and not record.value.regions:
            by_signer.setdefault(record.signer, []).append(record.value)
    return {app: why for removals in by_signer.values() for app, why in _held(removals)}


def _held(removals: list[Deployment]) -> list[tuple[str, str]]:
    """Of one signer."""
    removals.sort(key=lambda removal: (removal.issued, removal.app))
    found = []
    first = end = 0
    for removal in removals:
        while removals[first].issued < removal.issued - REMOVAL_WINDOW_S:
            first += 1
        while end < len(removals) and removals[end].issued <= removal.issued:
            end += 1
        count = end - first
        if count > removal.removal_count:
            shown = [each.app for each in removals[first : min(end, first + _APPS_SHOWN_MAX)]]
            found.append((removal.app, _why(removal, shown, count)))
    return found


def _why(removal: Deployment, shown: list[str], count: int) -> str:
    """
    Args:
        shown: the first of the apps that go together; there may be thousands, each with a sentence of its own.
        count: of all of them.
    """
    if count == 1:
        return f"{removal.app} was removed without a count of the apps that are to go, and is served as before"
    more = count - len(shown)
    named = ", ".join(shown) + (f" and {more} more" if more > 0 else "")
    return (
        f"{removal.app} is served as before: {count} apps ({named}) were removed within {REMOVAL_WINDOW_S:.0f} s,"
        f" and its removal allows {removal.removal_count}"
    )
