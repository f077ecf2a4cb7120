"""What an application says about itself, the same in manifest v1 and v2: its details and its variables."""

from __future__ import annotations

from collections.abc import Mapping

from edged.manifest.document import Node
from edged.manifest.fields import Field, array, boolean, line, mapping, record, string
from edged.manifest.model import Variable
from edged.manifest.names import variable_problem

DETAILS = {
    "name": Field(line, required=True),
    "version": Field(string),
    "description": Field(string),
    "authors": Field(array(string)),
}
"""Keys of `[application]` in v2 and of the root in v1."""


def parse_variables(node: Node) -> Mapping[str, Variable]:
    """The table `variables`: name -> `{description, required, default, secret}`."""
    return mapping(_variable, variable_problem)(node)


_variable_table = record(
    {"description": Field(string), "required": Field(boolean), "default": Field(string), "secret": Field(boolean)}
)


def _variable(node: Node) -> Variable:
    values = _variable_table(node)
    is_required = values.get("required", False)
    if is_required and "default" in values:
        raise node.invalid("cannot both be `required` and have a `default`")
    if not is_required and "default" not in values:
        raise node.invalid("needs `required = true` or a `default`")
    return Variable(name=node.name, line=node.line, **values)
