"""A fleet for a person: what is wrong in words, then its nodes, what they announce, then its apps.

Every colour has a sign beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from edged.cli.anycast_terminal import anycast
from edged.cli.words import plural, size
from edged.limits import CERTIFICATE_DAYS_WARNED, STATUS_PROBLEMS_SHOWN_MAX
from edged.publish.hosts import hosts_of
from edged.publish.url import app_url
from edged.readable import readable
from edged.status.diagnosis import diagnose, is_awaited, is_behind
from edged.status.problem import Problem, duration
from edged.status.view import FAILED, AppView, NodeView, StatusView

_GOOD, _WARNING, _BAD = ("✓", "green"), ("!", "yellow"), ("✗", "red")
_FILE_COLUMNS = 10_000  # whatever reads a file or pipe folds no lines
_REGION_COLUMNS_MAX = 40  # of 80: a longer name is folded, so that the other columns have room
_APP_SIGNS = {"live": _GOOD, "rolling": ("↻", "cyan"), "failed": _BAD}


class Screen:
    """What `--watch` shows: the newest status, in place of the one before."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = Console(highlight=False) if console is None else console

    def show(self, view: StatusView) -> None:
        if self._console.is_terminal:
            self._console.clear()
        self._console.print(render(view))


def print_status(view: StatusView, console: Console | None = None) -> None:
    """On stdout, once. Lines are cut only where there is a terminal whose width they would exceed."""
    _print(render(view), console)


def print_apps(view: StatusView, console: Console | None = None) -> None:
    """The apps alone, with where they answer."""
    if not view.apps:
        _print(Text("no apps yet: `edged push` brings the first one"), console)
        return
    table = _table("APP", "STATE", "SEQ", "URL", "WHERE")
    for app in view.apps:
        url = app_url(view, app.name, app.hosts, app.regions)
        table.add_row(*_app_start(app), readable(url), plural(len(app.regions), "region"))
    _print(table, console)


def render(view: StatusView) -> RenderableType:
    """The whole of it."""
    parts: list[RenderableType] = [_summary(view, diagnose(view)), Text(), _nodes(view)]
    if (announcing := anycast(view)) is not None:
        parts += [Text(), announcing]
    return Group(*parts, Text(), _apps(view) if view.apps else Text("no apps yet"))


def _summary(view: StatusView, problems: Sequence[Problem]) -> RenderableType:
    up = sum(node.state == "up" for node in view.nodes)
    counts = f"{plural(len(view.regions), 'region')}, {up} of {plural(len(view.nodes), 'node')} up"
    counts += f", {plural(len(view.apps), 'app')}"
    head = Text.assemble((readable(view.fleet.name), "bold"), "  ")
    if not problems:
        return head.append("✓ all well", "green").append(f"  {counts}", "dim")
    errors = sum(problem.severity == "error" for problem in problems)
    sign, colour = _BAD if errors else _WARNING
    head.append(f"{sign} {plural(len(problems), 'problem')}", f"bold {colour}").append(f"  {counts}", "dim")
    lines = Table.grid(padding=(0, 1, 0, 0))  # so that a long line goes on below its own beginning
    for problem in problems[:STATUS_PROBLEMS_SHOWN_MAX]:
        sign, colour = _BAD if problem.severity == "error" else _WARNING
        lines.add_row(Text(f"  {sign}", colour), Text(readable(problem.text), colour))
        if problem.remedy:
            lines.add_row("", Text(f"-> {readable(problem.remedy)}", "dim"))
    if len(problems) > STATUS_PROBLEMS_SHOWN_MAX:
        lines.add_row("", f"and {len(problems) - STATUS_PROBLEMS_SHOWN_MAX} more")
    return Group(head, lines)


def _nodes(view: StatusView) -> Table:
    table = _table(
        "REGION", "NODE", "STATE", "WORKERS", "REQ/S", "P50", "P99", "CERT", "FREE", right=(3, 4, 5, 6, 7, 8)
    )
    last = ""
    for node in view.nodes:
        region, last = ("" if node.region == last else node.region), node.region
        table.add_row(
            readable(region),
            readable(node.name),
            _node_state(view, node),
            _workers(node),
            *(f(value if node.state == "up" else None) for f, value in _traffic(node)),
            _certificate(node.certificate_days),
            Text("" if node.disk_free_bytes is None else size(node.disk_free_bytes)),
        )
    return table


def _traffic(node: NodeView) -> Sequence[tuple[Callable[[float | None], Text], float | None]]:
    """How each number is written, and the number."""
    return (_number, node.requests_s), (_milliseconds, node.p50_ms), (_milliseconds, node.p99_ms)


def _node_state(view: StatusView, node: NodeView) -> Text:
    if node.state == "up":
        if node.in_sync is False:
            return Text("↻ syncing", "cyan")
        return Text("✓ up", "green")
    if is_awaited(view, node):
        return Text("! not yet", "yellow")
    if node.state == "never":
        return Text("✗ never seen", "red")
    return Text("✗ dead" if node.heard_s is None else f"✗ dead {duration(node.heard_s)}", "red")


def _workers(node: NodeView) -> Text:
    if node.workers_total is None or node.workers_ready is None or node.state != "up":
        return Text("-", "dim")
    whole = node.workers_ready == node.workers_total
    return Text(f"{node.workers_ready}/{node.workers_total}", "" if whole else "yellow")


def _number(value: float | None) -> Text:
    return Text("-", "dim") if value is None else Text(f"{value:.0f}" if value >= 10 else f"{value:.1f}")


def _milliseconds(value: float | None) -> Text:
    return Text("-", "dim") if value is None else Text(f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms")


def _certificate(days: float | None) -> Text:
    if days is None:
        return Text("-", "dim")
    if days < 0:
        return Text("✗ expired", "red")
    return Text(f"! {days:.0f} d", "yellow") if days < CERTIFICATE_DAYS_WARNED else Text(f"{days:.0f} d")


def _apps(view: StatusView) -> Table:
    table = _table("APP", "STATE", "SEQ", "FAILED", "REGIONS", "HOSTS")
    # Hosts are folded first: a region that is cut in two is not recognized.
    longest = max((cell_len(word) for app in view.apps for word in _regions(app).plain.split()), default=0)
    table.columns[-2].min_width = min(longest, _REGION_COLUMNS_MAX)
    for app in view.apps:
        hosts = hosts_of(app.name, app.hosts, view.fleet.domain)
        table.add_row(*_app_start(app), _failures(app), _regions(app), readable(", ".join(hosts)))
    return table


def _app_start(app: AppView) -> tuple[Text, Text, Text]:
    sign, colour = _APP_SIGNS.get(app.state, _WARNING)
    return Text(readable(app.name)), Text(f"{sign} {app.state}", colour), Text(str(app.sequence))


def _failures(app: AppView) -> Text:
    failures, requests = sum(node.failures for node in app.nodes), sum(node.requests for node in app.nodes)
    if not failures:
        return Text("0" if requests else "-", "dim")
    return Text(f"{failures} of {requests}", "yellow")


def _regions(app: AppView) -> Text:
    """Each region with a sign; one that is behind with what it runs."""
    text = Text()
    for region in app.regions:
        nodes = [node for node in app.nodes if node.region == region and node.state == "up"]
        behind = [node for node in nodes if is_behind(app, node)]
        text.append(" " if text else "")
        if any(node.stage in FAILED for node in behind):
            text.append(f"✗{readable(region)} {behind[0].stage}", "red")
        elif behind:
            lowest = min(node.running for node in behind)
            text.append(f"↻{readable(region)}@{lowest or 'none'} {behind[0].stage}", "yellow")
        elif nodes:
            text.append(f"✓{readable(region)}", "green")
        else:
            text.append(f"!{readable(region)} silent", "yellow")
    return text


def _table(*titles: str, right: tuple[int, ...] = ()) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for index, title in enumerate(titles):
        wraps = title in ("REGIONS", "HOSTS")
        table.add_column(title, justify="right" if index in right else "left", overflow="fold", no_wrap=not wraps)
    return table


def print_whole(what: RenderableType, console: Console) -> None:
    """Print tables; where there is no terminal, in lines as long as they need and no longer."""
    if console.is_terminal:
        console.print(what)
        return
    console.width = _FILE_COLUMNS
    with console.capture() as captured:
        console.print(what)
    # A table fills its last column up to the longest of all rows: in a file and over ssh these are blanks for nothing.
    console.file.write("\n".join(line.rstrip(" ") for line in captured.get().split("\n")))


def _print(what: RenderableType, console: Console | None) -> None:
    console = Console(highlight=False) if console is None else console
    print_whole(what, console)
