"""Components that a runtime config names, against those of the app."""

from __future__ import annotations

from edged.errors import RuntimeConfigError
from edged.manifest.model import App
from edged.manifest.problems import nearest, shown
from edged.runtime_config.model import RuntimeConfig


def check_components(app: App, config: RuntimeConfig) -> None:
    """Every component that `[[client_tls]]` names must be one of the app, served or not. Spin overlooks others: there a
    slip of the pen is a connection without the certificate that was meant for it.

    Raises:
        RuntimeConfigError: one line for each that is not.
    """
    known = {*app.components, *app.left_out}
    unknown = dict.fromkeys(id_ for entry in config.client_tls for id_ in entry.component_ids if id_ not in known)
    if unknown:
        raise RuntimeConfigError(
            "\n".join(
                f"`component_ids` of [[client_tls]] has {shown(id_)}, which {app.name} does not{nearest(id_, known)}"
                for id_ in unknown
            ),
            remedy="Correct `component_ids` in the runtime config.",
        )
