"""Compiling a component or a core module to native code, in a child with limits.

Compiling is the cheapest bomb there is: 6 MB of valid wasm can take seconds and gigabytes. So the size is checked
first, and the compiler runs in a child of its own (`edged compile`) under RLIMIT_AS and RLIMIT_CPU. The child answers
with an artefact file, or with one JSON error on its stdout.
"""

from __future__ import annotations

import hashlib
import json
import re
import resource
import signal
import subprocess
from pathlib import Path
from typing import Literal

import trio
import wasmtime
from wasmtime import component

from edged import child
from edged.errors import CompileFailed, ComponentInvalid, ComponentUnsupported, DigestMismatch, EdgedError, from_json
from edged.limits import COMPILE_CPU_S_MAX, COMPILE_MEMORY_BYTES_MAX, COMPILE_TIMEOUT_S, KiB, MiB
from edged.wasm.engine import Engine

Kind = Literal["component", "module"]

_MAGIC = b"\0asm"
_ASYNC = "requires the component model async feature"
_LAYER_MODULE = b"\x01\x00\x00\x00"
_SNIFF_BYTES = 64 * KiB
_comments_and_blanks = re.compile(r"(?:\s+|;;[^\n]*\n|\(;.*?;\))*", re.DOTALL)


async def compile_in_child(
    source: Path,
    digest: str,
    output: Path,
    *,
    kind: Kind = "component",
    memory_bytes_max: int = COMPILE_MEMORY_BYTES_MAX,
    cpu_s_max: int = COMPILE_CPU_S_MAX,
) -> None:
    """Compile `source` (wasm or wat), whose sha256 is `digest`, to the artefact `output`.

    Args:
        kind: what the source should be.

    Raises:
        DigestMismatch: the file changed since it was hashed.
        ComponentInvalid, ComponentUnsupported: as the child says.
        CompileFailed: the child met a limit or crashed.
    """
    options = ["--kind", kind, "--memory-max", str(memory_bytes_max), "--cpu-max", str(cpu_s_max)]
    with trio.move_on_after(COMPILE_TIMEOUT_S) as timeout:
        done = await trio.run_process(
            child.command("compile", str(source), digest, str(output), *options),
            stdin=b"",
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    if timeout.cancelled_caught:
        raise CompileFailed(f"compiling {source.name} did not end within {COMPILE_TIMEOUT_S:g} s")
    if done.returncode:
        raise _failure(source.name, done, memory_bytes_max, cpu_s_max)


def _failure(name: str, done: subprocess.CompletedProcess[bytes], memory_bytes_max: int, cpu_s_max: int) -> EdgedError:
    try:
        return from_json(json.loads(done.stdout))
    except ValueError:
        pass
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return CompileFailed(f"compiling {name} took more than {cpu_s_max} s of CPU time")
    stderr = done.stderr.decode("utf-8", "replace").strip()
    if "memory" in stderr.lower() or done.returncode == -signal.SIGABRT:
        return CompileFailed(f"compiling {name} took more than {memory_bytes_max // MiB} MiB of memory")
    last_line = stderr.splitlines()[-1] if stderr else "no message"
    return CompileFailed(f"the compiler ended with status {done.returncode} on {name}: {last_line}")


def compile_here(
    source: Path, digest: str, output: Path, *, memory_bytes_max: int, cpu_s_max: int, kind: Kind = "component"
) -> None:
    """The child's side: limit this process, then compile. Errors as in `compile_in_child`."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s_max, cpu_s_max + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes_max, memory_bytes_max))
    binary = _binary(source, digest, kind)
    compile_it = component.Component if kind == "component" else wasmtime.Module
    try:
        compiled = compile_it(Engine().wasmtime, binary)
    except wasmtime.WasmtimeError as error:
        if _ASYNC in str(error):
            raise _wasi3(source.name, binary) from None
        what = "component" if kind == "component" else "core module"
        raise ComponentInvalid(f"{source.name} is not a valid {what}: {_reason(str(error))}") from None
    output.write_bytes(compiled.serialize())


def kind_of(source: Path) -> Kind:
    """What a file looks to be, by its first bytes: whoever compiles it finds out.

    Raises:
        OSError
    """
    with source.open("rb") as file:
        head = file.read(_SNIFF_BYTES)
    if head.startswith(_MAGIC):
        return "module" if head[4:8] == _LAYER_MODULE else "component"
    text = head.decode("utf-8", "replace")
    start = _comments_and_blanks.match(text)
    return "component" if text.startswith("(component", start.end() if start else 0) else "module"


def _binary(source: Path, digest: str, kind: Kind) -> bytes:
    data = source.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise DigestMismatch(f"{source.name} changed while it was being compiled", remedy="Try again.")
    if not data.startswith(_MAGIC):
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise ComponentInvalid(f"{source.name} is neither a WebAssembly binary nor text") from None
        try:
            data = bytes(wasmtime.wat2wasm(text))
        except wasmtime.WasmtimeError as error:
            raise ComponentInvalid(
                f"{source.name} is neither a WebAssembly binary nor valid WAT text: {_place(str(error))}"
            ) from None
    is_module = data[4:8] == _LAYER_MODULE
    if kind == "module" and not is_module:
        raise ComponentUnsupported(
            f"{source.name} is a component, not a core module", remedy="Build it for wasm32-wasip1."
        )
    if kind == "component" and is_module:
        raise ComponentUnsupported(
            f"{source.name} is a core module, not a component",
            remedy="Build it as a component (cargo build --target wasm32-wasip2, or componentize it); a program that "
            'speaks CGI runs as it is with executor = { type = "wagi" }.',
        )
    return data


def _wasi3(name: str, binary: bytes) -> ComponentUnsupported:
    """For a component that wasmtime refuses for its async functions. Which export it has is looked up in the bytes, for
    the message only."""
    handler = re.search(rb"wasi:http/handler@0\.3\.[0-9a-z.-]*[0-9a-z]", binary)
    what = f"it exports {handler[0].decode()}" if handler else "it has async functions"
    return ComponentUnsupported(
        f"{name} is built for WASI 0.3 ({what}), which edged does not run yet",
        remedy="Build it for the WASI 0.2 http world: an SDK that exports wasi:http/incoming-handler@0.2.",
    )


def _reason(text: str) -> str:
    """wasmtime's causes, outermost first, on one line."""
    lines = (line.strip() for line in text.splitlines())
    return "; ".join(line for line in lines if line and line != "Caused by:")


def _place(text: str) -> str:
    """What is wrong in WAT text, and the line and column of it; wasmtime draws the place over several lines."""
    what, _, drawing = text.strip().partition("\n")
    place = re.search(r"<anon>:(\d+):(\d+)", drawing)
    return f"{what} (line {place[1]}, column {place[2]})" if place else what
