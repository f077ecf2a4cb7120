"""What wasmtime's error texts mean.

The C API gives component errors as text only. The parts looked for here are wasmtime's own trap and limiter messages;
tests/wasm/test_limits.py meets each with a real guest, so a change of wording in a new wasmtime is seen.
"""

from __future__ import annotations

import re

from edged.errors import GuestBudgetExhausted, GuestError, GuestMemoryExhausted, GuestStackExhausted, GuestTrap

_MEANINGS: tuple[tuple[str, type[GuestError], str], ...] = (
    ("call stack exhausted", GuestStackExhausted, "the guest's call stack is exhausted"),
    ("memory minimum size", GuestMemoryExhausted, "the guest needs more memory at its start than it may use"),
    ("memory count too high", GuestMemoryExhausted, "the guest has more linear memories than it may have"),
    ("table minimum size", GuestMemoryExhausted, "the guest needs larger tables than it may use"),
    ("table count too high", GuestMemoryExhausted, "the guest has more tables than it may have"),
    ("instance count too high", GuestMemoryExhausted, "the guest has more core instances than it may have"),
    ("maximum concurrent", GuestMemoryExhausted, "the worker has no free slot for this guest"),
    ("too many", GuestBudgetExhausted, ""),
    ("hostcall", GuestBudgetExhausted, "the guest handed the host too much data in one call"),
)


_BACKTRACE = "error while executing at wasm backtrace"
_CAUSES = "Caused by:"
_FAILED = "failed to parse WebAssembly module"  # of a component too; what follows says why
_feature = re.compile(
    r"requires? the .+ (?:feature|proposal)|(?:feature|support|proposal).* (?:not|must be) (?:enabled|active)"
    r"|must be enabled|to be enabled|is disabled|without the .+ feature"
)
_frame = re.compile(rf"\d+:\s+0x|{_BACKTRACE}")


def guest_error(text: str) -> GuestError:
    """The error for a text of wasmtime's. A backtrace in it is left out: it has names of functions, which say what the
    guest's author wants them to say."""
    if _BACKTRACE in text:
        text = text.rpartition(_CAUSES)[2]
    for part, error, message in _MEANINGS:
        if part in text:
            return error(message or _cause(text))
    return GuestTrap(_cause(text))


def lacks_feature(text: str) -> bool:
    """Whether wasmtime refuses to compile something for a feature that is not on, rather than for what is wrong."""
    return _feature.search(text) is not None


def reason(text: str) -> str:
    """Why wasmtime refuses to compile something: its causes, outermost first, on one line."""
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if line and line != _CAUSES]
    return "; ".join(said[1:] if len(said) > 1 and said[0] == _FAILED else said)


def _cause(text: str) -> str:
    """The trap, if the text names one, else all that it says but the backtrace, on one line."""
    lines = [line.strip() for line in text.splitlines()]
    for line in lines:
        if "wasm trap:" in line:
            return line[line.index("wasm trap:") :]
    said = [line for line in lines if line and line != _CAUSES and not _frame.match(line)]
    return "; ".join(said) or "the guest trapped"
