"""A `spin.toml` on disk -> the application that it describes."""

from __future__ import annotations

from pathlib import Path

from edged.errors import ManifestError, ManifestMissing, UsageError
from edged.limits import MANIFEST_BYTES_MAX
from edged.manifest import v1, v2
from edged.manifest.document import Node, parse_document
from edged.manifest.draft import assemble
from edged.manifest.model import App
from edged.manifest.problems import Invalid, Problem, manifest_error, nearest, shown
from edged.manifest.scopes import parse_scopes, with_scopes

MANIFEST_NAME = "spin.toml"


def load(path: Path, *, profile: str | None = None) -> App:
    """Read a manifest, version 1 or 2, and check everything that it says by itself. Touches no other file.

    Args:
        path: the manifest, or a folder with a `spin.toml`.
        profile: name of the build profile whose values replace the usual ones.

    Raises:
        ManifestMissing: there is none, or it cannot be read.
        ManifestError: it is not a manifest; one line per problem, each `file:line: ...`.
        UsageError: no component has such a profile.
    """
    file = path / MANIFEST_NAME if path.is_dir() else path
    try:
        with file.open("rb") as stream:
            data = stream.read(MANIFEST_BYTES_MAX + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ManifestMissing(f"{file} cannot be read: {reason}") from error
    return parse(data, file, profile=profile)


def parse(data: bytes, file: Path, *, profile: str | None = None) -> App:
    """As `load`, from the bytes of the manifest.

    Args:
        file: where they come from, for messages and as the start of relative paths; need not exist.
    """
    if len(data) > MANIFEST_BYTES_MAX:
        raise ManifestError(f"{file}:1: the manifest is larger than {MANIFEST_BYTES_MAX} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError(f"{file}:{line}: not UTF-8") from None
    try:
        return _app(parse_document(text), file, profile)
    except Invalid as invalid:
        raise manifest_error(str(file), invalid.problems) from None


def _app(root: Node, file: Path, profile: str | None) -> App:
    manifest_path = file.absolute()
    number = _version(root)
    version = v1 if number == 1 else v2
    context = version.make_context(root, manifest_path.parent)
    draft = version.read(root, context)
    scopes = parse_scopes(root) if number == 2 else {}
    triggers, components = assemble(draft, profile)
    triggers = with_scopes(triggers, scopes)
    if profile is not None and profile not in draft.profiles():
        raise UsageError(
            f"no component in {file} has a profile {shown(profile)}{nearest(profile, draft.profiles())}",
            remedy="Name a profile of the manifest, or none.",
        )
    return App(
        manifest_path=manifest_path,
        manifest_version=number,
        variables=draft.variables,
        triggers=triggers,
        components=components,
        profile=profile,
        warnings=tuple(f"{file.name}:{line}: {text}" for line, text in sorted(context.warnings)),
        **draft.details,
    )


def _version(root: Node) -> int:
    assert isinstance(root.value, dict)
    nodes = [root.value[key] for key in v1.VERSION_KEYS if key in root.value]
    if not nodes:
        key = v1.VERSION_KEYS[0]
        raise Invalid(Problem(1, f'the manifest needs `{key}`: 2, or "1" in quotes'))
    if len(nodes) == 1 and nodes[0].value == "1":
        return 1
    if len(nodes) == 1 and nodes[0].value == 2 and nodes[0].name == v1.VERSION_KEYS[0]:
        return 2
    raise nodes[-1].invalid('must be 2, or "1" in quotes, and stand there once')
