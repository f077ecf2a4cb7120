"""A plan as a file of the cache: the skeleton it is made from, and which compiled modules belong to it."""

from __future__ import annotations

from typing import NamedTuple

import msgpack

_VERSION = 1


class PlanArtefact(NamedTuple):
    """
    Attributes:
        skeleton: of the component, validated.
        wiring: `compiled.wiring` of the plan that the modules were rewritten for.
        modules: sha256 (hex) of the rewritten module of each step.
    """

    skeleton: bytes
    wiring: str
    modules: tuple[str, ...]


def write_artefact(artefact: PlanArtefact) -> bytes:
    packed: bytes = msgpack.packb([_VERSION, *artefact])
    return packed


def read_artefact(data: bytes) -> PlanArtefact | None:
    """What `write_artefact` wrote, or None if this is of another version.

    Args:
        data: from this node's own cache, which has verified it.
    """
    try:
        version, skeleton, wiring, modules = msgpack.unpackb(data)
    except (ValueError, TypeError, msgpack.UnpackException):
        return None
    return PlanArtefact(skeleton, wiring, tuple(modules)) if version == _VERSION else None
