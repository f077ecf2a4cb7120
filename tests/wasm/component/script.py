"""`.wast` files: scripts of components, and of what is expected of them, as the specification's own test suite is.

    bytes of a file ── commands() ──> Define, Instantiate, Return, Trap, Refused, each with its line
                       value()    ──> `(u32.const 7)`, `(variant.const "a" (...))` as Python values of a WIT type

The components themselves are text that wasmtime reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import wasmtime

from edged.host.interface import Err, Ok, Some
from edged.wasm.types import (
    Enum,
    FixedList,
    Flags,
    List,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    Variant,
    WitType,
)

_TOKEN = re.compile(r'\s+|;;[^\n]*|"(?:[^"\\]|\\.)*"|[()]|[^\s()";]+', re.DOTALL)
_ESCAPES = {"t": b"\t", "n": b"\n", "r": b"\r", '"': b'"', "'": b"'", "\\": b"\\"}


class ScriptError(Exception):
    """The script itself is wrong, or uses what the runner does not know."""


@dataclass(slots=True)
class Form:
    """A list in parentheses: its place in the text, and what it holds."""

    start: int
    end: int = 0
    items: list[str | Form] = field(default_factory=list)

    @property
    def head(self) -> str:
        return self.items[0] if self.items and isinstance(self.items[0], str) else ""


@dataclass(frozen=True, slots=True)
class Source:
    """A component of the script.

    Attributes:
        form: `text`, `quote` (text that may be wrong in its grammar) or `binary`.
    """

    form: str
    content: bytes

    def binary(self) -> bytes:
        """The component's bytes, not validated.

        Raises:
            wasmtime.WasmtimeError: the text is none.
        """
        return self.content if self.form == "binary" else bytes(wasmtime.wat2wasm(self.content))


@dataclass(frozen=True, slots=True)
class Invoke:
    """A call of an export. `instance` is empty for the one that was made last."""

    instance: str
    function: str
    arguments: tuple[Form, ...]


@dataclass(frozen=True, slots=True)
class Define:
    """A component is validated, and kept under a name for instantiating it."""

    line: int
    name: str
    source: Source


@dataclass(frozen=True, slots=True)
class Instantiate:
    """A new instance: of a component of its own (`source`), or of one that was defined."""

    line: int
    name: str
    definition: str
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Return:
    """A call returns `value`; None where nothing is said of it."""

    line: int
    invoke: Invoke
    value: Form | None


@dataclass(frozen=True, slots=True)
class Trap:
    """A call, or making an instance, traps with a message that contains `message`."""

    line: int
    action: Invoke | Source
    message: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A component is not valid (`assert_invalid`) or not even well-formed (`assert_malformed`)."""

    line: int
    source: Source
    message: str


Command = Define | Instantiate | Return | Trap | Refused


def commands(text: str) -> Iterator[Command]:
    """The commands of a script.

    Raises:
        ScriptError: one is not known.
    """
    for form in forms(text):
        yield _command(text, form)


def _command(text: str, form: Form) -> Command:
    line = text.count("\n", 0, form.start) + 1
    rest = form.items[1:]
    match form.head, rest:
        case "component", ["instance", str(name), str(definition)]:
            return Instantiate(line, name, definition)
        case "component", ["definition", str(name), *_] if name.startswith("$"):
            return Define(line, name, _source(text, form))
        case "component", ["definition", *_]:
            return Define(line, "", _source(text, form))
        case "component", _:
            name = rest[0] if rest and isinstance(rest[0], str) and rest[0].startswith("$") else ""
            return Instantiate(line, name, "", _source(text, form))
        case "invoke", _:
            return Return(line, _invoke(form), None)
        case "assert_return", [Form() as invoke]:
            return Return(line, _invoke(invoke), None)
        case "assert_return", [Form() as invoke, Form() as wanted]:
            return Return(line, _invoke(invoke), wanted)
        case "assert_trap", [Form() as action, str(message)]:
            what = _invoke(action) if action.head == "invoke" else _source(text, action)
            return Trap(line, what, unquote(message).decode())
        case (("assert_invalid" | "assert_malformed"), [Form() as component, str(message)]):
            return Refused(line, _source(text, component), unquote(message).decode())
    raise ScriptError(f"line {line}: {form.head} is not known")


def _invoke(form: Form) -> Invoke:
    rest = form.items[1:]
    instance = rest.pop(0) if isinstance(rest[0], str) and rest[0].startswith("$") else ""
    function, *arguments = rest
    assert isinstance(instance, str)
    assert isinstance(function, str)
    return Invoke(instance, unquote(function).decode(), tuple(item for item in arguments if isinstance(item, Form)))


def _source(text: str, form: Form) -> Source:
    """`(component [definition] [$name] [binary|quote] ...)`"""
    words = [item for item in form.items[1:] if isinstance(item, str)]
    marks = [word for word in words if not word.startswith('"')]
    for kind in ("binary", "quote"):
        if kind in marks:
            content = b"".join(unquote(word) for word in words if word.startswith('"'))
            return Source(kind, b"(component " + content + b")" if kind == "quote" else content)
    whole = text[form.start : form.end]
    return Source("text", re.sub(r"\A\(component\s+definition\b", "(component", whole).encode())


def forms(text: str) -> list[Form]:
    """The outermost forms of a text; comments are left out.

    Raises:
        ScriptError: a parenthesis too many or too few, or no token at all.
    """
    found: list[Form] = []
    inside: list[Form] = []
    at = 0
    while at < len(text):
        if text.startswith("(;", at):
            at = _comment_end(text, at)
            continue
        token = _TOKEN.match(text, at)
        if token is None:
            raise ScriptError(f"line {text.count(chr(10), 0, at) + 1}: no token")
        word, at = token[0], token.end()
        if word == "(":
            inside.append(Form(token.start()))
        elif word == ")":
            if not inside:
                raise ScriptError("a closing parenthesis too many")
            form = inside.pop()
            form.end = at
            (inside[-1].items if inside else found).append(form)
        elif not word[0].isspace() and not word.startswith(";;"):
            if not inside:
                raise ScriptError(f"{word} stands outside of all forms")
            inside[-1].items.append(word)
    if inside:
        raise ScriptError("a closing parenthesis too few")
    return found


def _comment_end(text: str, at: int) -> int:
    """Block comments nest."""
    depth = 0
    for mark in re.compile(r"\(;|;\)").finditer(text, at):
        depth += 1 if mark[0] == "(;" else -1
        if not depth:
            return mark.end()
    raise ScriptError("a comment has no end")


def unquote(word: str) -> bytes:
    """The bytes of a string literal."""
    if not word.startswith('"'):
        raise ScriptError(f"{word} is no string")

    def escape(found: re.Match[str]) -> str:
        code = found[1]
        if code in _ESCAPES:
            return _ESCAPES[code].decode()
        if code.startswith("u{"):
            return chr(int(code[2:-1], 16))
        # A byte by its digits need not be UTF-8: it passes through text as a lone surrogate.
        return bytes([int(code, 16)]).decode("utf-8", "surrogateescape")

    plain = re.sub(r"\\(u\{[0-9a-fA-F_]+\}|[0-9a-fA-F]{2}|.)", escape, word[1:-1])
    return plain.encode("utf-8", "surrogateescape")


# --- values ---


def value(form: Form, ty: WitType | None) -> Any:
    """A constant as a value of this type, as `edged.host.interface` says.

    Raises:
        ScriptError: it does not fit.
    """
    return _value(form.head, form.items[1:], ty)


def _value(head: str, rest: Sequence[str | Form], ty: WitType | None) -> Any:
    kind = head.partition(".")[0]
    match ty:
        case Primitive("BOOL"):
            return {"true": True, "false": False}[_word(rest)]
        case Primitive("STRING" | "CHAR"):
            return unquote(_word(rest)).decode()
        case Primitive("F32" | "F64"):
            return _float(_word(rest))
        case Primitive(name) if name.lower() == kind:
            return int(_word(rest).replace("_", ""), 0)
        case List(Primitive("U8")) | FixedList(Primitive("U8"), _):
            return bytes(_inner(item, Primitive("U8")) for item in rest)
        case List(element) | FixedList(element, _):
            return [_inner(item, element) for item in rest]
        case Tuple(elements):
            return tuple(_inner(item, element) for item, element in zip(rest, elements, strict=True))
        case Record(fields):
            return tuple(_field(item, name, inner) for item, (name, inner) in zip(rest, fields, strict=True))
        case Variant(cases):
            name = unquote(_word(rest)).decode()
            payload = dict(cases)[name]
            return name if payload is None else (name, _tail(rest[1:], payload))
        case Enum():
            return unquote(_word(rest)).decode()
        case Flags():
            return frozenset(unquote(item).decode() for item in rest if isinstance(item, str))
        case Option(payload):
            if head == "option.none":
                return None
            inner = _tail(rest, payload)
            return Some(inner) if isinstance(payload, Option) else inner
        case Result(ok, err):
            arm, inner_type = (Ok, ok) if head == "result.ok" else (Err, err)
            return arm(None if inner_type is None else _tail(rest, inner_type))
    raise ScriptError(f"{head} is no value of {ty}")


def _inner(item: str | Form, ty: WitType) -> Any:
    if not isinstance(item, Form):
        raise ScriptError(f"{item} is no value")
    return value(item, ty)


def _tail(rest: Sequence[str | Form], ty: WitType) -> Any:
    """A payload: a form of its own, or written on without parentheses, as `(option.some u32.const 7)`."""
    if isinstance(rest[0], Form):
        return value(rest[0], ty)
    return _value(rest[0], rest[1:], ty)


def _field(item: str | Form, name: str, ty: WitType) -> Any:
    """`(field "name" u8.const 1)`"""
    if not isinstance(item, Form) or item.head != "field" or unquote(_word(item.items[1:])).decode() != name:
        raise ScriptError(f"the field {name} is missing")
    return _tail(item.items[2:], ty)


def _word(rest: Sequence[str | Form]) -> str:
    if not rest or not isinstance(rest[0], str):
        raise ScriptError("a word is missing")
    return rest[0]


def _float(word: str) -> float:
    sign = -1.0 if word.startswith("-") else 1.0
    bare = word.lstrip("+-").replace("_", "")
    if bare.startswith("nan"):
        return float("nan")
    return sign * (float.fromhex(bare) if bare.startswith("0x") else float(bare))
