"""Nurseries wrap what leaves them in exception groups; callers of ours expect the error itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edged.errors import EdgedError


@contextmanager
def plain_errors() -> Iterator[None]:
    """Around a nursery: if all that goes wrong in it are errors of ours, the first leaves it as itself.

    Anything else is a mistake of ours, and leaves as the group that it is.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        _, others = group.split(EdgedError)
        error = first_error(group)
        if others is not None or error is None:
            raise
        raise error from error.__cause__


def first_error(error: BaseException) -> EdgedError | None:
    """The error itself, or the first of ours in a group; None if there is none."""
    if isinstance(error, EdgedError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((found for inner in error.exceptions if (found := first_error(inner))), None)
    return None
