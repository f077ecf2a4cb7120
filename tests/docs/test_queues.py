"""docs/metrics.md names every queue of the source with its limit, and no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import bgp
import edged
import edged.limits
import provisioning
import registry
import registry.limits
from edged.limits import GuestLimits
from tests.docs.tables import names, rows

_MAKES_A_QUEUE = {"open_memory_channel", "deque", "Queue", "SimpleQueue", "LifoQueue", "PriorityQueue"}
_NOT_MADE_HERE = {"edged/fleet/server.py"}  # connections: a count in `edged.http.admission`
_TABLE = rows("metrics.md", "queue")


def queues() -> Iterator[str]:
    """The module of each place that makes one."""
    for package in (bgp, edged, provisioning, registry):
        root = Path(package.__file__ or "").parent
        for path in sorted(root.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _name(node.func) in _MAKES_A_QUEUE:
                    yield str(path.relative_to(root.parent))


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Subscript):  # of a type
        return _name(function.value)
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def test_every_queue_is_named() -> None:
    documented = {of for row in _TABLE for of in names(row[1])}
    assert documented == set(queues()) | _NOT_MADE_HERE


def test_every_limit_is_one() -> None:
    of_apps = {field.name for field in fields(GuestLimits)}
    for row in _TABLE:
        (limit,) = names(row[3])
        if row[3].startswith("["):
            assert limit in of_apps
        else:
            (value,) = (getattr(each, limit) for each in (edged.limits, registry.limits) if hasattr(each, limit))
            assert 0 < value < 2**40


def test_what_reads_the_source_sees_all_ways_to_make_one() -> None:
    source = "deque(); collections.deque(x); trio.open_memory_channel[int](1); queue.Queue(); q = deque[int]()"
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    assert [_name(call.func) for call in calls if _name(call.func) in _MAKES_A_QUEUE] == [
        "deque",
        "deque",
        "open_memory_channel",
        "Queue",
        "deque",
    ]
