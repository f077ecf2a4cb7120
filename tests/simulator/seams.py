"""Where a simulated world takes the place of the real one, for the time of a run: threads, clocks, chance, logging.

Nothing else of Python or trio is touched. Code that took `time.time` when it was imported, as the default of an
argument, is found and given the simulated one too.
"""

from __future__ import annotations

import gc
import random
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import structlog
import trio
from trio._core import _run as trio_run

from tests.simulator import threads
from tests.simulator.machine import current_process
from tests.simulator.parties import START

if TYPE_CHECKING:
    from tests.simulator.world import World

_OURS = ("edged.", "registry.", "bgp.")  # packages whose functions are looked through


@contextmanager
def simulated(world: World) -> Iterator[None]:
    """For the time of the `with`, this process is that world."""
    chance = world.random("secrets")

    def token_bytes(count: int | None = None) -> bytes:
        return chance.randbytes(32 if count is None else count)

    with ExitStack() as stack:
        stack.enter_context(_defaults(time.time, wall_time))
        for owner, name, value in (
            (trio.to_thread, "run_sync", threads.run_sync),
            (trio.from_thread, "run_sync", threads.from_thread_run_sync),
            (trio.from_thread, "check_cancelled", threads.from_thread_check_cancelled),
            (trio.lowlevel, "current_trio_token", _token(trio.lowlevel.current_trio_token)),
            (trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
            (time, "time", wall_time),
            (secrets, "token_bytes", token_bytes),
            (secrets, "token_hex", lambda count=None: token_bytes(count).hex()),
        ):
            stack.enter_context(_attribute(owner, name, value))
        for rng, purpose in ((trio_run._r, "scheduler"), (random, "random")):
            stack.callback(rng.setstate, rng.getstate())
            rng.seed(f"{world.seed} {purpose}")
        stack.callback(lambda config: structlog.configure(**config), structlog.get_config())
        structlog.configure(
            processors=[world.logged],
            wrapper_class=structlog.make_filtering_bound_logger(0),
            cache_logger_on_first_use=False,
        )
        if gc.isenabled():
            gc.disable()
            stack.callback(gc.enable)
        yield


def wall_time() -> float:
    """In place of `time.time`: what the machine says whose task asks; for the world outside, what time it is."""
    process = current_process()
    return START + trio.current_time() if process is None else process.machine.clock.time()


def _token(real: Callable[[], Any]) -> Callable[[], Any]:
    """In place of `trio.lowlevel.current_trio_token`."""

    def current_trio_token() -> Any:
        process = current_process()
        return real() if process is None else process.token

    return current_trio_token


@contextmanager
def _attribute(owner: ModuleType, name: str, value: object) -> Iterator[None]:
    former = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, former)


@contextmanager
def _defaults(former: object, value: object) -> Iterator[None]:
    """In place of a default of an argument."""
    changed: list[tuple[FunctionType, Any, Any]] = []
    for function in _functions():
        defaults, by_name = function.__defaults__ or (), function.__kwdefaults__ or {}
        if former in defaults or former in by_name.values():
            changed.append((function, function.__defaults__, function.__kwdefaults__))
            function.__defaults__ = tuple(value if each is former else each for each in defaults) or None
            function.__kwdefaults__ = {key: value if each is former else each for key, each in by_name.items()} or None
    try:
        yield
    finally:
        for function, defaults_before, by_name_before in changed:
            function.__defaults__, function.__kwdefaults__ = defaults_before, by_name_before


def _functions() -> Iterator[FunctionType]:
    """Of our modules and of their classes."""
    for name, module in list(sys.modules.items()):
        if name.startswith(_OURS):
            for each in list(vars(module).values()):
                if isinstance(each, type) and each.__module__ == name:
                    yield from (method for method in vars(each).values() if isinstance(method, FunctionType))
                elif isinstance(each, FunctionType) and each.__module__ == name:
                    yield each
