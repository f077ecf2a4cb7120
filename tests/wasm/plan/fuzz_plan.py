"""Mutated components against the parser, the elaboration and the checks of plans.

    python -m tests.wasm.plan.fuzz_plan --seconds 3600 [--first SEED] [--validate]

The command tries seed after seed in a child process, says which seed ended it or held it up, and goes on after that.
With --validate, wasmtime says of each mutant whether it is valid: what is, must not be called invalid by edged.
"""

from __future__ import annotations

import argparse
import functools
import random
import resource
import selectors
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

import wasmtime
from wasmtime import component

from edged.errors import ComponentInvalid, ComponentTooLarge, ComponentUnsupported
from edged.limits import GuestLimits, MiB
from edged.wasm.engine import new_validator
from edged.wasm.plan.elaborate import build_plan
from edged.wasm.plan.reader import PREAMBLE_BYTES, sections
from edged.wasm.plan.skeleton import skeleton
from tests.guests import wat
from tests.wasm.plan.test_reader import leb
from tests.wasm.plan.test_verify import TWINS
from tests.wasm.plan.text import binary

HELD_UP_S = 20.0
_MEMORY_BYTES = 4096 * MiB  # of address space, most of which is only reserved
_REPORT_EVERY = 50
_GUESTS = ("cron", "hello", "echo", "unknown-import")

NESTED = """
    (import "a:b/streams@1.0.0" (instance $streams
        (export "s" (type (sub resource)))
        (export "[method]s.read" (func async (param "self" (borrow 0)) (result (stream u8))))))
    (alias export $streams "s" (type $s))
    (import "a:b/types" (instance $types
        (alias outer 1 $s (type $outer)) (export "s" (type (eq $outer)))
        (type (record (field "s" (own 1)) (field "n" (option string)))) (export "pair" (type (eq 3)))
        (export "take" (func (param "p" 4) (result (result 4 (error (list u8))))))))
    (core module $libc
        (memory (export "m") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "drop") (param i32)))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "m" (core memory $m))
    (alias core export $libc "realloc" (core func $realloc))
    (alias core export $libc "drop" (core func $drop))
    (core func $take (canon lower (func $types "take") (memory $m) (realloc $realloc)))
    (core func $read (canon lower (func $streams "[method]s.read") async (memory $m)))
    (type $bytes (stream u8)) (type $later (future (variant (case "a") (case "b" string))))
    (core func $stream-read (canon stream.read $bytes async (memory $m)))
    (core func $future-write (canon future.write $later (memory $m)))
    (core func $wait (canon waitable-set.wait (memory $m)))
    (component $inner
        (import "m" (core module $m (export "f" (func (param i32) (result i32)))))
        (import "r" (type $r (sub resource)))
        (core instance $i (instantiate $m))
        (type $own (resource (rep i32)))
        (core func (canon resource.new $own))
        (func (export "f") (param "r" (own $r)) (result (own $own)) (canon lift (core func $i "f"))))
    (core module $f (func (export "f") (param i32) (result i32) unreachable)
        (func (export "run") (result i32) unreachable)
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (type $r (resource (rep i32) (dtor $drop)))
    (instance $one (instantiate $inner (with "m" (core module $f)) (with "r" (type $r))))
    (instance $two (instantiate $inner (with "m" (core module $f)) (with "r" (type $s))))
    (core instance $g (instantiate $f))
    (func $run async (canon lift (core func $g "run") async (callback (core func $g "callback"))))
    (export "run" (func $run))
    (core func (canon task.return (result (map string u32)) (memory $m)))
    (component $shim (import "f" (func $f async)) (export "run" (func $f)))
    (instance $exported (instantiate $shim (with "f" (func $run))))
    (export "a:b/run@1.0.0" (instance $exported))
"""


@functools.cache
def corpus() -> tuple[bytes, ...]:
    """Components to mutate, small ones."""
    texts = [text for pair in TWINS.values() for text in pair]
    guests = [skeleton(wat.wasm(name)) for name in _GUESTS]
    return (*map(binary, texts), *guests, *[binary(NESTED)] * len(texts))


def mutant(seed: int) -> bytes:
    """The component of this number: always the same."""
    chance = random.Random(seed)
    data = bytearray(chance.choice(corpus()))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        data = chance.choice(_MUTATIONS)(chance, data)
    return bytes(data)


def attempt(data: bytes) -> str:
    """What becomes of a component: `plan`, or the code of edged's error. Any other exception is a finding."""
    try:
        build_plan(data, GuestLimits())
    except (ComponentInvalid, ComponentUnsupported, ComponentTooLarge) as error:
        return error.code
    return "plan"


def valid(data: bytes) -> bool:
    """As wasmtime has it."""
    try:
        component.Component(new_validator(), data)
    except wasmtime.WasmtimeError:
        return False
    return True


# --- mutations ---


def _bit(chance: random.Random, data: bytearray) -> bytearray:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return data


def _byte(chance: random.Random, data: bytearray) -> bytearray:
    if data:
        data[chance.randrange(len(data))] = chance.choice(
            (0, 1, 2, 0x3F, 0x40, 0x7F, 0x80, 0xFF, chance.randrange(256))
        )
    return data


def _cut(chance: random.Random, data: bytearray) -> bytearray:
    start = chance.randrange(len(data) + 1)
    del data[start : start + chance.randrange(1, 20)]
    return data


def _insert(chance: random.Random, data: bytearray) -> bytearray:
    start = chance.randrange(len(data) + 1)
    data[start:start] = chance.randbytes(chance.randrange(1, 6))
    return data


def _in_sections(change: Callable[[random.Random, list[tuple[int, bytes]]], None]) -> Callable[..., bytearray]:
    """A mutation of whole sections, whose sizes are right again afterwards: it comes further than others."""

    def mutate(chance: random.Random, data: bytearray) -> bytearray:
        try:
            found = [(part.id, bytes(data[part.start : part.end])) for part in sections(bytes(data))]
        except ComponentInvalid:
            return _byte(chance, data)
        if found:
            change(chance, found)
        preamble = data[:PREAMBLE_BYTES]
        return preamble + b"".join(bytes([number]) + leb(len(content)) + content for number, content in found)

    return mutate


def _repeat(chance: random.Random, parts: list[tuple[int, bytes]]) -> None:
    parts.insert(chance.randrange(len(parts)), chance.choice(parts))


def _swap(chance: random.Random, parts: list[tuple[int, bytes]]) -> None:
    one, other = chance.randrange(len(parts)), chance.randrange(len(parts))
    parts[one], parts[other] = parts[other], parts[one]


def _leave_out(chance: random.Random, parts: list[tuple[int, bytes]]) -> None:
    parts.pop(chance.randrange(len(parts)))


def _change_one(chance: random.Random, parts: list[tuple[int, bytes]]) -> None:
    index = chance.randrange(len(parts))
    number, content = parts[index]
    change = chance.choice((_bit, _byte, _byte, _number, _number, _cut, _insert))
    parts[index] = number, bytes(change(chance, bytearray(content)))


def _number(chance: random.Random, data: bytearray) -> bytearray:
    """Another index, near the one that was there."""
    if data:
        index = chance.randrange(len(data))
        data[index] = (data[index] + chance.choice((-2, -1, 1, 2))) % 0x80
    return data


def _in_components(chance: random.Random, parts: list[tuple[int, bytes]]) -> None:
    nested = [index for index, (number, _) in enumerate(parts) if number == 4]
    if nested:
        index = chance.choice(nested)
        parts[index] = 4, bytes(_in_sections(_change_one)(chance, bytearray(parts[index][1])))
    else:
        _change_one(chance, parts)


_MUTATIONS = (
    _bit,
    _byte,
    _cut,
    _insert,
    *(_in_sections(change) for change in (_repeat, _swap, _leave_out, _in_components, *[_change_one] * 6)),
)


# --- the command ---


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _child(first: int, validate: bool) -> None:
    """Try seed after seed; say each before it is tried."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    outcomes: Counter[str] = Counter()
    for seed in range(first, sys.maxsize):
        _say(str(seed))
        data = mutant(seed)
        try:
            outcome = attempt(data)
        except Exception as error:
            _say(f"! {seed}: {type(error).__name__}: {error}")
            continue
        outcomes[outcome] += 1
        if validate and outcome == ComponentInvalid.code and valid(data):
            _say(f"! {seed}: wasmtime has it for valid")
        if seed % _REPORT_EVERY == 0:
            _say(f"= {dict(sorted(outcomes.items()))}")


def _lines(child: subprocess.Popen[bytes], until: float) -> Iterator[str]:
    """What a child says, until it ends, is silent for too long, or the time is over."""
    assert child.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        rest = b""
        while time.monotonic() < until and selector.select(HELD_UP_S):
            read = child.stdout.read1(1 << 16)  # type: ignore[attr-defined]
            if not read:
                return
            *whole, rest = (rest + read).split(b"\n")
            yield from (line.decode() for line in whole)


def _status(child: subprocess.Popen[bytes]) -> str:
    """How a child ended that says nothing any more."""
    try:
        return f"ended with status {child.wait(1)}"
    except subprocess.TimeoutExpired:
        child.kill()
        return "was held up"


def run(first: int, seconds: float, *, validate: bool) -> int:
    """Fuzz for so long; how many findings there were."""
    until = time.monotonic() + seconds
    findings = 0
    tried = 0
    while time.monotonic() < until:
        command = [
            sys.executable,
            "-X",
            "faulthandler",
            "-m",
            "tests.wasm.plan.fuzz_plan",
            "--child",
            "--first",
            str(first),
        ]
        with subprocess.Popen(command + ["--validate"] * validate, stdout=subprocess.PIPE) as child:
            seed, outcomes = first, ""
            for line in _lines(child, until):
                if line.startswith("!"):
                    findings += 1
                    _say(line)
                elif line.startswith("="):
                    outcomes = line
                else:
                    seed = int(line)
            ended = _status(child)
        tried += seed - first
        _say(f"seeds {first} to {seed} {outcomes}")
        if time.monotonic() < until:
            findings += 1
            _say(f"! {seed}: the child {ended}")
        first = seed + 1
    _say(f"{tried} mutants, {findings} findings")
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(options.first, options.validate)
    else:
        sys.exit(min(run(options.first, options.seconds, validate=options.validate), 1))


if __name__ == "__main__":
    main()
