"""Mutations of WebAssembly, each decided by a number: of its text, which keep most of it valid, and of its bytes.

Text is a tree of forms. A mutation of it swaps names of one kind, canonical options, types and numbers, or takes whole
forms out, in, or from elsewhere; and it puts calls into functions, with as many arguments as these take.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from edged.errors import ComponentInvalid
from edged.wasm.plan.reader import PREAMBLE_BYTES, Section, sections
from tests.wasm.component.script import Form, forms
from tests.wasm.plan.test_reader import leb

Tree = list["str | Tree"]

_CORE_TYPES = ("i32", "i32", "i64", "f32", "f64")
_VALUE_TYPES = (
    *("bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string"),
    "(list u8)",
)
_NUMBERS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 64, 255, 256, 1024, 65_520, 65_535, 65_536, 131_072)
_EXTREMES = (2**30, 2**28 - 1, 2**28, 2**31 - 1, -(2**31), -1, -2)
_OPTIONS = ("async", "string-encoding=utf8", "string-encoding=utf16", "string-encoding=latin1+utf16")
_OPTION_FORMS = ("memory", "realloc", "callback", "post-return")
_SEQUENCES = ("then", "else", "loop", "block")
_INSTRUCTIONS_FOREIGN = ("(unreachable)", "(return)", "(nop)", "(drop (memory.grow (i32.const 1)))")


def parse(text: str) -> Tree:
    """The only form of a text."""
    (form,) = forms(text)
    return _tree(form)


def write(tree: Tree) -> str:
    """Text again, without comments."""
    return "(" + " ".join(item if isinstance(item, str) else write(item) for item in tree) + ")"


def mutate_text(chance: random.Random, text: str, donor: str) -> str:
    """
    Args:
        donor: another component, of which forms may come.
    """
    tree = parse(text)
    others = parse(donor) if chance.random() < 0.2 else None
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        if others is not None and chance.random() < 0.4:
            _splice(chance, tree, others)
        else:
            chance.choice(_TEXT_MUTATIONS)(chance, tree)
    return write(tree)


def mutate_bytes(chance: random.Random, data: bytes) -> bytes:
    """Bytes of one section, however deep it stands, with all sizes right again: mostly outside of core modules."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = _in_sections(chance, data)
    return data


# --- trees ---


def _tree(form: Form) -> Tree:
    return [item if isinstance(item, str) else _tree(item) for item in form.items]


def _head(item: str | Tree) -> str:
    return item[0] if isinstance(item, list) and item and isinstance(item[0], str) else ""


@dataclass(slots=True)
class _Place:
    """An item of a form."""

    parent: Tree
    index: int

    @property
    def item(self) -> str | Tree:
        return self.parent[self.index]


def _places(tree: Tree) -> Iterator[_Place]:
    for index, item in enumerate(tree):
        yield _Place(tree, index)
        if isinstance(item, list):
            yield from _places(item)


def _copy(item: str | Tree) -> str | Tree:
    return item if isinstance(item, str) else [_copy(each) for each in item]


def _pick(chance: random.Random, tree: Tree, fits: Callable[[str | Tree], bool]) -> _Place | None:
    found = [place for place in _places(tree) if fits(place.item)]
    return chance.choice(found) if found else None


def _is_form(item: str | Tree) -> bool:
    return isinstance(item, list)


# --- mutations of trees ---


def _rename(chance: random.Random, tree: Tree) -> None:
    """Another name, mostly of what stands in forms of the same kind."""
    place = _pick(chance, tree, lambda item: isinstance(item, str) and item.startswith("$"))
    if place is None:
        return
    head = _head(place.parent)
    same = chance.random() < 0.8
    names = [
        other.item
        for other in _places(tree)
        if isinstance(other.item, str) and other.item.startswith("$") and (not same or _head(other.parent) == head)
    ]
    place.parent[place.index] = chance.choice(names)


def _quoted(chance: random.Random, tree: Tree) -> None:
    """Another text: the name of an import, of an export, or content of memory."""
    place = _pick(chance, tree, lambda item: isinstance(item, str) and item.startswith('"'))
    other = _pick(chance, tree, lambda item: isinstance(item, str) and item.startswith('"'))
    if place is not None and other is not None:
        place.parent[place.index] = other.item


def _remove(chance: random.Random, tree: Tree) -> None:
    place = _pick(chance, tree, _is_form)
    if place is not None:
        del place.parent[place.index]


def _duplicate(chance: random.Random, tree: Tree) -> None:
    place = _pick(chance, tree, _is_form)
    if place is not None:
        at = place.index + 1 if chance.random() < 0.5 else chance.randrange(1, len(place.parent) + 1)
        place.parent.insert(at, _copy(place.item))


def _swap(chance: random.Random, tree: Tree) -> None:
    """Two neighbours, or two of one form."""
    place = _pick(chance, tree, _is_form)
    if place is not None:
        index = chance.randrange(1, len(place.parent)) if len(place.parent) > 1 else place.index
        parent = place.parent
        parent[place.index], parent[index] = parent[index], parent[place.index]


def _exchange(chance: random.Random, tree: Tree) -> None:
    """A form becomes a copy of another of its kind."""
    _splice(chance, tree, tree)


def _splice(chance: random.Random, tree: Tree, others: Tree) -> None:
    place = _pick(chance, tree, _is_form)
    if place is None:
        return
    head = _head(place.item)
    other = _pick(chance, others, lambda item: isinstance(item, list) and _head(item) == head)
    if other is not None:
        place.parent[place.index] = _copy(other.item)


def _everywhere(chance: random.Random, tree: Tree) -> None:
    """A signature, a type or a result becomes another one wherever it stands: what uses it goes with it."""
    place = _pick(
        chance, tree, lambda item: _head(item) in ("param", "result", "list", "option", "stream", "future", "own")
    )
    if place is None:
        return
    old = place.item
    new = _copy(old)
    assert isinstance(new, list)
    _type(chance, new)
    for other in list(_places(tree)):
        if other.index < len(other.parent) and other.item == old:
            other.parent[other.index] = new


def _type(chance: random.Random, tree: Tree) -> None:
    place = _pick(chance, tree, lambda item: item in _CORE_TYPES or item in _VALUE_TYPES)
    if place is None:
        return
    item = place.item
    choices = _CORE_TYPES if item in _CORE_TYPES and chance.random() < 0.7 else _VALUE_TYPES
    place.parent[place.index] = chance.choice(choices)


def _number(chance: random.Random, tree: Tree) -> None:
    place = _pick(chance, tree, lambda item: isinstance(item, str) and item.lstrip("-").isdigit())
    if place is not None:
        near = int(str(place.item)) + chance.choice((-1, 1, 4, 8))
        place.parent[place.index] = str(chance.choice((near, near, chance.choice(_NUMBERS), chance.choice(_EXTREMES))))


def _options(chance: random.Random, tree: Tree) -> None:
    """A canonical option is put in, taken out, or given another item."""
    place = _pick(chance, tree, lambda item: _head(item) == "canon")
    if place is None:
        return
    canon = place.item
    assert isinstance(canon, list)
    option = chance.choice((*_OPTIONS, *_OPTION_FORMS))
    if option in _OPTIONS:
        if option in canon:
            canon.remove(option)
        else:
            canon.append(option)
        return
    there = [index for index, item in enumerate(canon) if _head(item) == option]
    other = _pick(chance, tree, lambda item: _head(item) == option and isinstance(item, list) and len(item) > 1)
    if there and chance.random() < 0.5:
        del canon[there[0]]
    elif other is not None:
        canon.append(_copy(other.item))


def _built_in(chance: random.Random, tree: Tree) -> None:
    """Another built-in with the same operands."""
    place = _pick(chance, tree, lambda item: _head(item) == "canon")
    other = _pick(chance, tree, lambda item: _head(item) == "canon")
    if place is not None and other is not None and isinstance(place.item, list) and isinstance(other.item, list):
        place.item[1] = _copy(other.item[1])


# --- calls in functions ---


@dataclass(slots=True)
class _Function:
    params: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)


def _functions(module: Tree) -> dict[str, _Function]:
    """Named functions of a core module, imported ones too."""
    found: dict[str, _Function] = {}
    for item in module:
        function = next((each for each in item if _head(each) == "func"), None) if _head(item) == "import" else item
        if not isinstance(function, list) or _head(function) != "func" or len(function) < 2:
            continue
        name = function[1]
        if not isinstance(name, str) or not name.startswith("$"):
            continue
        ty = found[name] = _Function()
        for part in function[2:]:
            if isinstance(part, list) and _head(part) in ("param", "result"):
                words = [word for word in part[1:] if isinstance(word, str) and not word.startswith("$")]
                (ty.params if part[0] == "param" else ty.results).extend(words)
    return {name: function for name, function in found.items() if len(function.results) < 2}


def _value(chance: random.Random, ty: str, functions: dict[str, _Function], depth: int) -> Tree:
    if depth:
        fits = [name for name, function in functions.items() if function.results == [ty]]
        if fits and chance.random() < 0.5:
            return _call(chance, chance.choice(fits), functions, depth - 1)
    if ty == "i32" and chance.random() < 0.2:
        return ["i32.load", ["i32.const", str(4 * chance.randrange(8))]]
    number = chance.choice(_NUMBERS if chance.random() < 0.9 else _EXTREMES)
    return [f"{ty}.const", str(number)]


def _call(chance: random.Random, name: str, functions: dict[str, _Function], depth: int) -> Tree:
    return ["call", name, *(_value(chance, ty, functions, depth) for ty in functions[name].params)]


def _insert_call(chance: random.Random, tree: Tree) -> None:
    """A call of a function of the same module, somewhere in one of its functions, with numbers or what others gave."""
    module = _pick(chance, tree, lambda item: item == "module")
    if module is None:
        return
    functions = _functions(module.parent)
    bodies = [
        place.parent
        for place in _places(module.parent)
        if place.index == 0 and (place.item in _SEQUENCES or (place.item == "func" and len(place.parent) > 2))
    ]
    if not functions or not bodies:
        return
    body = chance.choice(bodies)
    name = chance.choice(list(functions))
    call = _call(chance, name, functions, 2)
    statement: Tree = ["drop", call] if functions[name].results else call
    first = 1
    while first < len(body) and (isinstance(body[first], str) or _head(body[first]) in _DECLARATIONS):
        first += 1
    if chance.random() < 0.15:
        statement = parse(chance.choice(_INSTRUCTIONS_FOREIGN))
    # Before the last instruction, which may be the function's result.
    body.insert(chance.randint(first, max(first, len(body) - 1)), statement)


_DECLARATIONS = ("export", "import", "param", "result", "local", "type")
_TEXT_MUTATIONS: Sequence[Callable[[random.Random, Tree], None]] = (
    *[_insert_call] * 8,
    *[_options] * 3,
    *[_rename] * 3,
    *[_number] * 3,
    *[_type] * 2,
    *[_everywhere] * 2,
    *(_built_in, _duplicate, _exchange, _quoted, _remove, _swap),
)


# --- bytes ---

_MODULE, _COMPONENT = 1, 4
_INSIDE_CHANCE = 0.25


def _in_sections(chance: random.Random, data: bytes) -> bytes:
    try:
        found = list(sections(data))
    except ComponentInvalid:
        return _change(chance, data)
    if not found or chance.random() < 0.03:
        return _change(chance, data)
    parts = [(section.id, data[section.start : section.end]) for section in found]
    if chance.random() < 0.1:
        _reorder(chance, parts)
    else:
        index = chance.randrange(len(parts))
        number, content = parts[index]
        parts[index] = number, _in_section(chance, data, found[index], content)
    return data[:PREAMBLE_BYTES] + b"".join(bytes([number]) + leb(len(content)) + content for number, content in parts)


def _in_section(chance: random.Random, data: bytes, section: Section, content: bytes) -> bytes:
    is_component = data[6] == 1  # the layer, behind magic and version
    if is_component and section.id == _COMPONENT:
        return _in_sections(chance, content)
    if is_component and section.id == _MODULE:
        return _in_sections(chance, content) if chance.random() < _INSIDE_CHANCE else content
    return _change(chance, content)


def _reorder(chance: random.Random, parts: list[tuple[int, bytes]]) -> None:
    one, other = chance.randrange(len(parts)), chance.randrange(len(parts))
    match chance.randrange(3):
        case 0:
            parts[one], parts[other] = parts[other], parts[one]
        case 1:
            parts.insert(one, parts[other])
        case _:
            del parts[one]


def _change(chance: random.Random, data: bytes) -> bytes:
    if not data:
        return chance.randbytes(chance.randrange(3))
    changed = bytearray(data)
    at = chance.randrange(len(data))
    match chance.randrange(8):
        case 0:
            changed[at] ^= 1 << chance.randrange(8)
        case 1:
            changed[at] = chance.choice((0, 1, 2, 0x3F, 0x40, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        case 2:
            del changed[at : at + chance.randrange(1, 9)]
        case 3:
            changed[at:at] = chance.randbytes(chance.randrange(1, 5))
        case 4:
            source = chance.randrange(len(data))
            length = chance.randrange(1, 9)
            changed[at : at + length] = data[source : source + length]
        case _:
            changed[at] = (changed[at] + chance.choice((-2, -1, 1, 2))) % 0x80
    return bytes(changed)
