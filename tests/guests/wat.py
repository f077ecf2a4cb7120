"""Guests written in WebAssembly text: no tool builds them, wasmtime reads them in milliseconds.

A file of `wat/` is one component. A line `;; include NAME` stands for the text of `wat/include/NAME`: the imports and
the answering are written once, so that a guest shows only what it does.
"""

from __future__ import annotations

import re
from pathlib import Path

import wasmtime

FOLDER = Path(__file__).parent / "wat"
_INCLUDE = re.compile(r"^ *;; include (\S+)\n", re.MULTILINE)


def names() -> list[str]:
    """Every guest of the folder, the broken ones too."""
    return sorted(path.stem for path in FOLDER.glob("*.wat"))


def text(name: str, *, extra: str = "") -> str:
    """The whole text of a guest, as a `.wat` source in a spin.toml may hold it.

    `extra` is more component text, put first: definitions that the guest then owns beside its own.
    """
    whole = _INCLUDE.sub(lambda line: (FOLDER / "include" / line[1]).read_text(), (FOLDER / f"{name}.wat").read_text())
    return whole.replace("(component\n", f"(component\n{extra}", 1) if extra else whole


def wasm(name: str, *, extra: str = "") -> bytes:
    """The binary of a guest, not validated.

    Raises:
        wasmtime.WasmtimeError: the text is not WebAssembly text (the guest `syntax-error`).
    """
    return bytes(wasmtime.wat2wasm(text(name, extra=extra)))


def doc(name: str) -> str:
    """What the guest does: the comment on top of its file, without the guest's name."""
    comment = re.match(r"(?:;; .*\n)+", (FOLDER / f"{name}.wat").read_text())
    assert comment is not None, f"{name}.wat does not begin with a comment"
    return " ".join(line.removeprefix(";; ") for line in comment[0].splitlines()).removeprefix(f"{name}: ")


def corrupt() -> bytes:
    """`hello` cut off in the middle of a section."""
    whole = wasm("hello")
    return whole[: len(whole) * 2 // 3]


def with_size(size_bytes: int) -> bytes:
    """`hello` with a custom section that makes it exactly this large."""
    whole = wasm("hello")
    name = b"\x07padding"
    # The id of a custom section and its size, which LEB128 lets us write in five bytes whatever it is.
    length = size_bytes - len(whole) - 6
    size = bytes((length >> shift & 0x7F) | 0x80 for shift in (0, 7, 14, 21)) + bytes([length >> 28])
    return whole + b"\0" + size + name + bytes(length - len(name))


# --- `counter` with as much of something as the caller says, in all: at a limit and one over it ---

_COUNTER_INSTANCES = 3  # $memory, $lib and $guest of include/


def with_memories(count: int) -> bytes:
    """`counter` in a component of `count` linear memories, one page each but its own."""
    return wasm("counter", extra=_instances("(memory 1)", count - 1))


def with_tables(count: int) -> bytes:
    """`counter` in a component of `count` tables of one element."""
    return wasm("counter", extra=_instances("(table 1 funcref)", count))


def with_table_elements(count: int) -> bytes:
    """`counter` in a component with one table that has `count` elements from the start."""
    return wasm("counter", extra=_instances(f"(table {count} funcref)", 1))


def with_memory_pages(count: int) -> bytes:
    """`counter` in a component with a second memory of `count` pages of 64 KiB from the start."""
    return wasm("counter", extra=_instances(f"(memory {count})", 1))


def with_instances(count: int) -> bytes:
    """`counter` in a component of `count` core instances."""
    return wasm("counter", extra=_instances("", count - _COUNTER_INSTANCES))


def _instances(definition: str, count: int) -> str:
    return f"(core module $X {definition})" + "(core instance (instantiate $X))" * count
