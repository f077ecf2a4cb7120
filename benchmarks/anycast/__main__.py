"""What anycast is worth, in the lab: `python -m benchmarks.anycast QUESTION [OPTION...]`; README.md has more.

Each question is a module with `add_arguments(parser)` and `measure(arguments) -> int`, its exit status.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from tests.lab.anycast import may_run

QUESTIONS = {
    "failover": "what clients see of each way in which a node, or a part of it, goes",
    "ecmp": "which flows break when one of four nodes behind one router leaves",
    "upgrade": "what clients lose when their node goes from one binary to another",
    "chaos": "whether anything is left over, or stale, after minutes of random faults",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.anycast", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="question", required=True)
    for name, text in QUESTIONS.items():
        importlib.import_module(f"{__package__}.{name}").add_arguments(commands.add_parser(name, help=text))
    arguments = parser.parse_args()
    if reason := may_run():
        print(f"no lab here: {reason}", file=sys.stderr)
        return os.EX_NOPERM
    return int(importlib.import_module(f"{__package__}.{arguments.question}").measure(arguments))


if __name__ == "__main__":
    sys.exit(main())
