"""A machine that becomes a node by itself: `make vm`, or

    python -m tests.vm [--scenario boot] [--accel kvm|tcg] [--json]

boots Debian with cloud-init in qemu, with what `edged provision render` says and nothing else of edged, and watches
from outside until it serves and announces. Takes root. What it costs and shows: README.md here.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from tests.lab.lab import may_run
from tests.vm.image import image
from tests.vm.machine import this_accel
from tests.vm.report import table
from tests.vm.run import SCENARIOS, run

_HERE = Path(__file__).parents[2]
_CACHE = _HERE / ".cache" / "vm"
_PROGRAMS = ("qemu-system-x86_64", "qemu-img", "debootstrap", "mke2fs", "genisoimage", "bird", "birdc")


def main() -> int:
    arguments = argparse.ArgumentParser(prog="make vm", description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--scenario", choices=SCENARIOS, action="append", help="all, if it is not said")
    arguments.add_argument("--accel", choices=("kvm", "tcg"), default=this_accel(), help="%(default)s here")
    arguments.add_argument("--binary", type=Path, default=_HERE / "dist" / "edged", help="the one file")
    arguments.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
    given = arguments.parse_args()
    reason = may_run(*_PROGRAMS) or ("" if given.binary.is_file() else f"there is no {given.binary}: make binary")
    if reason:
        _say(f"no machine here: {reason}")
        return os.EX_NOPERM if os.geteuid() else os.EX_UNAVAILABLE
    # A signal ends it as Ctrl-C does: by way of all its blocks, which remove what they made.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    # The fleet's own node and all commands are the one file as well.
    os.environ["EDGED_BIN"] = str(given.binary.resolve())
    try:
        made = image(_CACHE, _say)
        _say(f"{given.binary}, {given.binary.stat().st_size / (1 << 20):.1f} MiB; {given.accel}")
        reports = [
            run(name, made, given.binary, accel=given.accel, kept=_CACHE / "last" / name, tell=_say)
            for name in given.scenario or SCENARIOS
        ]
    except KeyboardInterrupt:
        _say("the machine is gone")
        return 128 + signal.SIGINT
    if given.as_json:
        sys.stdout.write(json.dumps({"accel": given.accel, "reports": [each.as_json() for each in reports]}) + "\n")
    else:
        sys.stdout.write(table(reports) + "\n")
    return 0 if all(report.is_well for report in reports) else 1


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
