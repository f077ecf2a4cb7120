"""Interfaces whose handles are numbers, from before WIT had resources: what a number means is each guest's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

from edged.host.core_module import Session
from edged.host.interface import Interface, Invocation, Resource

R = TypeVar("R", bound=Resource)


class SessionInterface(Interface):
    """An interface whose functions are methods of a session, of which each instance of a guest has one.

    Attributes:
        session: the class whose methods they are, without an invocation as the first argument.
        functions: name in WIT -> method. What else the class has is not a guest's to call.
    """

    session: ClassVar[type[Session]]
    functions: ClassVar[Mapping[str, str]]

    def open(self, invocation: Invocation) -> Session:
        """The session of one instance, made at its first call of this interface."""
        raise NotImplementedError


class Numbers(Generic[R]):
    """Resources by number: the lowest that is free, from 0."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[int, R] = {}

    def add(self, resource: R) -> int:
        number = next(number for number in range(len(self._held) + 1) if number not in self._held)
        self._held[number] = resource
        return number

    def get(self, number: int) -> R | None:
        return self._held.get(number)

    def drop(self, number: int) -> None:
        """Let go of one; of a number that is none nothing."""
        resource = self._held.pop(number, None)
        if resource is not None:
            resource.drop()

    def close(self) -> None:
        """Let go of all."""
        while self._held:
            self._held.popitem()[1].drop()
