"""`scopes` of `[application.tool.edged]`: among whom the calls of a trigger are shared.

    [application.tool.edged]
    scopes = { nightly = "fleet" }      # the trigger with that id: one node of the fleet calls it, not each

Spin takes no key in a trigger that it does not know, and leaves the tables of tools alone: so the file stays one that
Spin reads, where every trigger is the one node's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import get_args

from edged.limits import SCOPE_APP_COUNT_MAX
from edged.manifest.document import Node
from edged.manifest.fields import mapping, string, table_of
from edged.manifest.model import CronTrigger, RedisTrigger, Scope, Trigger
from edged.manifest.problems import Problems, nearest, shown

_TABLE = ("application", "tool", "edged", "scopes")
_SCOPES: Mapping[str, Scope] = {scope: scope for scope in get_args(Scope)}


@dataclass(frozen=True, slots=True)
class ScopeOf:
    """What the manifest says of one trigger, and where."""

    scope: Scope
    line: int


def parse_scopes(root: Node) -> Mapping[str, ScopeOf]:
    """By trigger id. Ahead of the other tables, which are taken as they are; so what is wrong is said here.

    Raises:
        Invalid
    """
    node = root
    for key in _TABLE:
        if not isinstance(node.value, dict) or key not in node.value:
            return MappingProxyType({})
        node = node.value[key]
    if len(table_of(node)) > SCOPE_APP_COUNT_MAX:
        raise node.invalid(f"must have {SCOPE_APP_COUNT_MAX} entries at most")
    return mapping(_scope)(node)


def with_scopes(triggers: Sequence[Trigger], scopes: Mapping[str, ScopeOf]) -> tuple[Trigger, ...]:
    """The triggers, each with its scope.

    Raises:
        Invalid: a scope is for none of them, or for one that a request starts.
    """
    problems = Problems()
    ids = {trigger.id: trigger for trigger in triggers}
    for id_, said in scopes.items():
        if id_ not in ids:
            problems.add(said.line, f"scopes: there is no trigger with the id {shown(id_)}{nearest(id_, ids)}")
        elif not isinstance(ids[id_], CronTrigger | RedisTrigger):
            problems.add(said.line, f"scopes: the trigger {shown(id_)} is neither of type `cron` nor `redis`")
    problems.check()
    return tuple(
        replace(trigger, scope=scopes[trigger.id].scope)
        if isinstance(trigger, CronTrigger | RedisTrigger) and trigger.id in scopes
        else trigger
        for trigger in triggers
    )


def _scope(node: Node) -> ScopeOf:
    text = string(node)
    if text not in _SCOPES:
        raise node.invalid(f"must be one of {', '.join(f'`{scope}`' for scope in _SCOPES)}")
    return ScopeOf(_SCOPES[text], node.line)
