"""Programs by chance for everything.wat: what its functions do with built-ins, and how they call each other.

Each statement stands for one thing that a guest does. What a statement gets it keeps in a global that others use,
mostly only if there is something in it, so that programs come far before something traps.
"""

from __future__ import annotations

import random
import re
from itertools import pairwise
from pathlib import Path

TEXT = Path(__file__).with_name("everything.wat")
_PLACE = "(nop)"
_GLOBALS = ("set", "sub", "end", "r", "bytes-r", "bytes-w", "text-r", "text-w", "things-r", "things-w", "number")
_NUMBERS = (0, 1, 2, 3, 4, 5, 8, 16, 100, 4096, 65_536, 2**28 - 1, -1)
_STATEMENTS_MAX = 9
_UNGUARDED_CHANCE = 0.03
_used = re.compile(r"\(global\.get \$(?!pair)([a-z-]+)\)").findall

_BOTH = (
    "(global.set $set (call $set.new))",
    "(global.set $set (call $set.new))",
    "(call $join (global.get $sub) (global.get $set))",
    "(call $join (global.get $end) (global.get $set))",
    "(call $join (global.get $end) (i32.const 0))",
    "(drop (call $set.poll (global.get $set) (i32.const 128)))",
    "(drop (call $set.wait (global.get $set) (i32.const 128)))",
    "(call $set.drop (global.get $set))",
    "(drop (call $yield))",
    "(call $return (i32.const {n}))",
    "(call $cancel)",
    "(call $set (call $get))",
    "(drop (call $subtask.cancel (global.get $sub)))",
    "(call $subtask.drop (global.get $sub))",
    "(global.set $pair (call $bytes.new)) (global.set $bytes-r (call $low)) (global.set $bytes-w (call $high))",
    "(global.set $pair (call $text.new)) (global.set $text-r (call $low)) (global.set $text-w (call $high))",
    "(drop (call $bytes.read (global.get $bytes-r) (i32.const 1024) (i32.const {n})))",
    "(drop (call $bytes.write (global.get $bytes-w) (i32.const 2048) (i32.const {n})))",
    "(global.set $end (global.get $bytes-r))",
    "(global.set $end (global.get $bytes-w))",
    "(global.set $end (global.get $text-r))",
    "(global.set $end (global.get $text-w))",
    "(drop (call $bytes.cancel-read (global.get $bytes-r)))",
    "(drop (call $bytes.cancel-write (global.get $bytes-w)))",
    "(call $bytes.drop-readable (global.get $bytes-r))",
    "(call $bytes.drop-writable (global.get $bytes-w))",
    "(drop (call $text.read (global.get $text-r) (i32.const 256)))",
    "(i32.store (i32.const 260) (i32.const {n})) (drop (call $text.write (global.get $text-w) (i32.const 256)))",
    "(call $text.drop-readable (global.get $text-r))",
    "(call $text.drop-writable (global.get $text-w))",
    "(if (local.get 0) (then (return {result})))",
    "(drop (memory.grow (i32.const 1)))",
    "(if (i32.eq (global.get $turns) (i32.const 3)) (then (loop (br 0))))",
)
_CALLEE = (
    "(drop (call $wait (i32.const {n})))",
    "(global.set $sub (i32.shr_u (call $wait-async (i32.const {n}) (i32.const 64)) (i32.const 4)))",
    "(global.set $r (call $r.new (i32.const {n})))",
    "(drop (call $r.rep (global.get $r)))",
    "(call $r.drop (global.get $r))",
    "(call $inc)",
    "(call $dec)",
    "(drop (call $bytes.write-sync (global.get $bytes-w) (i32.const 2048) (i32.const {n})))",
    "(drop (call $text.cancel-read (global.get $text-r)))",
    "(drop (call $text.cancel-write (global.get $text-w)))",
    "(global.set $pair (call $things.new)) (global.set $things-r (call $low)) (global.set $things-w (call $high))",
    "(drop (call $things.read (global.get $things-r) (i32.const 512) (i32.const {n})))",
    "(i32.store (i32.const 768) (global.get $r))"
    " (drop (call $things.write (global.get $things-w) (i32.const 768) (i32.const 1)))",
    "(call $return-bytes (global.get $bytes-r))",
    "(call $return-text (global.get $text-r))",
)
_CALLER = (
    "(call $note (i32.const {n}))",
    "(global.set $bytes-r (call $source (i32.const {n})))",
    "(global.set $number (call $later (i32.const {n})))",
    "(drop (call $number.read (global.get $number) (i32.const 64)))",
    "(drop (call $number.read-sync (global.get $number) (i32.const 64)))",
    "(call $number.drop (global.get $number))",
    "(global.set $sub (i32.shr_u (call $wait (i32.const {n}) (i32.const 64)) (i32.const 4)))",
    "(call $plain (i32.const 2048) (i32.const {n}) (i32.const 64))",
    "(global.set $r (call $make))",
    "(call $look (global.get $r))",
    "(call $r.drop (global.get $r))",
    "(global.set $sub (i32.shr_u (call $work (i32.const {n}) (i32.const 64)) (i32.const 4)))",
    "(global.set $sub (i32.shr_u (call $work (i32.const {n}) (i32.const 64)) (i32.const 4)))",
    "(drop (call $work-sync (i32.const {n})))",
    "(global.set $sub (i32.shr_u (call $stackful (i32.const {n}) (i32.const 64)) (i32.const 4)))",
    "(drop (call $stackful-sync (i32.const {n})))",
    "(global.set $sub (i32.shr_u (call $bytes (global.get $bytes-r) (i32.const 64)) (i32.const 4)))"
    " (global.set $bytes-r (i32.load (i32.const 64)))",
    "(global.set $sub (i32.shr_u (call $text (global.get $text-r) (i32.const 64)) (i32.const 4)))"
    " (global.set $text-r (i32.load (i32.const 64)))",
    "(drop (call $subtask.cancel-async (global.get $sub)))",
    "(drop (call $bytes.read-sync (global.get $bytes-r) (i32.const 1024) (i32.const {n})))",
)
_CODES = ("(i32.const 0)", "(i32.const 1)", "(i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4)))")
"""What a callback asks for: to be over, to go on later, to wait on a set."""


def program(chance: random.Random) -> str:
    """everything.wat, with something to do."""
    callee, caller = TEXT.read_text().split("(instance $callee (instantiate", 1)
    filled = _fill(chance, callee, _CALLEE), _fill(chance, caller, _CALLER)
    return "(instance $callee (instantiate".join(filled)


def _fill(chance: random.Random, text: str, own: tuple[str, ...]) -> str:
    registers = " ".join(f"(global ${name} (mut i32) (i32.const 0))" for name in _GLOBALS)
    helpers = f"""{registers} (global $pair (mut i64) (i64.const 0))
      (func $low (result i32) (i32.wrap_i64 (global.get $pair)))
      (func $high (result i32) (i32.wrap_i64 (i64.shr_u (global.get $pair) (i64.const 32))))
      (global $turns"""
    text = text.replace("(global $turns", helpers, 1)
    text = "".join(_with_code(chance, line) for line in text.splitlines(keepends=True))
    parts = text.split(_PLACE)
    return parts[0] + "".join(_statements(chance, own, before) + after for before, after in pairwise(parts))


def _with_code(chance: random.Random, line: str) -> str:
    return line.replace("(call $again (i32.const 0))", f"(call $again {chance.choice(_CODES)})")


def _statements(chance: random.Random, own: tuple[str, ...], before: str) -> str:
    head = before.rpartition("(func ")[2].partition("\n")[0]
    result = "(i32.const 0)" if "(result" in head else ""
    chosen = [chance.choice(chance.choice((_BOTH, own))) for _ in range(chance.randrange(_STATEMENTS_MAX))]
    if "(param" not in head:
        chosen = [statement for statement in chosen if "local.get" not in statement]
    return " ".join(_guarded(chance, each.format(n=chance.choice(_NUMBERS), result=result)) for each in chosen)


def _guarded(chance: random.Random, statement: str) -> str:
    """Only if what it uses is there."""
    if chance.random() < _UNGUARDED_CHANCE:
        return statement
    for name in sorted(set(_used(statement))):
        statement = f"(if (global.get ${name}) (then {statement}))"
    return statement
