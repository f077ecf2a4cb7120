"""How long a push takes, and what it moves: `python -m benchmarks.push [QUESTION...]`; README.md has more."""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks.push import regions, releases, sizes
from tests.lab.lab import may_run

QUESTIONS = {"regions": regions.measure, "releases": releases.measure, "sizes": sizes.measure}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.push", description="How long a push takes, and what it moves.")
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=", ".join(QUESTIONS) + "; all if none")
    names = parser.parse_args().questions or list(QUESTIONS)
    for name in names:
        if name not in QUESTIONS:
            parser.error(f"there is no question {name!r}")
    if "regions" in names and may_run():
        sys.exit(may_run())
    for name in names:
        for row in QUESTIONS[name]():
            print(json.dumps({"question": name, **row}), flush=True)


if __name__ == "__main__":
    main()
