"""`--all-at-once` and `--soak`: options of what changes an app that runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import click

from edged.errors import UsageError
from edged.limits import WAVE_SOAK_S_MAX
from edged.publish.pace import Pace

_F = TypeVar("_F", bound=Callable[..., Any])


def pace_options(command: _F) -> _F:
    """Both, as the argument `pace`."""

    @wraps(command)
    def paced(*args: Any, all_at_once: bool, soak_s: int | None, **options: Any) -> Any:
        if all_at_once and soak_s is not None:
            raise UsageError(
                "--soak is for waves, and with --all-at-once there are none", remedy="Leave one of them out."
            )
        return command(*args, pace=Pace(all_at_once, soak_s), **options)

    seconds = click.IntRange(0, WAVE_SOAK_S_MAX)
    text = "Let each wave serve it for so long before the next.  [default: the fleet's]"
    decorated = click.option("--soak", "soak_s", metavar="SECONDS", type=seconds, help=text)(paced)
    return cast(_F, click.option("--all-at-once", is_flag=True, help="Change all regions together.")(decorated))
