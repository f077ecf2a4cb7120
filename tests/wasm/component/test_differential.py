"""Every guest of WASI 0.2 gives the same answers on the core API as on the C API, call by call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from edged.errors import ComponentUnsupported
from edged.host.registry import REFUSED, HostConfig, spin_interfaces, wasi_interfaces
from edged.wasm.cache import AotCache
from edged.wasm.engine import Engine, PoolConfig, fingerprint
from edged.wasm.types import ComponentType, Function, InstanceType, signature
from tests.conftest import GuestPath
from tests.end_to_end.conftest import CACHE
from tests.guests import wat
from tests.guests.catalog import GUESTS
from tests.services import Service
from tests.wasm.component.built_cases import BUILT, on_redis
from tests.wasm.component.cases import SMALL
from tests.wasm.component.paths import WAYS, Case, Compiled, Outcome, compile_both, link, load_both, run
from tests.wasm.component.repeatable_host import LIMITS

UNSERVED = {"core-module", "syntax-error", "no-handler", "unknown-import"}
"""Guests that no request reaches."""
INTERFACES = [
    each
    for each in (*wasi_interfaces(HostConfig()), *spin_interfaces(HostConfig()))
    if not each.wit.startswith(tuple(REFUSED))
]
"""Not all: what is Spin's own is refused."""


@pytest.fixture(scope="module")
def still_engine() -> Iterator[Engine]:
    """Without epochs: where a guest gives way decides what is sent together, and that is not for the machine to say."""
    engine = Engine(PoolConfig())  # as `edged up`, whose artefacts are used
    yield engine
    engine.close()


Small = Callable[[str, bool], tuple[Engine, Compiled]]


@pytest.fixture(scope="module")
def small(still_engine: Engine, engine: Engine) -> Small:
    """An engine, with or without epochs, and a guest of text, compiled once for all of its cases."""

    @functools.cache
    def compiled(guest: str, ticks: bool) -> tuple[Engine, Compiled]:
        used = engine if ticks else still_engine
        return used, compile_both(used, wat.wasm(guest))

    return compiled


Built = Callable[[str], Compiled]


@pytest.fixture(scope="module")
def built(still_engine: Engine, guest_path: GuestPath) -> Built:
    """A guest of an SDK, loaded once for all of its cases."""
    cache = AotCache(CACHE / "aot", fingerprint(PoolConfig()))
    return functools.cache(lambda guest: trio.run(load_both, still_engine, cache, guest_path(guest)))


def ids(cases: Sequence[Case]) -> list[str]:
    return [case.id for case in cases]


def result(outcome: Outcome) -> object:
    return outcome.status if outcome.error is None else outcome.error[0]


def compare(engine: Engine, compiled: Compiled, case: Case, folder: Path) -> None:
    usual, other = (run(engine, compiled, case, way, folder) for way in WAYS)
    for ask, expected, found in zip(case.asks, usual, other, strict=True):
        assert result(expected) == ask.expects, (
            f"{ask.target}: {expected.answer} {expected.error} {expected.calls[-3:]}"
        )
        assert found.calls == expected.calls, ask.target
        assert found == expected, ask.target


@pytest.mark.parametrize("case", SMALL, ids=ids(SMALL))
def test_guests_of_text(small: Small, case: Case, tmp_path: Path) -> None:
    compare(*small(case.guest, case.ticks), case, tmp_path)


@pytest.mark.parametrize("case", BUILT, ids=ids(BUILT))
def test_guests_of_sdks(still_engine: Engine, built: Built, case: Case, tmp_path: Path) -> None:
    compare(still_engine, built(case.guest), case, tmp_path)


@pytest.mark.parametrize("guest", ["js-capabilities", "python-capabilities", "python-redis-trigger"])
def test_guests_on_redis(still_engine: Engine, built: Built, guest: str, redis: Service, tmp_path: Path) -> None:
    compare(still_engine, built(guest), on_redis(redis.port)[guest], tmp_path)


def test_an_import_that_nobody_knows(small: Small) -> None:
    engine, compiled = small("unknown-import", False)
    refusals = []
    for way in WAYS:
        with pytest.raises(ComponentUnsupported, match="acme:thing/x") as caught:
            link(engine, compiled, way, [], LIMITS)
        refusals.append((caught.value.message, caught.value.remedy))
    assert refusals[0] == refusals[1]


def described(program: Any) -> object:
    """What triggers look at, and what the log of a load says."""
    found: ComponentType = program.type

    def functions(them: Mapping[str, Function]) -> Mapping[str, str]:
        return {name: signature(function, found.resource_names) for name, function in them.items()}

    def interfaces(them: Mapping[str, InstanceType]) -> Mapping[str, object]:
        return {name: (functions(each.functions), set(each.resources)) for name, each in them.items()}

    return interfaces(found.imports), interfaces(found.exports), functions(found.functions), set(program.refusals)


@pytest.mark.parametrize("guest", [*sorted({case.guest for case in SMALL}), "no-handler"])
def test_types_of_guests_of_text(small: Small, guest: str) -> None:
    engine, compiled = small(guest, False)
    usual, other = (described(link(engine, compiled, way, INTERFACES, LIMITS).program) for way in WAYS)
    assert usual == other


@pytest.mark.parametrize("guest", sorted({case.guest for case in BUILT}))
def test_types_of_guests_of_sdks(still_engine: Engine, built: Built, guest: str) -> None:
    usual, other = (described(link(still_engine, built(guest), way, INTERFACES, LIMITS).program) for way in WAYS)
    assert usual == other


def test_every_guest_has_a_case() -> None:
    of_text = {name for name in wat.names() if not name.endswith("3")} - UNSERVED
    assert {case.guest for case in SMALL} == of_text
    components = {name for name, guest in GUESTS.items() if not guest.is_module and guest.handler != "_start"}
    of_sdks = {name for name in components if "@0.3" not in GUESTS[name].handler and "@3" not in GUESTS[name].handler}
    assert {case.guest for case in BUILT} == of_sdks
