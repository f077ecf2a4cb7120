"""The waves of a release as they stand in records: regions in the order in which they get it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from edged.errors import RecordInvalid
from edged.fleet.names import check_label
from edged.limits import REGION_COUNT_MAX
from registry import strict

Waves = tuple[tuple[str, ...], ...]
"""Regions in order, those of one wave together. Empty: all at once."""

_NAME_BYTES_MAX = 255


def read_waves(reader: strict.Reader, regions: Collection[str], *, whole: bool) -> Waves:
    """The field `waves`.

    Args:
        regions: that there are.
        whole: whether each of them has to be in one wave, unless there are none.

    Raises:
        RecordInvalid: a wave without regions, a region twice or one that there is not, or one left out.
    """
    rows = reader.array("waves", REGION_COUNT_MAX)
    table = strict.Reader({str(index): row for index, row in enumerate(rows)}, f"{reader.what}.waves")
    waves = tuple(table.texts(str(index), REGION_COUNT_MAX, _NAME_BYTES_MAX) for index in range(len(rows)))
    if not all(waves):
        raise RecordInvalid(f"{reader.what}.waves has a wave without regions")
    counted = Counter(check_label(name, "region") for wave in waves for name in wave)
    for name, count in counted.items():
        if name not in regions:
            raise RecordInvalid(f"{reader.what}.waves names the region {name!r}, which is not among its regions")
        if count > 1:
            raise RecordInvalid(f"{reader.what}.waves has the region {name!r} twice")
    if whole and waves and len(counted) < len(regions):
        raise RecordInvalid(f"{reader.what}.waves leaves out the region {min(set(regions) - set(counted))!r}")
    return waves


def waves_for(known: Sequence[str], regions: Collection[str], preferred: Waves = ()) -> Waves:
    """The waves in which a release goes to some regions; empty if that is all of them at once.

    Args:
        known: the fleet's regions, in the roster's order.
        regions: that get it.
        preferred: what the roster says. Regions that it leaves out come after it, one by one, and so do all if it
            says nothing.
    """
    named = {name for wave in preferred for name in wave}
    order = [*preferred, *((name,) for name in known if name not in named)]
    waves = tuple(kept for wave in order if (kept := tuple(name for name in wave if name in regions)))
    return waves if len(waves) > 1 else ()
