"""Mutated components, of which wasmtime must say the same whole and taken apart.

`python -m tests.wasm.plan.fuzz_skeleton --seconds 600` looks for one that it does not.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

import click
import wasmtime
from wasmtime import component

from edged.errors import ComponentInvalid, ComponentUnsupported, EdgedError
from edged.wasm.engine import Engine, new_validator
from edged.wasm.plan.compiled import take_apart
from edged.wasm.plan.skeleton import core_modules, skeleton
from tests.wasm.conftest import ASYNC, GUEST

CORPUS = {
    file.stem: bytes(wasmtime.wat2wasm(file.read_text()))
    for file in (GUEST, ASYNC, Path(__file__).with_name("parts.wat"))
}


class Verdicts:
    """What is said of one component, by two ways that have to agree."""

    def __init__(self) -> None:
        self._validator = new_validator()
        self._engine = Engine().wasmtime

    def whole(self, data: bytes) -> str:
        """What wasmtime says of all of it: empty for nothing."""
        try:
            component.Component(self._validator, data)
        except wasmtime.WasmtimeError as error:
            return str(error)
        return ""

    def apart(self, data: bytes) -> str:
        """What it says of the skeleton and of each core module."""
        try:
            component.Component(self._validator, skeleton(data))
            for start, end in core_modules(data):
                wasmtime.Module.validate(self._validator, data[start:end])
        except (wasmtime.WasmtimeError, ComponentInvalid) as error:
            return str(error)
        return ""

    def rewritten(self, data: bytes) -> str:
        """What it says of the modules that a valid component's plan is run with. A plan may be refused for more."""
        try:
            parts = take_apart(data)
        except EdgedError as error:
            return "" if isinstance(error, ComponentUnsupported) else str(error)
        try:
            for module in parts.modules():
                wasmtime.Module.validate(self._engine, module)
        except wasmtime.WasmtimeError as error:
            return str(error)
        return ""


def mutant(data: bytes, seed: int) -> bytes:
    """One to three bytes of it changed, taken out, or put in."""
    chance = random.Random(seed)
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        place = chance.randrange(8, len(changed))
        match chance.randrange(6):
            case 0:
                changed[place] = chance.randrange(256)
            case 1:
                changed[place] ^= 1 << chance.randrange(8)
            case 2:
                changed[place] = (changed[place] + chance.choice((-1, 1))) & 0xFF
            case 3:
                del changed[place]
            case 4:
                changed.insert(place, chance.randrange(256))
            case _:
                source = chance.randrange(8, len(changed))
                changed[place] = changed[source]
    return bytes(changed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("files", nargs="*", type=Path, help="components to mutate besides those of these tests")
    options = parser.parse_args()
    corpus = CORPUS | {file.name: file.read_bytes() for file in options.files}
    verdicts, end = Verdicts(), time.monotonic() + options.seconds
    counts: Counter[str] = Counter()
    seed = options.seed
    while time.monotonic() < end:
        for name, data in corpus.items():
            changed = mutant(data, seed)
            whole, apart = verdicts.whole(changed), verdicts.apart(changed)
            rewritten = "" if whole else verdicts.rewritten(changed)
            counts["invalid" if whole else "valid"] += 1
            if bool(whole) != bool(apart) or rewritten:
                counts["disagree"] += 1
                click.echo(f"{name} {seed}: whole {whole!r}\n  apart {apart!r}\n  rewritten {rewritten!r}")
        seed += 1
    click.echo(f"seeds {options.seed} to {seed - 1}: {dict(counts)}")
    return 1 if counts["disagree"] else 0


if __name__ == "__main__":
    sys.exit(main())
