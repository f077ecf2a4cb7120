"""The deployments of an app for a person."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edged.cli.status_terminal import print_whole
from edged.cli.words import moment, short
from edged.publish.history import Past
from edged.readable import readable


def print_releases(found: Sequence[Past], console: Console | None = None) -> None:
    """On stdout. The one that is live has a sign."""
    console = Console(highlight=False) if console is None else console
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for title in ("", "SEQ", "RELEASE", "WHEN", "BY", "REGIONS", "MESSAGE"):
        table.add_column(title, overflow="fold")
    for past in found:
        names = " ".join(sorted(past.deployment.regions)) or "removed"
        table.add_row(
            _where(past),
            str(past.deployment.sequence),
            " ".join(sorted({short(digest) for digest in past.deployment.regions.values()})),
            Text(moment(past.deployment.issued), "dim"),
            readable(past.signed_by) if past.signed_by else Text("(no key of today)", "yellow"),
            names,
            readable(past.deployment.message),
        )
    print_whole(table, console)


def _where(past: Past) -> Text:
    """Whether it is live, and where if not in all its regions."""
    if not past.is_live_in:
        return Text()
    if len(past.is_live_in) == len(past.deployment.regions):
        return Text("✓ live", "green")
    return Text(f"✓ live in {' '.join(past.is_live_in)}", "green")
