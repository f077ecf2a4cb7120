"""A guest of WASI 0.2 that breaks rules of the canonical ABI: each of its exports breaks one, or comes close to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from edged.host.interface import Err, Interface, Invocation, Resource
from edged.limits import LIST_COUNT_MAX

PAGE = 65536

CALLS: Mapping[str, str] = {
    # Strings and lists that are given to the host: address and length.
    "text": "(call $text (i32.const 8) (i32.const 5))",
    "text-empty": "(call $text (i32.const 0) (i32.const 0))",
    "text-empty-at-end": f"(call $text (i32.const {PAGE}) (i32.const 0))",
    "text-empty-beyond": f"(call $text (i32.const {PAGE + 1}) (i32.const 0))",
    "text-to-end": f"(call $text (i32.const {PAGE - 3}) (i32.const 3))",
    "text-beyond": f"(call $text (i32.const {PAGE - 3}) (i32.const 4))",
    "text-around": "(call $text (i32.const -4) (i32.const 8))",
    "text-endless": "(call $text (i32.const 8) (i32.const -1))",
    "text-invalid": "(i32.store8 (i32.const 9) (i32.const 0xff)) (call $text (i32.const 8) (i32.const 5))",
    "text-cut": "(i32.store8 (i32.const 12) (i32.const 0xc3)) (call $text (i32.const 8) (i32.const 5))",
    "text-surrogate": "(i32.store (i32.const 8) (i32.const 0x80a0ed)) (call $text (i32.const 8) (i32.const 3))",
    "numbers": "(call $numbers (i32.const 8) (i32.const 2))",
    "numbers-unaligned": "(call $numbers (i32.const 6) (i32.const 2))",
    "numbers-none-unaligned": "(call $numbers (i32.const 6) (i32.const 0))",
    "numbers-to-end": f"(call $numbers (i32.const {PAGE - 8}) (i32.const 2))",
    "numbers-beyond": f"(call $numbers (i32.const {PAGE - 8}) (i32.const 3))",
    "numbers-overflow": "(call $numbers (i32.const 8) (i32.const 0x40000001))",
    "numbers-most": f"(call $numbers (i32.const 8) (i32.const {LIST_COUNT_MAX}))",
    "numbers-one-more": f"(call $numbers (i32.const 8) (i32.const {LIST_COUNT_MAX + 1}))",
    "options": "(i32.store (i32.const 8) (i32.const 0x07010500)) (call $options (i32.const 8) (i32.const 2))",
    "options-invalid": "(i32.store8 (i32.const 10) (i32.const 2)) (call $options (i32.const 8) (i32.const 2))",
    # Values that are numbers.
    "letter": "(call $letter (i32.const 0x10ffff))",
    "letter-beyond": "(call $letter (i32.const 0x110000))",
    "letter-surrogate": "(call $letter (i32.const 0xd800))",
    "color": "(call $color (i32.const 1))",
    "color-unknown": "(call $color (i32.const 2))",
    "flags": "(call $flags (i32.const 3))",
    "flags-more": "(call $flags (i32.const -1))",
    "truth": "(call $truth (i32.const 0)) (call $truth (i32.const 256)) (call $truth (i32.const -1))",
    "small": "(call $small (i32.const 0x1ff) (i32.const 0x80))",
    "maybe": "(call $maybe (i32.const 0) (i32.const 7)) (call $maybe (i32.const 1) (i32.const 7))",
    "maybe-neither": "(call $maybe (i32.const 2) (i32.const 7))",
    "nan": "(call $real (f64.const nan:0x123)) (call $real (f64.const -inf)) (call $real (f64.const -0.0))",
    # Where the host's answers go.
    "name": "(call $name (i32.const 16)) (call $text (i32.load (i32.const 16)) (i32.load (i32.const 20)))",
    "name-unaligned": "(call $name (i32.const 18))",
    "name-at-end": f"(call $name (i32.const {PAGE - 8}))",
    "name-beyond": f"(call $name (i32.const {PAGE - 4}))",
    "name-nowhere": "(call $name (i32.const -4))",
    "pair": "(call $pair (i32.const 16)) (call $numbers (i32.const 16) (i32.const 3))",
    "pair-unaligned": "(call $pair (i32.const 20))",
    "many": "(call $many (i32.const 16)) (call $numbers (i32.load (i32.const 16)) (i32.load (i32.const 20)))",
    # Allocators.
    "realloc-beyond": "(global.set $mode (i32.const 1)) (call $name (i32.const 16))",
    "realloc-unaligned": "(global.set $mode (i32.const 2)) (call $many (i32.const 16))",
    "realloc-traps": "(global.set $mode (i32.const 3)) (call $name (i32.const 16))",
    "realloc-leaves": "(global.set $mode (i32.const 4)) (call $name (i32.const 16))",
    "realloc-grows": "(global.set $mode (i32.const 5)) (call $name (i32.const 16))"
    " (call $text (i32.load (i32.const 16)) (i32.load (i32.const 20)))",
    # Handles.
    "handle": "(call $use (call $make))",
    "handle-zero": "(call $use (i32.const 0))",
    "handle-unknown": "(call $use (i32.const 99))",
    "handle-huge": "(call $use (i32.const -1))",
    "handle-dropped": "(global.set $a (call $make)) (call $drop (global.get $a)) (call $use (global.get $a))",
    "handle-dropped-twice": "(global.set $a (call $make)) (call $drop (global.get $a)) (call $drop (global.get $a))",
    "handle-given": "(global.set $a (call $make)) (call $take (global.get $a)) (call $use (global.get $a))",
    "handle-given-twice": "(global.set $a (call $make)) (call $take (global.get $a)) (call $take (global.get $a))",
    "handle-given-and-dropped": "(global.set $a (call $make)) (call $take (global.get $a))"
    " (call $drop (global.get $a))",
    "handle-both": "(global.set $a (call $make)) (call $both (global.get $a) (global.get $a))",
    "handle-lent-and-given": "(global.set $a (call $make)) (call $lend-and-give (global.get $a) (global.get $a))",
    "handle-given-and-lent": "(global.set $a (call $make)) (call $give-and-lend (global.get $a) (global.get $a))",
    "handle-other": "(global.set $a (call $make)) (call $use-other (global.get $a))",
    "handle-other-given": "(global.set $a (call $make)) (call $take-other (global.get $a))",
    "handle-other-dropped": "(global.set $a (call $make)) (call $drop-other (global.get $a))",
    "handle-numbers": "(global.set $a (call $make)) (drop (call $make)) (call $drop (global.get $a))"
    " (i32.store (i32.const 8) (call $make)) (i32.store (i32.const 12) (call $make))"
    " (call $numbers (i32.const 8) (i32.const 2))",
    "handle-list": "(i32.store (i32.const 8) (call $make)) (i32.store (i32.const 12) (call $make))"
    " (call $take-all (i32.const 8) (i32.const 2)) (call $use (i32.load (i32.const 8)))",
    "handle-list-twice": "(i32.store (i32.const 8) (call $make)) (i32.store (i32.const 12) (i32.load (i32.const 8)))"
    " (call $take-all (i32.const 8) (i32.const 2))",
    "handle-answer": "(call $use (call $swap (call $make)))",
    # Errors of the host.
    "fails": "(call $fails (i32.const 16)) (call $numbers (i32.const 16) (i32.const 1))",
}
"""Export -> what it does. All of them take and give nothing."""

GIVES: Mapping[str, tuple[str, str]] = {
    "give-text": ("string", "(i64.store (i32.const 16) (i64.const 0x500000008)) (i32.const 16)"),
    "give-text-beyond": ("string", "(i64.store (i32.const 16) (i64.const 0x50000fffe)) (i32.const 16)"),
    "give-text-invalid": (
        "string",
        "(i32.store8 (i32.const 8) (i32.const 0xff)) (i64.store (i32.const 16) (i64.const 0x500000008)) (i32.const 16)",
    ),
    "give-unaligned": ("string", "(i32.const 18)"),
    "give-beyond": ("string", f"(i32.const {PAGE - 4})"),
    "give-letter-beyond": ("char", "(i32.const 0x110000)"),
    "give-color-unknown": ("$colors", "(i32.const 2)"),
    "give-truth": ("bool", "(i32.const 256)"),
    "give-small": ("u8", "(i32.const 0x1ff)"),
    "give-signed": ("s8", "(i32.const 0x80)"),
    "give-handle": ("(own $thing)", "(call $make)"),
    "give-handle-zero": ("(own $thing)", "(i32.const 0)"),
    "give-handle-of-other": ("(own $other)", "(call $make)"),
    "give-handle-dropped": (
        "(own $thing)",
        "(global.set $a (call $make)) (call $drop (global.get $a)) (global.get $a)",
    ),
    "give-result": ("(result u8 (error string))", "(i32.store (i32.const 16) (i32.const 0)) (i32.const 16)"),
    "give-result-neither": ("(result u8 (error string))", "(i32.store (i32.const 16) (i32.const 2)) (i32.const 16)"),
}
"""Export -> the type that it gives, and the core value."""

POST: Mapping[str, str] = {
    "post": "(drop (i32.add (local.get 0) (i32.const 1)))",
    "post-traps": "unreachable",
    "post-leaves": "(call $note)",
    "post-drops": "(call $drop (global.get $a))",
}
"""Export that gives its only argument, a u32 -> what is called afterwards."""

_TYPES = {
    "make": "(func (result (own $thing)))",
    "use": '(func (param "x" (borrow $thing)))',
    "take": '(func (param "x" (own $thing)))',
    "both": '(func (param "x" (borrow $thing)) (param "y" (borrow $thing)))',
    "lend-and-give": '(func (param "x" (borrow $thing)) (param "y" (own $thing)))',
    "give-and-lend": '(func (param "x" (own $thing)) (param "y" (borrow $thing)))',
    "take-all": '(func (param "x" (list (own $thing))))',
    "swap": '(func (param "x" (own $thing)) (result (own $thing)))',
    "use-other": '(func (param "x" (borrow $other)))',
    "take-other": '(func (param "x" (own $other)))',
    "text": '(func (param "x" string))',
    "numbers": '(func (param "x" (list u32)))',
    "options": '(func (param "x" (list (option u8))))',
    "letter": '(func (param "x" char))',
    "color": '(func (param "x" $colors))',
    "flags": '(func (param "x" $bits))',
    "truth": '(func (param "x" bool))',
    "small": '(func (param "x" u8) (param "y" s8))',
    "maybe": '(func (param "x" (option u32)))',
    "real": '(func (param "x" f64))',
    "name": "(func (result string))",
    "pair": "(func (result (tuple u64 u32)))",
    "many": "(func (result (list u32)))",
    "fails": "(func (result (result u32 (error u32))))",
}
_CORE = {
    **dict.fromkeys(("use", "take", "use-other", "take-other", "letter", "color", "flags", "truth"), "(param i32)"),
    **dict.fromkeys(("name", "pair", "many", "fails"), "(param i32)"),
    **dict.fromkeys(("both", "lend-and-give", "give-and-lend", "take-all"), "(param i32 i32)"),
    **dict.fromkeys(("text", "numbers", "options", "small", "maybe"), "(param i32 i32)"),
    "make": "(result i32)",
    "swap": "(param i32) (result i32)",
    "real": "(param f64)",
}


def text() -> str:
    """The component."""
    lines = "\n".join
    drops = {"drop": "thing", "drop-other": "other"}
    names = [*_TYPES, *drops]
    bodies = [f'(func (export "{name}") {body})' for name, body in CALLS.items()]
    bodies += [f'(func (export "{name}") (result i32) {body})' for name, (_, body) in GIVES.items()]
    bodies += [f'(func (export "{name}") (param i32) (result i32) (local.get 0))' for name in POST]
    bodies += [f'(func (export "{name}!") (param i32) {body})' for name, body in POST.items()]
    options = "(memory $mem) (realloc $realloc)"
    lifts = [f'(func (export "{name}") (canon lift (core func $main "{name}")))' for name in CALLS]
    lifts += [
        f'(func (export "{name}") (result {ty}) (canon lift (core func $main "{name}") {options}))'
        for name, (ty, _) in GIVES.items()
    ]
    lifts += [
        f'(func (export "{name}") (param "x" u32) (result u32)'
        f' (canon lift (core func $main "{name}") (post-return (core func $main "{name}!"))))'
        for name in POST
    ]
    return f"""
(component
  (import "test:host/misuse" (instance $host
    (export "thing" (type $thing (sub resource)))
    (export "other" (type $other (sub resource)))
    (type $colors' (enum "red" "green"))
    (export "colors" (type $colors (eq $colors')))
    (type $bits' (flags "a" "b"))
    (export "bits" (type $bits (eq $bits')))
    (export "note" (func))
    {lines(f'(export "{name}" {ty})' for name, ty in _TYPES.items())}))
  (alias export $host "thing" (type $thing))
  (alias export $host "other" (type $other))
  (alias export $host "colors" (type $colors'))
  (export $colors "colors" (type $colors'))
  (core func $note (canon lower (func $host "note")))
  (core module $memory
    (import "h" "note" (func $note))
    (memory (export "memory") 1)
    (data (i32.const 8) "hello")
    (global $mode (export "mode") (mut i32) (i32.const 0))
    (global $top (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $p i32)
      (if (i32.eq (global.get $mode) (i32.const 1)) (then (return (i32.const {PAGE - 2}))))
      (if (i32.eq (global.get $mode) (i32.const 2)) (then (return (i32.const 1026))))
      (if (i32.eq (global.get $mode) (i32.const 3)) (then unreachable))
      (if (i32.eq (global.get $mode) (i32.const 4)) (then (call $note)))
      (if (i32.eq (global.get $mode) (i32.const 5))
        (then (return (i32.mul (memory.grow (i32.const 3)) (i32.const {PAGE})))))
      (local.set $p (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $p) (local.get 3)))
      (local.get $p)))
  (core instance $memory (instantiate $memory (with "h" (instance (export "note" (func $note))))))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  {lines(f'(core func ${name} (canon lower (func $host "{name}") {options}))' for name in _TYPES)}
  {lines(f"(core func ${name} (canon resource.drop ${ty}))" for name, ty in drops.items())}
  (core module $main
    (import "m" "memory" (memory 1))
    (import "m" "mode" (global $mode (mut i32)))
    (import "h" "note" (func $note))
    {lines(f'(import "h" "{name}" (func ${name} {_CORE.get(name, "(param i32)")}))' for name in names)}
    (global $a (mut i32) (i32.const 0))
    {lines(bodies)})
  (core instance $main (instantiate $main (with "m" (instance $memory))
    (with "h" (instance (export "note" (func $note))
      {lines(f'(export "{name}" (func ${name}))' for name in names)}))))
  {lines(lifts)})
"""


class Thing(Resource):
    """A new one has a number, so that two are told apart."""

    def __init__(self, number: int) -> None:
        self.number = number


class Other(Resource):
    pass


class Misuse(Interface):
    """`test:host/misuse`."""

    wit = "test:host/misuse"
    versions = ("",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"thing": Thing, "other": Other}

    def __init__(self) -> None:
        self._things = 0

    def note(self, _invocation: Invocation) -> None: ...

    def make(self, _invocation: Invocation) -> Thing:
        self._things += 1
        return Thing(self._things)

    def use(self, _invocation: Invocation, thing: Thing) -> None: ...

    def take(self, _invocation: Invocation, thing: Thing) -> None:
        thing.drop()

    def both(self, _invocation: Invocation, one: Thing, other: Thing) -> None: ...

    def lend_and_give(self, _invocation: Invocation, lent: Thing, given: Thing) -> None: ...

    def give_and_lend(self, _invocation: Invocation, given: Thing, lent: Thing) -> None: ...

    def take_all(self, _invocation: Invocation, things: list[Thing]) -> None: ...

    def swap(self, _invocation: Invocation, thing: Thing) -> Thing:
        return thing

    def use_other(self, _invocation: Invocation, other: Other) -> None: ...

    def take_other(self, _invocation: Invocation, other: Other) -> None: ...

    def _anything(self, _invocation: Invocation, *values: object) -> None: ...

    text = numbers = options = letter = color = flags = truth = small = maybe = real = _anything

    def name(self, _invocation: Invocation) -> str:
        return "hello from the host"

    def pair(self, _invocation: Invocation) -> tuple[int, int]:
        return 2**40 + 1, 3

    def many(self, _invocation: Invocation) -> list[int]:
        return [1, 2, 3]

    def fails(self, _invocation: Invocation) -> int:
        raise Err(7)
