"""What people and programs are told of rendered machines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from edged.cli.provision_seeds import Rendered
from provisioning import paths


def rendered_as_json(rendered: Rendered, path: Path | None) -> dict[str, Any]:
    """One line of --json.

    Args:
        path: where it was written to; without one its contents are among it.
    """
    seed = rendered.seed
    contents = {"user_data": seed.user_data, "meta_data": seed.meta_data, "network_config": seed.network_config}
    return {
        "event": "rendered",
        "machine": rendered.machine.name,
        "provider": rendered.machine.provider,
        "bytes": len(seed.user_data.encode()),
        "expires": rendered.expires,
        **(contents if path is None else {"path": str(path)}),
    }


def show_terms(rendered: Sequence[Rendered]) -> None:
    """Until when, and what is still to be done, on stderr: stdout may be a file."""
    for each in rendered:
        name = each.machine.name
        if each.expires is None:
            click.echo(f"{name} begins the fleet: put the signed roster to {paths.ROSTER} there.", err=True)
        else:
            until = datetime.fromtimestamp(each.expires, UTC).strftime("%Y-%m-%d %H:%M UTC")
            click.echo(f"The voucher for {name} is good until {until}: keep it as a password till then.", err=True)
