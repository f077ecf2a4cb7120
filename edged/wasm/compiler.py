"""Compiling a component or a core module to native code, in a child with limits.

Compiling is the cheapest bomb there is: 6 MB of valid wasm can take seconds and gigabytes. So the size is checked
first, and the compiler runs in a child of its own (`edged compile`) under RLIMIT_AS and RLIMIT_CPU. The child answers
with artefacts in a folder, or with one JSON error on its stdout.

A component is compiled for the C API where wasmtime takes it for that. One that needs what the C API has no values for,
as WASI 0.3 does, comes to a plan and its core modules (`edged.wasm.plan.compiled`). The names of the files say
which it was.
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
from edged.errors import (
    CacheError,
    CompileFailed,
    ComponentInvalid,
    ComponentUnsupported,
    DigestMismatch,
    EdgedError,
    from_json,
)
from edged.limits import COMPILE_CPU_S_MAX, COMPILE_MEMORY_BYTES_MAX, COMPILE_TIMEOUT_S, KiB, MiB
from edged.wasm.engine import Engine
from edged.wasm.plan.artefact import PlanArtefact, write_artefact
from edged.wasm.plan.compiled import check_module, compile_module, take_apart, wiring
from edged.wasm.trap import lacks_feature, reason

Kind = Literal["component", "module"]
Form = Literal["plan"]

COMPONENT, MODULE, PLAN = "component", "module", "plan"
"""Names of the artefacts that a folder may have. Beside a plan are the core modules that it names, by their sha256."""

_MAGIC = b"\0asm"
_LAYER_MODULE = b"\x01\x00\x00\x00"
_SNIFF_BYTES = 64 * KiB
_component_text = re.compile(r"\(\s*component\b")
_comments_and_blanks = re.compile(r"(?:\s+|;;[^\n]*\n|\(;.*?;\))*", re.DOTALL)


async def compile_in_child(
    source: Path,
    digest: str,
    output: Path,
    *,
    kind: Kind = "component",
    form: Form | None = None,
    memory_bytes_max: int = COMPILE_MEMORY_BYTES_MAX,
    cpu_s_max: int = COMPILE_CPU_S_MAX,
) -> None:
    """Compile `source` (wasm or wat), whose sha256 is `digest`, to artefacts in the folder `output`.

    Args:
        kind: what the source should be.
        form: what a component has to come to; None leaves it to the component.

    Raises:
        DigestMismatch: the file changed since it was hashed.
        ComponentInvalid, ComponentUnsupported, ComponentTooLarge: as the child says.
        CacheError: the folder cannot be written.
        CompileFailed: the child met a limit or crashed.
    """
    options = ["--kind", kind, "--memory-max", str(memory_bytes_max), "--cpu-max", str(cpu_s_max)]
    if form is not None:
        options += ["--form", form]
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
    source: Path,
    digest: str,
    output: Path,
    *,
    memory_bytes_max: int,
    cpu_s_max: int,
    kind: Kind = "component",
    form: Form | None = None,
) -> None:
    """The child's side: limit this process, then compile. Errors as in `compile_in_child`."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s_max, cpu_s_max + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes_max, memory_bytes_max))
    binary = _binary(source, digest, kind)
    engine = Engine().wasmtime
    try:
        if kind == "module":
            _compile_module(engine, source.name, binary, output)
        elif form == "plan":
            _compile_plan(engine, source.name, binary, output)
        else:
            _compile_component(engine, source.name, binary, output)
    except OSError as error:  # all that is left of files is to write: on a full disk, for one
        raise CacheError(f"what {source.name} was compiled to cannot be written: {error.strerror}") from error


def _compile_module(engine: wasmtime.Engine, name: str, binary: bytes, output: Path) -> None:
    try:
        compiled = wasmtime.Module(engine, binary)
    except wasmtime.WasmtimeError as error:
        raise ComponentInvalid(f"{name} is not a valid core module: {reason(str(error))}") from None
    (output / MODULE).write_bytes(compiled.serialize())


def _compile_component(engine: wasmtime.Engine, name: str, binary: bytes, output: Path) -> None:
    try:
        compiled = component.Component(engine, binary)
    except wasmtime.WasmtimeError as error:
        refusal = reason(str(error))
    else:
        (output / COMPONENT).write_bytes(compiled.serialize())
        return
    try:
        _compile_plan(engine, name, binary, output)
    except EdgedError:
        if lacks_feature(refusal):
            raise
        # Wrong for the C API too, and its message names the place in the file.
        raise ComponentInvalid(f"{name} is not a valid component: {refusal}") from None


def _compile_plan(engine: wasmtime.Engine, name: str, binary: bytes, output: Path) -> None:
    """Write the artefact last: without it there is nothing."""
    try:
        parts = take_apart(binary)
        for unused in parts.unused_modules():
            check_module(engine, unused)
        keys = []
        for rewritten in parts.modules():
            keys.append(hashlib.sha256(rewritten).hexdigest())
            file = output / keys[-1]
            if not file.exists():
                file.write_bytes(compile_module(engine, rewritten).serialize())
    except EdgedError as error:
        error.message = f"{name}: {error.message}"
        raise
    artefact = PlanArtefact(parts.skeleton, wiring(parts.plan), tuple(keys))
    (output / PLAN).write_bytes(write_artefact(artefact))


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
    return "component" if _component_text.match(text, start.end() if start else 0) else "module"


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


def _place(text: str) -> str:
    """What is wrong in WAT text, and the line and column of it; wasmtime draws the place over several lines."""
    what, _, drawing = text.strip().partition("\n")
    place = re.search(r"<anon>:(\d+):(\d+)", drawing)
    return f"{what} (line {place[1]}, column {place[2]})" if place else what
