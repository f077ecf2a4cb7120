"""Mutated guests that run: components, core modules, and values of types by chance.

    python -m tests.wasm.component.fuzz_run --seconds 3600 [--first SEED] [--kind component|module|values]

The command tries seed after seed in a child process, says which seed ended it, held it up or made it grow, and goes on
after that. `--only SEED` runs one seed in this process, to look at it; `--show SEED` writes its mutant.
"""

from __future__ import annotations

import argparse
import ast
import faulthandler
import gc
import logging
import os
import random
import resource
import selectors
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import structlog
import trio
import trio.testing
import wasmtime

from edged.limits import MiB
from tests.wasm.component import fuzz_corpus
from tests.wasm.component.fuzz_callers import caller, world
from tests.wasm.component.fuzz_host import Bench
from tests.wasm.component.fuzz_program import program
from tests.wasm.component.fuzz_values import compare
from tests.wasm.component.mutation import mutate_bytes, mutate_text
from tests.wasm.plan.test_reader import leb

HELD_UP_S = 8.0
_STARTS_WITHIN_S = 60.0
_PER_CHILD = 4_000  # mutants; then a new child begins, so that what one keeps is seen to be bounded
_WARM = 1_000  # mutants after which a child has all that it ever needs
_GROWTH_BYTES_MAX = 24 * MiB  # in 1 000 mutants, after that
_REPORT_EVERY = 50
_LINES_SHOWN = 8  # of a traceback; --only shows all
_WHOLE_CHANCE = 0.7  # of what is made by chance already
_SECTION = b"component-type:world"
_UNTEXT = "not text"


def mutant(seed: int, kind: str) -> bytes | None:
    """The guest of this number: always the same. None: its text is none."""
    chance = random.Random(seed)
    if kind == "module":
        return _module(chance)
    texts = fuzz_corpus.components()
    match chance.choices(("program", "caller", "corpus"), (3, 3, 4)):
        case ["program"]:
            text, is_whole = program(chance), chance.random() < _WHOLE_CHANCE
        case ["caller"]:
            text, is_whole = caller(chance, world()), chance.random() < _WHOLE_CHANCE
        case _:
            text, is_whole = chance.choice(texts), False
    if is_whole:
        return bytes(wasmtime.wat2wasm(text))
    in_text, in_bytes = chance.choice(((True, False), (True, False), (True, True), (False, True)))
    if in_text:
        text = mutate_text(chance, text, chance.choice(texts))
    try:
        data = bytes(wasmtime.wat2wasm(text))
    except wasmtime.WasmtimeError:
        return None
    return mutate_bytes(chance, data) if in_bytes else data


def _module(chance: random.Random) -> bytes | None:
    kind = chance.choice(fuzz_corpus.KINDS)
    text = fuzz_corpus.module(chance, kind)
    if chance.random() < 0.7:
        text = mutate_text(chance, text, text)
    try:
        data = bytes(wasmtime.wat2wasm(text))
    except wasmtime.WasmtimeError:
        return None
    if chance.random() < 0.3:
        data = mutate_bytes(chance, data)
    return with_section(data, kind, chance if chance.random() < 0.3 else None)


def with_section(data: bytes, kind: str, chance: random.Random | None = None) -> bytes:
    """A core module with the section that says which world it has, if its kind has one.

    Args:
        chance: mutate the section.
    """
    if kind != "wasi2":
        return data
    section = fuzz_corpus.section() if chance is None else mutate_bytes(chance, fuzz_corpus.section())
    content = leb(len(_SECTION)) + _SECTION + section
    return data + b"\0" + leb(len(content)) + content


async def attempt(bench: Bench, seed: int, kind: str) -> None:
    """Run one mutant.

    Raises:
        Exception: a finding, whatever it is.
    """
    chance = random.Random(~seed)
    if kind == "values":
        bench.outcomes.update(await compare(bench.engine, chance))
        return
    data = mutant(seed, kind)
    if data is None:
        bench.outcomes[_UNTEXT] += 1
    elif kind == "module":
        await bench.module(data, chance)
    else:
        await bench.component(data, chance, validate=chance.random() < 0.75)
    await trio.lowlevel.checkpoint()


# --- the command ---


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _tries(first: int, count: int, kind: str) -> None:
    """Try seed after seed; say each before it is tried."""
    resident = 0
    with tempfile.TemporaryDirectory() as folder:
        async with trio.open_nursery() as nursery:
            bench = Bench(nursery, Path(folder))
            tasks = trio.lowlevel.current_statistics().tasks_living
            for seed in range(first, first + count):
                _say(str(seed))
                await attempt(bench, seed, kind)
                left = trio.lowlevel.current_statistics().tasks_living - tasks
                if left:
                    raise AssertionError(f"{left} tasks are left")
                done = seed - first + 1
                if done % _REPORT_EVERY == 0:
                    _say(f"= {dict(bench.outcomes)}")
                    bench.outcomes.clear()
                if done % _WARM == 0:
                    gc.collect()
                    grown = _resident_bytes() - resident
                    _say(f"# {_resident_bytes() // MiB} MiB")
                    if resident and grown > _GROWTH_BYTES_MAX:
                        _say(f"! {seed}: grown by {grown // MiB} MiB in {_WARM} mutants")
                    resident = _resident_bytes()
            _say(f"= {dict(bench.outcomes)}")
            nursery.cancel_scope.cancel()
            bench.close()


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    """As a coroutine that nobody awaits."""
    _say(f"! lost: {lost.exc_value!r} of {lost.object!r}")


def _child(first: int, count: int, kind: str) -> int:
    faulthandler.enable()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # guests' output
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("error")
    sys.unraisablehook = _unraisable
    try:
        trio.run(_tries, first, count, kind, clock=trio.testing.MockClock(autojump_threshold=0))
    except BaseException:
        lines = traceback.format_exc().rstrip().splitlines()
        _say("\n  ".join(lines if count == 1 else lines[-_LINES_SHOWN:]))
        return 3
    return 0


def _lines(child: subprocess.Popen[bytes], until: float) -> Iterator[str]:
    """What a child says, until it ends, is silent for too long, or the time is over."""
    assert child.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        rest, silence_s_max = b"", _STARTS_WITHIN_S
        while time.monotonic() < until and selector.select(silence_s_max):
            read = child.stdout.read1(1 << 16)  # type: ignore[attr-defined]
            if not read:
                return
            *whole, rest = (rest + read).split(b"\n")
            yield from (line.decode() for line in whole)
            silence_s_max = HELD_UP_S


def run(first: int, seconds: float, kind: str) -> int:
    """Fuzz for so long; how many findings there were."""
    until = time.monotonic() + seconds
    findings, tried, outcomes = 0, 0, Counter[str]()
    while time.monotonic() < until:
        command = [sys.executable, "-m", "tests.wasm.component.fuzz_run", "--child", "--kind", kind]
        with subprocess.Popen([*command, "--first", str(first)], stdout=subprocess.PIPE) as child:
            seed = first
            for line in _lines(child, until):
                if line.startswith("="):
                    outcomes.update(ast.literal_eval(line[2:]))
                elif line.isdigit():
                    seed = int(line)
                elif line.startswith("#"):
                    _say(f"{seed}: {line[2:]}")
                else:
                    findings += line.startswith("!")
                    _say(line)
            status = _end(child)
        tried += seed - first + 1
        if status and time.monotonic() < until:
            findings += 1
            _say(f"! {kind} {seed}: the child {status}")
        first = seed + 1
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        _say(
            f"seeds to {seed}: {tried} mutants, {used.ru_utime + used.ru_stime:.0f} s of CPU time, {findings} findings"
        )
    _say("\n".join(f"{count:8} {name}" for name, count in outcomes.most_common()))
    return findings


def _end(child: subprocess.Popen[bytes]) -> str:
    """How a child ended that says nothing any more; empty for well."""
    try:
        status = child.wait(1)
        return f"ended with status {status}" if status else ""
    except subprocess.TimeoutExpired:
        child.kill()
        return "was held up"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kind", choices=("component", "module", "values"), default="component")
    parser.add_argument("--only", type=int, metavar="SEED")
    parser.add_argument("--show", type=int, metavar="SEED")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.show is not None:
        sys.stdout.buffer.write(mutant(options.show, options.kind) or b"")
    elif options.only is not None:
        sys.exit(_child(options.only, 1, options.kind))
    elif options.child:
        sys.exit(_child(options.first, _PER_CHILD, options.kind))
    else:
        sys.exit(min(run(options.first, options.seconds, options.kind), 1))


if __name__ == "__main__":
    main()
