"""The locked app: what Spin makes of a manifest before it is pushed, as JSON (`spin_lock_version` 0 and 1).

Keys that we do not know are ignored, as in Spin: what must not be ignored, the app says in `must_understand`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from registry.digest import Digest, digest_of
from registry.errors import OciInvalid, OciUnsupported, PathInvalid
from registry.limits import (
    OCI_COMPONENT_COUNT_MAX,
    OCI_FILE_COUNT_MAX,
    OCI_INLINE_BYTES_MAX,
    OCI_LOCKED_APP_BYTES_MAX,
)
from registry.oci.document import Table, parse_json
from registry.oci.manifest import digest_in
from registry.paths import check_path, check_paths

_VERSION_KEY: Final = "spin_lock_version"
_VERSIONS: Final = (0, 1)
_UNDERSTOOD: Final = frozenset({"host_requirements", "component_host_requirements"})
_PROVIDED: Final = frozenset({"local_service_chaining"})
"""Requirements that edged meets."""


@dataclass(frozen=True, slots=True)
class Content:
    """Some bytes: here, or in a layer or archive with that digest. Exactly one of both."""

    inline: bytes | None = field(default=None, repr=False)
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class LockedFile:
    """A file of a component.

    Attributes:
        path: relative to the guest's root.
    """

    path: str
    content: Content


@dataclass(frozen=True, slots=True)
class LockedComponent:
    """A component.

    Attributes:
        id: the name of a file as well.
        files: sorted by path.
        table: the rest, as Spin wrote it.
    """

    id: str
    source: Content
    files: tuple[LockedFile, ...]
    table: Table = field(repr=False)


@dataclass(frozen=True, slots=True)
class LockedApp:
    """An app. `variables` and `metadata` are as Spin wrote them."""

    name: str
    version: str
    metadata: Table = field(repr=False)
    variables: Table = field(repr=False)
    triggers: tuple[Table, ...] = field(repr=False)
    components: tuple[LockedComponent, ...]

    def digests(self) -> frozenset[Digest]:
        """Of all content that is not in here."""
        contents = (content for component in self.components for content in _contents(component))
        return frozenset(content.digest for content in contents if content.digest is not None)


def is_locked_app(data: bytes) -> bool:
    """Whether these bytes mean to be one."""
    try:
        return len(data) <= OCI_LOCKED_APP_BYTES_MAX and _VERSION_KEY in parse_json(data, "").value
    except OciInvalid:
        return False


def parse_locked_app(data: bytes) -> LockedApp:
    """Read a locked app.

    Raises:
        OciInvalid: it is none; or a path, a digest or a number of things that may not be.
        OciUnsupported: it asks for what edged does not have.
    """
    if len(data) > OCI_LOCKED_APP_BYTES_MAX:
        raise OciInvalid(f"the locked app has more than {OCI_LOCKED_APP_BYTES_MAX} bytes")
    table = parse_json(data, "the locked app")
    if (version := table.integer(_VERSION_KEY)) not in _VERSIONS:
        raise OciUnsupported(f"the locked app has the version {version}; known are 0 and 1")
    for name in table.texts("must_understand", OCI_COMPONENT_COUNT_MAX):
        if name not in _UNDERSTOOD:
            raise OciUnsupported(f"the app must be understood in {name[:80]!r}, which edged does not know")
    _check_requirements(table)
    components = tuple(_components(table))
    if len({component.id for component in components}) != len(components):
        raise OciInvalid("the locked app has a component twice")
    if sum(len(component.files) for component in components) > OCI_FILE_COUNT_MAX:
        raise OciInvalid(f"the locked app has more than {OCI_FILE_COUNT_MAX} files")
    metadata = table.table("metadata")
    return LockedApp(
        name=metadata.text("name"),
        version=metadata.text("version", ""),
        metadata=metadata,
        variables=table.table("variables"),
        triggers=tuple(_triggers(table)),
        components=components,
    )


def _components(table: Table) -> Iterator[LockedComponent]:
    for component in table.tables("components", OCI_COMPONENT_COUNT_MAX):
        id_ = component.text("id")
        for key in ("dependencies", "trigger_dependencies"):
            if component.table(key).value:
                raise OciUnsupported(
                    f"the component {id_[:80]!r} has {key}",
                    remedy="Push the image again without --skip-compose, so that Spin composes them.",
                )
        _check_requirements(component)
        try:
            if "/" in check_path(id_):
                raise PathInvalid("a slash")
        except PathInvalid:
            raise component.invalid("id", "is not the id of a component") from None
        files = sorted(
            (LockedFile(_path(file), _content(file)) for file in component.tables("files", OCI_FILE_COUNT_MAX)),
            key=lambda file: file.path,
        )
        try:
            check_paths(file.path for file in files)
        except PathInvalid as error:
            raise component.invalid("files", f"cannot all be there: {error.message}") from None
        yield LockedComponent(id_, _content(component.table("source")), tuple(files), component)


def _triggers(table: Table) -> Iterator[Table]:
    for trigger in table.tables("triggers", OCI_COMPONENT_COUNT_MAX):
        if trigger.table("trigger_dependencies").value:
            raise OciUnsupported(f"the trigger {trigger.text('id')[:80]!r} has dependencies (middleware)")
        yield trigger


def _check_requirements(table: Table) -> None:
    # Also where the app does not say that they must be understood: Spin itself makes no difference.
    for name, value in table.table("host_requirements").value.items():
        if value != "optional" and name not in _PROVIDED:
            raise OciUnsupported(f"the app requires {name[:80]!r} of its host, which edged does not have")


def _path(file: Table) -> str:
    try:
        # Spin has written absolute paths too.
        return check_path(file.text("path").removeprefix("/"))
    except PathInvalid as error:
        raise file.invalid("path", f"may not be: {error.message}") from None


def _content(table: Table) -> Content:
    if "inline" not in table.value and "digest" not in table.value:
        raise OciInvalid(f"{table.what} has neither digest nor inline content")
    if table.value.get("inline") is None:
        return Content(digest=digest_in(table, "digest"))
    text = table.text("inline")
    if len(text) > OCI_INLINE_BYTES_MAX * 4 // 3 + 4:
        raise table.invalid("inline", f"has more than {OCI_INLINE_BYTES_MAX} bytes")
    try:
        inline = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise table.invalid("inline", "is not base64") from None
    if len(inline) > OCI_INLINE_BYTES_MAX:
        raise table.invalid("inline", f"has more than {OCI_INLINE_BYTES_MAX} bytes")
    if table.value.get("digest") is not None and digest_in(table, "digest") != digest_of(inline):
        raise table.invalid("inline", "has other bytes than its digest says")
    return Content(inline=inline)


def _contents(component: LockedComponent) -> Iterator[Content]:
    yield component.source
    for file in component.files:
        yield file.content
