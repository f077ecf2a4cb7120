"""Image manifests and indexes (image-spec: manifest.md, image-index.md, descriptor.md), and Docker's names for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from registry.digest import Digest, parse_digest
from registry.errors import DigestInvalid, OciInvalid
from registry.limits import OCI_APP_BYTES_MAX, OCI_LAYER_COUNT_MAX, OCI_MANIFEST_BYTES_MAX
from registry.oci.document import Table, parse_json

MANIFEST_TYPES: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEX_TYPES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Names some content.

    Attributes:
        size: in bytes, 0 to OCI_APP_BYTES_MAX.
        name: `org.opencontainers.image.ref.name`, a tag in a layout; or empty.
        architecture: that the image is for, or empty.
    """

    media_type: str
    digest: Digest
    size: int
    name: str = ""
    architecture: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """A choice of images."""

    manifests: tuple[Descriptor, ...]

    def choose(self, name: str | None = None) -> Descriptor:
        """The one image with that name; without one, the only image, or the only one for WebAssembly.

        Raises:
            OciInvalid: none, or several.
        """
        found = [each for each in self.manifests if each.media_type in (*MANIFEST_TYPES, *INDEX_TYPES)]
        if name is not None:
            found = [each for each in found if each.name == name]
        if len(found) > 1:
            found = [each for each in found if each.architecture == "wasm"] or found
        if len(found) != 1:
            names = ", ".join(sorted({each.name for each in self.manifests if each.name.isprintable()} - {""})[:10])
            raise OciInvalid(
                f"{'no' if not found else 'more than one'} image to choose{'' if name is None else f' named {name}'}",
                remedy=f"Name one of: {names}." if names else "Name an image by its digest.",
            )
        return found[0]


def parse_manifest(data: bytes) -> Manifest | Index:
    """Read a manifest or an index, by its `mediaType` or, where there is none, by its keys.

    Raises:
        OciInvalid: it is neither, or larger than may be.
    """
    if len(data) > OCI_MANIFEST_BYTES_MAX:
        raise OciInvalid(f"the manifest has more than {OCI_MANIFEST_BYTES_MAX} bytes")
    table = parse_json(data, "the manifest")
    if table.integer("schemaVersion") != 2:
        raise OciInvalid("the manifest is not of schema version 2")
    media_type = table.text("mediaType", "")
    if media_type in INDEX_TYPES or (not media_type and "manifests" in table.value):
        return _index(table)
    if media_type not in (*MANIFEST_TYPES, ""):
        raise OciInvalid(f"the manifest has the media type {media_type[:80]!r}, which is none of an image")
    layers = tuple(map(_descriptor, table.tables("layers", OCI_LAYER_COUNT_MAX)))
    return Manifest(_descriptor(table.table("config")), layers)


def _index(table: Table) -> Index:
    return Index(tuple(map(_descriptor, table.tables("manifests", OCI_LAYER_COUNT_MAX))))


def _descriptor(table: Table) -> Descriptor:
    size = table.integer("size")
    if not 0 <= size <= OCI_APP_BYTES_MAX:
        raise table.invalid("size", f"is {size}, not 0 to {OCI_APP_BYTES_MAX}")
    annotations = table.table("annotations")
    return Descriptor(
        media_type=table.text("mediaType"),
        digest=digest_in(table, "digest"),
        size=size,
        name=annotations.text("org.opencontainers.image.ref.name", ""),
        architecture=table.table("platform").text("architecture", ""),
    )


def digest_in(table: Table, key: str) -> Digest:
    """The digest below `key`. Only sha256 is taken: it is what registries and Spin write."""
    try:
        return parse_digest(table.text(key))
    except DigestInvalid:
        raise table.invalid(key, "is not a sha256 digest") from None
