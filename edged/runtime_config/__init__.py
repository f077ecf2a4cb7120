"""runtime-config.toml: what the operator says about an app, as one immutable model."""

from edged.runtime_config.labels import check_labels
from edged.runtime_config.load import load, parse
from edged.runtime_config.model import RuntimeConfig

__all__ = ["RuntimeConfig", "check_labels", "load", "parse"]
