"""Real nodes under faults: `python -m benchmarks.chaos [QUESTION] [OPTION...]`; README.md has more.

Each question is a module with `add_arguments(parser)` and `measure(arguments) -> int`, its exit status. Without one it
is `minutes`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

QUESTIONS = {
    "minutes": "what a fleet under load loses in minutes of faults, and how long it takes to come together again",
    "kills": "whether a supervisor that is killed again and again finds what it had, and starts",
}


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; `question` is the module's name."""
    parser = argparse.ArgumentParser(prog="benchmarks.chaos", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="question", required=True)
    for name, text in QUESTIONS.items():
        importlib.import_module(f"{__package__}.{name}").add_arguments(commands.add_parser(name, help=text))
    named = bool(arguments) and (arguments[0] in QUESTIONS or arguments[0] in ("-h", "--help"))
    return parser.parse_args(arguments if named else ["minutes", *arguments])


def main() -> int:
    arguments = parsed(sys.argv[1:])
    return int(importlib.import_module(f"{__package__}.{arguments.question}").measure(arguments))


if __name__ == "__main__":
    sys.exit(main())
