"""The status as one HTML page that brings itself up to date and needs no script."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape

from edged.admin.anycast_page import anycast_tables
from edged.admin.html_table import MARKS, marked, table
from edged.status.diagnosis import diagnose
from edged.status.view import AppView, NodeView, StatusView

_REFRESH_S = 5

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --ok: #1a7f37; --warn: #9a6700; --bad: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --ok: #3fb950; --warn: #d29922; --bad: #f85149; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1.05rem; margin-top: 2rem; }
p.said { margin: .3rem 0 0; font-size: 1.05rem; } .dim { opacity: .65; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .8rem .3rem 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
code { font: 13px ui-monospace, monospace; }
.ok { color: var(--ok); } .warn { color: var(--warn); } .bad { color: var(--bad); }
"""

_KINDS = {"error": "bad", "warning": "warn"}
_APP_MARK = {"live": "ok", "rolling": "warn", "failed": "bad", "unknown": "bad"}
_NODE_MARK = {"up": "ok", "silent": "bad", "never": "warn"}


def page(status: StatusView) -> bytes:
    """The whole document."""
    fleet = status.fleet
    problems = diagnose(status)
    said = (
        "".join(_said(_KINDS[problem.severity], problem.text, problem.remedy) for problem in problems)
        or f'<p class="said ok">{MARKS["ok"]} all well</p>'
    )
    clock = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(status.time))
    heading = f"roster {fleet.roster_version}, as {escape(status.answered_by)} knows it at {clock}"
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="{_REFRESH_S}">
<title>{escape(fleet.name)}: {escape(problems[0].text) if problems else "all well"}</title>
<style>{_STYLE}</style>
<h1>{escape(fleet.name)}</h1>
<p class="dim">{heading}</p>
{said}
<h2>Nodes</h2>
{_nodes(status.nodes)}
{anycast_tables(status)}
<h2>Apps</h2>
{_apps(status.apps, status.fleet.domain)}
""".encode()


def _said(kind: str, text: str, remedy: str) -> str:
    return f'<p class="said {kind}">{MARKS[kind]} {escape(text)} <span class="dim">{escape(remedy)}</span></p>'


def _nodes(nodes: Sequence[NodeView]) -> str:
    rows = [
        (
            marked(_NODE_MARK[node.state], node.name),
            escape(node.region),
            escape(node.state),
            _of(node.workers_ready, node.workers_total),
            _number(node.requests_s, "{:.1f}"),
            _number(node.p50_ms, "{:.1f}"),
            _number(node.p99_ms, "{:.1f}"),
            _number(node.certificate_days, "{:.0f}"),
            escape(node.version),
        )
        for node in nodes
    ]
    heads = ("node", "region", "state", "#workers", "#req/s", "#p50 ms", "#p99 ms", "#certificate days", "edged")
    return table(heads, rows)


def _apps(apps: Sequence[AppView], domain: str) -> str:
    if not apps:
        return '<p class="dim">none yet: <code>edged push</code> brings one</p>'
    rows = [
        (
            marked(_APP_MARK[app.state], app.name),
            escape(", ".join(app.hosts or (f"{app.name}.{domain}",))),
            str(app.sequence),
            "<br>".join(
                f"{escape(node.region)} {escape(node.node)}: {escape(node.stage)}"
                + (f" {node.running}" if node.running else "")
                for node in app.nodes
            ),
            escape(app.message),
        )
        for app in apps
    ]
    return table(("app", "hosts", "#sequence", "where", "message"), rows)


def _of(ready: int | None, total: int | None) -> str:
    return "" if ready is None or total is None else f"{ready}/{total}"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
