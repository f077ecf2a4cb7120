"""Run `.wast` scripts over the core API path: `python -m tests.wasm.component.wast PATH...`, or `run_script` in a test.

Every component is taken apart, validated, planned, compiled and instantiated as an application's is; nothing stands
behind its imports. The command runs each file in a process of its own, so that one that crashes or hangs is a line of
the table like any other. The script's grammar is in `script.py`.
"""

from __future__ import annotations

import argparse
import faulthandler
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import trio
import trio.testing
import wasmtime

from edged.errors import ComponentInvalid, ComponentTooLarge, ComponentUnsupported, GuestError
from edged.host.interface import Err, Ok
from edged.wasm.component.instance import Instance
from edged.wasm.component.program import ComponentProgram
from edged.wasm.engine import Engine, PoolConfig
from edged.wasm.plan.compiled import CompiledPlan, compile_in_process
from tests.wasm.component import script
from tests.wasm.component.script import Command, Define, Instantiate, Invoke, Refused, Return, Source, Trap
from tests.wasm.hosts import invocation

Verdict = Literal["ok", "fail", "gap"]
_WAIT_S = 10.0  # on a clock that jumps when nothing else happens: a call that never ends ends here, at once
_FILE_S_MAX = 120.0  # for one file of the command: a hang is a failure, too
SMALL_POOL = PoolConfig(instances=200, core_instances=2_000, memories=400, tables=400)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one command.

    Attributes:
        verdict: `gap` where edged says that it does not have what a component uses.
        said: what was wrong; empty where nothing was.
    """

    line: int
    verdict: Verdict
    said: str = ""


class Failed(Exception):
    """An expectation of the script is not met."""


class Gap(Exception):
    """The command is about a component that uses what edged does not have."""


class Runner:
    """The state of one script: components by their names, and all instances that it made."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._definitions: dict[str, CompiledPlan | None] = {}
        self._instances: dict[str, Instance | None] = {"": None}
        self._made: list[Instance] = []

    async def run(self, command: Command) -> Outcome:
        try:
            with trio.fail_after(_WAIT_S):
                await self._run(command)
        except (Gap, ComponentUnsupported) as gap:
            return Outcome(command.line, "gap", str(gap))
        except Failed as failed:
            return Outcome(command.line, "fail", str(failed))
        except (GuestError, ComponentInvalid, ComponentTooLarge) as error:
            return Outcome(command.line, "fail", f"{type(error).__name__}: {error.message}")
        except trio.TooSlowError:
            return Outcome(command.line, "fail", "never ends")
        except Exception as error:
            # Of the script, of the host, or of ours: all are failures of this line and of no other.
            return Outcome(command.line, "fail", "".join(traceback.format_exception(error)).strip())
        return Outcome(command.line, "ok")

    def close(self) -> None:
        for instance in self._made:
            instance.close()

    async def _run(self, command: Command) -> None:
        match command:
            case Define(_, name, source):
                self._definitions[name] = None
                self._definitions[name] = compile_in_process(self._engine, source.binary())
            case Instantiate(_, name, definition, source):
                self._instances[""] = self._instances[name] = None
                if source is None:
                    compiled = self._definitions[definition]
                    if compiled is None:
                        raise Gap(f"{definition} is a gap")
                else:
                    compiled = compile_in_process(self._engine, source.binary())
                self._instances[""] = self._instances[name] = await self._instantiate(compiled)
            case Return(_, invoke, wanted):
                await self._expect(invoke, wanted)
            case Trap(_, action, message):
                await self._expect_trap(action, message)
            case Refused(_, source, _):
                self._expect_refusal(source)

    async def _instantiate(self, compiled: CompiledPlan) -> Instance:
        instance = Instance(ComponentProgram(self._engine, compiled, ()), invocation())
        self._made.append(instance)
        await instance.instantiate()
        return instance

    async def _call(self, invoke: Invoke) -> tuple[Any, Any]:
        """What the export returns, and the function's type."""
        instance = self._instances[invoke.instance]
        if instance is None:
            raise Gap("there is no instance to call")
        export = instance.program.export("", invoke.function)
        if export is None:
            raise Failed(f"there is no export {invoke.function!r}")
        ty = instance.program.type.functions[invoke.function]
        arguments = [script.value(form, param) for form, param in zip(invoke.arguments, ty.params, strict=True)]
        return await instance.call(export, *arguments), ty

    async def _expect(self, invoke: Invoke, wanted: script.Form | None) -> None:
        returned, ty = await self._call(invoke)
        if wanted is None:
            return
        value = script.value(wanted, ty.result)
        if not same(returned, value):
            raise Failed(f"{invoke.function} returned {returned!r} instead of {value!r}")

    async def _expect_trap(self, action: Invoke | Source, message: str) -> None:
        try:
            if isinstance(action, Source):
                await self._instantiate(compile_in_process(self._engine, action.binary()))
            else:
                await self._call(action)
        except GuestError as error:
            if message in error.message:
                return
            raise Failed(f"trapped with {error.message!r} instead of {message!r}") from None
        raise Failed(f"did not trap with {message!r}")

    def _expect_refusal(self, source: Source) -> None:
        """By whom and in which words is not compared: text is refused by its reader, binaries by wasmtime or by us."""
        try:
            compile_in_process(self._engine, source.binary())
        except (wasmtime.WasmtimeError, ComponentInvalid, ComponentUnsupported, ComponentTooLarge):
            return
        raise Failed("is taken as valid")


def same(one: Any, other: Any) -> bool:
    """Equal, where any NaN is any other, and an ok value may stand for itself."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (one != one and other != other)
    if isinstance(one, Ok | Err) and isinstance(other, Ok | Err):
        return type(one) is type(other) and same(one.value, other.value)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


async def run_script(engine: Engine, text: str) -> list[Outcome]:
    """Run all commands of a script, one after the other, whatever became of those before.

    Raises:
        ScriptError: it is no script.
    """
    runner = Runner(engine)
    try:
        return [await runner.run(command) for command in script.commands(text)]
    finally:
        runner.close()


# --- the command ---


def main(arguments: list[str]) -> int:
    """Returns 1 if a command of any script failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.wasm.component.wast", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a script, or a folder of them")
    parser.add_argument("--here", action="store_true", help="run a single script in this process")
    options = parser.parse_args(arguments)
    if options.here:
        _run_here(options.paths[0])
        return 0
    total: Counter[str] = Counter()
    for path in _scripts(options.paths):
        total += _run_apart(path)
    _say(f"{'in all':60} {_counts(total)}")
    return 1 if total["fail"] or total["died"] else 0


def _scripts(paths: Iterable[Path]) -> list[Path]:
    return [found for path in paths for found in (sorted(path.rglob("*.wast")) if path.is_dir() else [path])]


def _counts(counted: Counter[str]) -> str:
    return "  ".join(
        f"{kind} {counted[kind]}" for kind in ("ok", "fail", "gap", "died") if counted[kind] or kind == "ok"
    )


def _run_apart(path: Path) -> Counter[str]:
    command = [sys.executable, "-m", "tests.wasm.component.wast", "--here", str(path)]
    counted: Counter[str] = Counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FILE_S_MAX, check=False)
        said, shown, died = done.stdout, done.stderr, done.returncode != 0
    except subprocess.TimeoutExpired as hung:
        said, shown, died = _text(hung.stdout), "hangs", True
    lines = said.splitlines()
    for line in lines:
        counted[line.partition(" ")[0]] += 1
    if died:
        counted["died"] += 1
    _say(f"{'/'.join(path.parts[-2:]):60} {_counts(counted)}")
    for line in lines:
        if not line.startswith("ok"):
            _say(f"    {line}")
    if died:
        _say("    " + "\n    ".join(shown.splitlines()[-25:]))
    return counted


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _text(output: bytes | str | None) -> str:
    return output.decode() if isinstance(output, bytes) else output or ""


def _run_here(path: Path) -> None:
    """One line for each command: `ok 12`, or `fail 12: what is wrong`."""
    faulthandler.enable()
    engine = Engine(SMALL_POOL)
    engine.start_ticking()
    outcomes = trio.run(run_script, engine, path.read_text(), clock=trio.testing.MockClock(autojump_threshold=0))
    for outcome in outcomes:
        said = " | ".join(outcome.said.splitlines()[-3:])
        _say(f"{outcome.verdict} {outcome.line}" + (f": {said[:300]}" if said else ""))
    engine.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
