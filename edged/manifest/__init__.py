"""spin.toml, version 1 and 2, as one immutable model of an application."""

from edged.manifest.files import mount
from edged.manifest.load import load, parse
from edged.manifest.model import App
from edged.manifest.subset import subset
from edged.manifest.unsupported import unsupported
from edged.manifest.variables import component_values, resolve

__all__ = ["App", "component_values", "load", "mount", "parse", "resolve", "subset", "unsupported"]
