"""Releases of simulated apps: a few small files, one of which says how workers fare with it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

from registry.blob import Blob, Chunk, split
from registry.digest import Digest, digest_of
from registry.frame import encode_frame
from registry.release import Entry, Release
from tests.simulator.workers import BEHAVIOUR

_ASSET_BYTES = (1, 3_000)


@dataclass(frozen=True)
class Made:
    """A release that a publisher has on its machine. `edged.publish.upload.Frames` of its chunks.

    Attributes:
        plain: bytes of its chunks.
    """

    release: Release
    plain: Mapping[Digest, bytes]

    @property
    def digest(self) -> Digest:
        return digest_of(self.release.encode())

    def get_frame(self, chunk: Chunk) -> bytes:
        """As it goes over the wire."""
        return encode_frame(self.plain[chunk.digest])


def make_release(app: str, version: int, behaviour: str, rng: random.Random) -> Made:
    """A release with something new, and something that its app always has.

    Args:
        behaviour: of BEHAVIOURS.
    """
    files = {
        BEHAVIOUR: behaviour.encode(),
        "app.wasm": f"{app} {version} ".encode() + rng.randbytes(rng.randint(*_ASSET_BYTES)),
        "static/logo": f"the logo of {app}".encode() * 50,
    }
    plain: dict[Digest, bytes] = {}
    entries = []
    for path, data in sorted(files.items()):
        chunks = []
        for chunk, piece in split(BytesIO(data)):
            plain[chunk.digest] = piece
            chunks.append(chunk)
        entries.append(Entry(path, Blob(digest_of(data), len(data), tuple(chunks))))
    return Made(Release(app, str(version), tuple(entries), {}), plain)
