"""docs/logging.md lists every log event of the source with its fields, and no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import bgp
import edged
from tests.docs.tables import names, rows

_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
_LOGGERS = {"log", "logger", "_logger"}


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call of a logger in the packages, and every note for one (`bgp.note`): where, and the call."""
    for root in (Path(package.__file__ or "").parent for package in (edged, bgp)):
        for path in sorted(root.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and (_is_logging(node.func) or _is_note(node.func)):
                    yield f"{path.relative_to(root.parent)}:{node.lineno}", node


def _is_note(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id == "Note"


def _is_logging(function: ast.expr) -> bool:
    if isinstance(function, ast.IfExp):
        return _is_logging(function.body)
    if not isinstance(function, ast.Attribute) or function.attr not in _METHODS:
        return False
    owner = function.value
    return (isinstance(owner, ast.Name) and owner.id in _LOGGERS) or (
        isinstance(owner, ast.Attribute) and owner.attr in _LOGGERS
    )


def logged() -> dict[str, set[str]]:
    """Event -> fields, as the source has them."""
    found: dict[str, set[str]] = {}
    for place, call in calls():
        fields = {keyword.arg or "**" for keyword in call.keywords} - {"exc_info"}
        event = call.args[1 if _is_note(call.func) else 0]
        if isinstance(event, ast.Subscript):  # guest_log: the event of each stream
            events = ["guest.stdout", "guest.stderr"]
        else:
            assert isinstance(event, ast.Constant), f"{place}: an event's name is a constant"
            events = [event.value]
        for name in events:
            assert found.setdefault(name, fields) == fields, f"{place}: {name} has other fields elsewhere"
    return found


def test_events_and_fields() -> None:
    documented = {names(cells[0])[0]: set(names(cells[2])) for cells in rows("logging.md", "event")}
    assert documented == logged()
