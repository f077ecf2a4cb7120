"""Templates of variables: `https://{{ api_host }}/users`.

The syntax is Spin's, which has no escapes: `{{` opens an expression, the next `}}` closes it, blanks inside are
ignored, and everything else (also single braces and a lone `}}`) stands for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Name:
    """The name of an application variable inside a template."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template.

    Attributes:
        text: as it stands in the manifest.
        parts: literal text and names, in order.
    """

    text: str
    parts: tuple[str | Name, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The variables it needs, in the order of their first use."""
        return tuple(dict.fromkeys(part.name for part in self.parts if isinstance(part, Name)))

    def render(self, values: Mapping[str, str]) -> str:
        """The text with every name replaced.

        Raises:
            KeyError: a name that `values` does not have; the manifest's own names were checked when it was loaded.
        """
        return "".join(values[part.name] if isinstance(part, Name) else part for part in self.parts)


def parse_template(text: str) -> Template:
    """Parse a template.

    Raises:
        ValueError: with the reason, as a clause that follows the template's name.
    """
    parts: list[str | Name] = []
    rest = text
    while rest:
        literal, opening, rest = rest.partition("{{")
        if literal:
            parts.append(literal)
        if opening:
            name, closing, rest = rest.partition("}}")
            if not closing:
                raise ValueError("has a `{{` without its `}}`")
            parts.append(Name(name.strip()))
    return Template(text, tuple(parts))
