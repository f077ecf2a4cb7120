"""A manifest that has been read but not yet put together: ids given, inline components moved, profile applied."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from edged.manifest.component import with_profile
from edged.manifest.model import Component, Trigger, Variable
from edged.manifest.names import kebab_problem
from edged.manifest.problems import Problems, shown
from edged.manifest.trigger import Draft


@dataclass(frozen=True, slots=True)
class AppDraft:
    """What both versions of the manifest are read into.

    Attributes:
        details: the fields of `App` that are taken as they are (`name`, `authors`, ...).
    """

    details: Mapping[str, Any]
    variables: Mapping[str, Variable]
    components: Mapping[str, Component]
    triggers: tuple[Draft, ...]

    def profiles(self) -> frozenset[str]:
        """Names of the profiles that any component has."""
        return frozenset(name for component in self.components.values() for name in component.profiles)


def assemble(draft: AppDraft, profile: str | None) -> tuple[tuple[Trigger, ...], Mapping[str, Component]]:
    """Triggers and components in their final form.

    Raises:
        Invalid: two triggers with one id.
    """
    ids = _trigger_ids(draft.triggers)
    components = dict(draft.components)
    numbered = _numbered("inline-component")
    placed = (_place(trigger, id_, components, numbered) for trigger, id_ in zip(draft.triggers, ids, strict=True))
    triggers = tuple(placed)
    return triggers, MappingProxyType({key: with_profile(value, profile) for key, value in components.items()})


def _trigger_ids(drafts: tuple[Draft, ...]) -> list[str]:
    """Ids in order: the manifest's own, else by component, else by number."""
    problems = Problems()
    taken: dict[str, int] = {}
    for draft in drafts:
        id_, line = draft.trigger.id, draft.trigger.line
        if id_ in taken:
            problems.add(line, f"the trigger id {shown(id_)} is taken by the trigger on line {taken[id_]}")
        elif id_:
            taken[id_] = line
    problems.check()
    ids = []
    numbered: dict[str, Iterator[str]] = {}
    for draft in drafts:
        id_ = draft.trigger.id
        if not id_ and isinstance(draft.component, str):
            id_ = f"{draft.component}-{draft.type}-trigger"
            id_ = "" if id_ in taken else id_
        id_ = id_ or _free(numbered.setdefault(draft.type, _numbered(f"{draft.type}-trigger")), taken)
        taken[id_] = draft.trigger.line
        ids.append(id_)
    return ids


def _numbered(stem: str) -> Iterator[str]:
    return (f"{stem}{number}" for number in itertools.count(1))


def _free(candidates: Iterator[str], taken: Container[str]) -> str:
    return next(candidate for candidate in candidates if candidate not in taken)


def _place(draft: Draft, trigger_id: str, components: dict[str, Component], numbered: Iterator[str]) -> Trigger:
    """The trigger with its inline components moved to `components`."""
    is_only = not draft.components

    def component_id(component: str | Component) -> str:
        if isinstance(component, str):
            return component
        id_ = f"{trigger_id}-component"
        if not is_only or id_ in components or kebab_problem(id_):
            id_ = _free(numbered, components)
        components[id_] = replace(component, id=id_)
        return id_

    return replace(
        draft.trigger,
        id=trigger_id,
        component=None if draft.component is None else component_id(draft.component),
        components=MappingProxyType({key: tuple(map(component_id, many)) for key, many in draft.components.items()}),
    )
