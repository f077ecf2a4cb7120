"""What clients were answered: what failed, and why; and whether anybody got an older release than before. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.lab.client import Answer, Failure

UNEXPLAINED = "nothing that was done to the node"


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which requests to a node may fail, and why.

    Attributes:
        from_s, until_s: on the monotonic clock.
    """

    node: str
    why: str
    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A request that failed.

    Attributes:
        begun: s, on the monotonic clock.
        why: of the window that it falls into; UNEXPLAINED for none.
    """

    node: str
    begun: float
    took_s: float
    kind: Failure
    why: str


def failed(answers: Mapping[str, Sequence[Answer]], windows: Sequence[Window]) -> list[Failed]:
    """Those that failed, by node and time.

    Args:
        answers: of each node's client.
    """
    return [
        Failed(node, answer.begun, answer.took_s, answer.failure, _why(node, answer, windows))
        for node, its in answers.items()
        for answer in its
        if answer.failure
    ]


def counted(found: Sequence[Failed]) -> dict[str, dict[str, int]]:
    """Why -> how -> count."""
    whys: dict[str, Counter[str]] = {}
    for each in found:
        whys.setdefault(each.why, Counter())[each.kind] += 1
    return {why: dict(sorted(kinds.items())) for why, kinds in sorted(whys.items())}


def went_back(answers: Sequence[Answer], sequences: Mapping[str, int]) -> Iterator[tuple[Answer, Answer]]:
    """Pairs of answers of which the later begun has an older release, although the earlier had ended by then.

    Args:
        answers: of one node, in the order in which they began.
        sequences: of the deployment with which a body came; bodies that are not here are not looked at.
    """
    ended = sorted((each for each in answers if each.body in sequences), key=lambda each: each.ended)
    newest: Answer | None = None
    position = 0
    for answer in answers:
        if answer.body not in sequences:
            continue
        while position < len(ended) and ended[position].ended < answer.begun:
            if newest is None or sequences[ended[position].body] > sequences[newest.body]:
                newest = ended[position]
            position += 1
        if newest is not None and sequences[answer.body] < sequences[newest.body]:
            yield newest, answer


def _why(node: str, answer: Answer, windows: Sequence[Window]) -> str:
    """Of several windows the one that began last: it is what changed."""
    around = [
        each for each in windows if each.node == node and each.from_s <= answer.ended and answer.begun <= each.until_s
    ]
    return max(around, key=lambda each: each.from_s).why if around else UNEXPLAINED
