"""What the parsers of one manifest share: names that it declares, its folder, and where warnings go."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edged.manifest.document import Node
from edged.manifest.problems import Problem, nearest, shown
from edged.manifest.template import Template, parse_template


@dataclass(frozen=True, slots=True)
class Context:
    """One manifest while it is parsed.

    Attributes:
        folder: absolute; relative paths start from it.
        variables: names of the application variables.
        components: ids of the components.
        redis_address: of the application, for redis triggers without one of their own.
        warnings: gathered here, in no order.
    """

    folder: Path
    variables: frozenset[str]
    components: frozenset[str]
    redis_address: Template | None = None
    warnings: list[Problem] = field(default_factory=list)

    def warn(self, node: Node, text: str) -> None:
        self.warnings.append(Problem(node.line, f"{node.label} {text}"))

    def template(self, node: Node, text: str) -> Template:
        """Parse a template; every variable in it must be one of the app's."""
        try:
            template = parse_template(text)
        except ValueError as error:
            raise node.invalid(str(error)) from None
        for name in template.names:
            if name not in self.variables:
                raise node.invalid(f"uses the unknown variable {shown(name)}{nearest(name, self.variables)}")
        return template

    def component_id(self, node: Node, text: str) -> str:
        """The id of a component; it must be one of the app's."""
        if text not in self.components:
            raise node.invalid(f"names the unknown component {shown(text)}{nearest(text, self.components)}")
        return text
