"""`lock.msgpack`: what packing an app has settled, so that a node looks nothing up and searches nothing.

    {"components": {id: [guest path, ...]}, "profile": name | "", "version": 1}

It says which components there are and which files each may read. Where those are in the release follows from that:

    spin.toml                        the manifest, byte for byte
    lock.msgpack                     this
    components/<id>.wasm             a component that a trigger calls
    files/<id>/<guest path>          a file of that component

The form is `registry.strict`, and guest paths are sorted, so that the same app always has the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edged.errors import BundleInvalid
from edged.limits import LOCK_BYTES_MAX, MOUNT_FILE_COUNT_MAX
from edged.manifest.globs import guest_path
from edged.manifest.load import MANIFEST_NAME
from edged.manifest.names import kebab_problem
from edged.manifest.problems import shown
from registry import strict
from registry.errors import Malformed

MANIFEST_ENTRY = MANIFEST_NAME
LOCK_ENTRY = "lock.msgpack"

_VERSION = 1
_PROFILE_BYTES_MAX = 1_024  # a name
_COMPONENT_COUNT_MAX = 10_000  # of one app; the largest in public use have some tens


@dataclass(frozen=True, slots=True)
class Lock:
    """What a release says of an app besides its manifest.

    Attributes:
        profile: the build profile that was packed; None for the usual one.
        components: id -> absolute guest paths of its files.
    """

    profile: str | None
    components: Mapping[str, tuple[str, ...]]

    def encode(self) -> bytes:
        """The bytes of `lock.msgpack`; the same for equal locks."""
        components = {id_: sorted(paths) for id_, paths in self.components.items()}
        return strict.encode({"version": _VERSION, "profile": self.profile or "", "components": components})


def component_entry(component_id: str) -> str:
    """Where the component itself is in a release."""
    return f"components/{component_id}.wasm"


def file_entry(component_id: str, path: str) -> str:
    """Where a file of a component is.

    Args:
        path: absolute guest path.
    """
    return f"files/{component_id}{path}"


def parse_lock(data: bytes) -> Lock:
    """Read `lock.msgpack`.

    Raises:
        BundleInvalid: not what `Lock.encode` writes, byte for byte.
    """
    try:
        reader = strict.Reader(strict.decode(data, LOCK_BYTES_MAX), LOCK_ENTRY)
        reader.integer("version", _VERSION, _VERSION)
        profile = reader.text("profile", _PROFILE_BYTES_MAX)
        ids = reader.mapping("components", _COMPONENT_COUNT_MAX)
        reader.end()
    except Malformed as error:
        raise BundleInvalid(error.message) from None
    return Lock(profile or None, MappingProxyType({id_: _paths(id_, paths) for id_, paths in ids.items()}))


def _paths(component_id: str, paths: object) -> tuple[str, ...]:
    if kebab_problem(component_id):
        raise _invalid("has a component whose id is not one")
    if not isinstance(paths, list) or not all(isinstance(path, str) and is_guest_path(path) for path in paths):
        raise _invalid(f"has no list of absolute paths for the component {shown(component_id)}")
    if len(paths) > MOUNT_FILE_COUNT_MAX:
        raise _invalid(f"mounts more than {MOUNT_FILE_COUNT_MAX} files for the component {shown(component_id)}")
    if paths != sorted(set(paths)):
        raise _invalid(f"has the files of the component {shown(component_id)} out of order, or twice")
    return tuple(paths)


def is_guest_path(path: str) -> bool:
    """Whether this is an absolute path of a file in its one form: no `..`, no empty name."""
    try:
        return path != "/" and guest_path(path) == path and "\0" not in path
    except ValueError:
        return False


def _invalid(text: str) -> BundleInvalid:
    return BundleInvalid(f"{LOCK_ENTRY} {text}")
