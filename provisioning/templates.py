"""The files of cloud-init/: read from the package, and their places `@NAME@` filled.

In a checkout they are the folder cloud-init/ at its top; in a package they lie beside this file, as templates/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from provisioning.errors import TemplateInvalid
from provisioning.limits import TEMPLATE_BYTES_MAX

_FOLDERS = (Path(__file__).with_name("templates"), Path(__file__).parents[1] / "cloud-init")

_place = re.compile(r"@([A-Z][A-Z0-9_]*)@")


@lru_cache(maxsize=32)  # there are a dozen; none changes while we run
def read(name: str) -> str:
    """The text of a file of cloud-init/.

    Raises:
        TemplateInvalid: it is not there, or is no text of a sensible size.
    """
    for folder in _FOLDERS:
        try:
            with (folder / name).open("rb") as file:
                data = file.read(TEMPLATE_BYTES_MAX + 1)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise TemplateInvalid(f"the template {name} cannot be read: {error.strerror}") from error
        if len(data) > TEMPLATE_BYTES_MAX:
            raise TemplateInvalid(f"the template {name} has more than {TEMPLATE_BYTES_MAX} bytes")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise TemplateInvalid(f"the template {name} is not UTF-8") from error
    raise TemplateInvalid(f"there is no template {name}")


def bare(text: str) -> str:
    """A template as it goes to a machine: without lines that are comments or empty, which user-data has no room for.

    The first line stays where it says what runs the file. No template has such lines in a text that it prints.
    """
    return "".join(
        line
        for number, line in enumerate(text.splitlines(keepends=True))
        if (number == 0 and line.startswith("#!")) or ((said := line.strip()) and not said.startswith("#"))
    )


def places(text: str) -> frozenset[str]:
    """The names that a template wants filled."""
    return frozenset(_place.findall(text))


def fill(name: str, text: str, values: Mapping[str, str]) -> str:
    """A template with all places filled; values are taken as they are, also where they look like places.

    Args:
        name: of the template, for messages.

    Raises:
        TemplateInvalid: it has a place that `values` does not name.
    """
    unknown = sorted(places(text) - values.keys())
    if unknown:
        raise TemplateInvalid(f"the template {name} has the place @{unknown[0]}@, which nothing fills")
    return _place.sub(lambda match: values[match[1]], text)
