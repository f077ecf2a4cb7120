"""A runtime config on disk -> what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edged.errors import RuntimeConfigError, RuntimeConfigMissing, RuntimeConfigUnsupported
from edged.limits import RUNTIME_CONFIG_BYTES_MAX
from edged.manifest.document import Node, parse_document
from edged.manifest.fields import record
from edged.manifest.problems import Invalid, Problem, as_text
from edged.runtime_config.grammar import Context, document
from edged.runtime_config.model import RuntimeConfig

_MODEL_NAMES = {"key_value_store": "key_value_stores", "sqlite_database": "sqlite_databases"}


def load(path: Path) -> RuntimeConfig:
    """Read a runtime config and check everything that it says by itself. Touches no other file. Blocks.

    Raises:
        RuntimeConfigMissing: there is none, or it cannot be read.
        RuntimeConfigError: it is none; one line per problem, each `file:line: ...`. No value is in it.
        RuntimeConfigUnsupported: it asks for what Spin has and edged does not.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(RUNTIME_CONFIG_BYTES_MAX + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RuntimeConfigMissing(f"{path} cannot be read: {reason}") from error
    return parse(data, path)


def parse(data: bytes, file: Path) -> RuntimeConfig:
    """As `load`, from the bytes of the file.

    Args:
        file: where they come from, for messages; its folder is the start of relative paths.
    """
    if len(data) > RUNTIME_CONFIG_BYTES_MAX:
        raise RuntimeConfigError(f"{file}:1: a runtime config has at most {RUNTIME_CONFIG_BYTES_MAX} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RuntimeConfigError(f"{file}:{line}: not UTF-8") from None
    context = Context(file.absolute().parent)
    try:
        root = parse_document(text)
        values = record(document(context))(root)
        _check(root, values)
    except Invalid as invalid:
        raise RuntimeConfigError(as_text(str(file), invalid.problems)) from None
    if context.unsupported:
        raise RuntimeConfigUnsupported(as_text(str(file), context.unsupported))
    providers = values.pop("config_provider", ()) or values.pop("variables_provider", ())
    return RuntimeConfig(
        **{_MODEL_NAMES.get(name, name): value for name, value in values.items()}, variables_providers=providers
    )


def _check(root: Node, values: dict[str, Any]) -> None:
    """What no single key says."""
    assert isinstance(root.value, dict)
    if "variables_provider" in values and "config_provider" in values:
        raise root.value["config_provider"].invalid("is the old name of `variables_provider`, which is there as well")
    problems = [
        Problem(node.line, f"{node.label} needs `client_cert_file` and `client_private_key_file`, or neither")
        for node, entry in zip(_items(root, "client_tls"), values.get("client_tls", ()), strict=True)
        if (entry.client_cert_file is None) != (entry.client_private_key_file is None)
    ]
    if problems:
        raise Invalid(*problems)


def _items(root: Node, key: str) -> list[Node]:
    assert isinstance(root.value, dict)
    node = root.value.get(key)
    return node.value if node is not None and isinstance(node.value, list) else []
