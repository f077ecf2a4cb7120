"""An application, loaded: every component compiled, linked and tried, every trigger in place."""

from edged.app.load import load_app
from edged.app.loaded import LoadedApp
from edged.app.options import ComponentLoaded, LoadOptions

__all__ = ["ComponentLoaded", "LoadOptions", "LoadedApp", "load_app"]
