"""The page itself. What is provided and refused comes from `edged.host.registry`, so that it cannot say otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from edged.host.registry import (
    REFUSED,
    HostConfig,
    spin1_interfaces,
    spin_interfaces,
    wasi3_interfaces,
    wasi_interfaces,
)
from tests.compatibility.interfaces import SHOWN
from tests.compatibility.ways import KINDS, MISSING, WAYS, refusal

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"

_TOP = """\
# Compatibility

What a Spin application may call, how it may be called, and who says so: each line names its tests.
This page is made by `python -m tests.compatibility` from the code; a test fails when it is out of date.
"""


def spins() -> list[str]:
    """Interfaces that Spin adds to WASI, each as `name@version`."""
    return sorted(f"{entry.wit}@{version}" for entry in spin_interfaces(HostConfig()) for version in entry.versions)


def spin1s() -> list[str]:
    """Interfaces of Spin 1, which core modules import without a version."""
    return sorted(entry.wit for entry in spin1_interfaces(HostConfig()))


def wasis() -> list[str]:
    """Interfaces of WASI 0.2, likewise. The version `0.2` stands for all that begin with it."""
    return sorted(f"{entry.wit}@{version}" for entry in wasi_interfaces(HostConfig()) for version in entry.versions)


def wasi3s() -> list[str]:
    """Interfaces of WASI 0.3, likewise; the one release candidate that is served too stands in the text."""
    return sorted(f"{entry.wit}@{entry.versions[0]}" for entry in wasi3_interfaces(HostConfig()))


def page() -> str:
    """All of it."""
    return "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    yield _TOP
    yield "## What Spin adds to WASI\n"
    yield from _interfaces(spins())
    yield "\n## What Spin 1 had instead\n"
    yield "Core modules import these without a version, or under the names that wit-bindgen 0.2 gave them. Beside"
    yield "them a module may import all of WASI preview 1: arguments, environment, clocks, random numbers, and its"
    yield "`files` as a tree that it can read.\n"
    yield from _interfaces(spin1s())
    yield "\n## WASI 0.2\n"
    yield "`0.2` stands for every version that begins with it, but for no release candidate.\n"
    yield from _interfaces(wasis())
    yield "\n## WASI 0.3\n"
    yield "`0.3` stands for every version that begins with it, and for `0.3.0-rc-2026-03-15`.\n"
    yield from _interfaces(wasi3s())
    yield "\n## Linked and refused\n"
    yield "SDKs import more than an app uses, so a component that imports one of these runs. A request in which it"
    yield "calls one ends with `guest.refused`.\n"
    yield from _table(["interfaces", "what they are"], ([f"`{name}`", what] for name, what in REFUSED.items()))
    yield "\n## What of the component model is not there\n"
    yield "A component that needs one of these is refused when it is loaded, with `component.unsupported`."
    yield "wasmtime 50 does not validate the first four either.\n"
    yield from _table(["what", "why"], ([what, why] for what, why in MISSING))
    yield "\n## Ways to be called\n"
    rows = ([way.name, f"no: {text}" if (text := refusal(way)) else "yes", _tests(way.tests)] for way in WAYS)
    yield from _table(["trigger", "runs", "shown by"], rows)
    yield "\n## Kinds of guest\n"
    yield "How they are built: [tests/guests](../tests/guests/README.md).\n"
    kinds = (
        [kind.made_by, kind.exports, _code(kind.guests), _tests(kind.tests), kind.missing or "nothing"]
        for kind in KINDS
    )
    yield from _table(["made by", "form", "guests", "shown by", "what is missing"], kinds)


def _interfaces(names: Sequence[str]) -> Iterator[str]:
    rows = ([f"`{name}`", *(_tests([test]) for test in SHOWN[name])] for name in names)
    yield from _table(["interface", "does its work", "says no"], rows)


def _table(titles: Sequence[str], rows: Iterable[list[str]]) -> Iterator[str]:
    for row in (titles, ["---" for _ in titles], *rows):
        yield f"| {' | '.join(row)} |"


def _tests(tests: Sequence[str]) -> str:
    """Links to where tests are; what is none stands as it is."""
    return _or_none(
        f"[{name.removeprefix('test_').replace('_', ' ')}](../{path})" if name else path
        for path, _, name in (test.partition("::") for test in tests)
    )


def _code(names: Sequence[str]) -> str:
    return _or_none(f"`{name}`" for name in names)


def _or_none(items: Iterable[str]) -> str:
    return ", ".join(items) or "none"
