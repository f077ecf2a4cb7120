"""What publishers have sent and no release names yet: leased, so that it stays, and counted, so that it ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from edged.errors import UploadRefused
from edged.limits import UPLOAD_BYTES_MAX, UPLOAD_CHUNK_COUNT_MAX, UPLOAD_LEASE_S, UPLOAD_LEASES_PER_KEY_MAX
from registry.blob import Chunk
from registry.digest import Digest


@dataclass(slots=True)
class _Upload:
    ends_at: float
    announced: set[Digest] = field(default_factory=set)
    sent: dict[Digest, int] = field(default_factory=dict)
    sent_bytes: int = 0


class Uploads:
    """The uploads of all keys. Times are wall clock (s), as those of the chunk store's leases."""

    def __init__(self) -> None:
        self._by_key: dict[str, dict[str, _Upload]] = {}

    def announce(self, key: str, lease: str, digests: Iterable[Digest], now: float) -> tuple[str, set[Digest], float]:
        """A publisher is about to send chunks under a lease; returns the store's lease: name, digests and end.

        Args:
            key: fingerprint of the publisher.
            lease: its name for the upload; the same one again adds to it.

        Raises:
            UploadRefused: the key has as many uploads open as it may, or this one too many chunks.
        """
        uploads = self._open(key, now)
        if lease not in uploads and len(uploads) >= UPLOAD_LEASES_PER_KEY_MAX:
            raise UploadRefused(f"the key has {UPLOAD_LEASES_PER_KEY_MAX} uploads open")
        upload = uploads.get(lease) or _Upload(0.0)
        announced = upload.announced.union(digests)
        if len(announced) > UPLOAD_CHUNK_COUNT_MAX:
            raise UploadRefused(f"an upload of more than {UPLOAD_CHUNK_COUNT_MAX} chunks")
        upload.announced = announced
        upload.ends_at = now + UPLOAD_LEASE_S
        uploads[lease] = upload
        return f"upload {key} {lease}", announced, upload.ends_at

    def admit(self, key: str, chunk: Chunk, now: float) -> None:
        """Count a chunk that comes.

        Raises:
            UploadRefused: it was not announced, or the key has too many bytes without a release.
        """
        uploads = self._open(key, now)
        upload = next((upload for upload in uploads.values() if chunk.digest in upload.announced), None)
        if upload is None:
            raise UploadRefused("a chunk that was not announced", remedy="Ask `missing` with a lease first.")
        if chunk.digest in upload.sent:
            return
        sent = sum(upload.sent_bytes for upload in uploads.values())
        if sent + chunk.size > UPLOAD_BYTES_MAX:
            raise UploadRefused(f"the key has sent {sent} bytes that no release names, of at most {UPLOAD_BYTES_MAX}")
        upload.sent[chunk.digest] = chunk.size
        upload.sent_bytes += chunk.size

    def released(self, key: str, chunks: Iterable[Chunk], now: float) -> None:
        """A release of that key is stored: its chunks count no more, nor do uploads that have no others."""
        digests = {chunk.digest for chunk in chunks}
        uploads = self._open(key, now)
        for lease, upload in list(uploads.items()):
            upload.sent = {digest: size for digest, size in upload.sent.items() if digest not in digests}
            upload.sent_bytes = sum(upload.sent.values())
            if not upload.sent and upload.announced <= digests:
                del uploads[lease]

    def _open(self, key: str, now: float) -> dict[str, _Upload]:
        """Those of the key that have not ended. A key is one of the roster's, so there are not many."""
        uploads = self._by_key.setdefault(key, {})
        for lease in [lease for lease, upload in uploads.items() if upload.ends_at <= now]:
            del uploads[lease]
        return uploads
