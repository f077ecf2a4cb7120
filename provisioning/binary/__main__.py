"""`python -m provisioning.binary`: builds dist/edged, dist/edged.sha256 and dist/edged.files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from provisioning.binary.build import build
from provisioning.errors import BinaryNotBuilt

_MIB = 1024 * 1024


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m provisioning.binary", description="Build edged as one file.")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("dist/edged"), help="the file, replaced if it is there"
    )
    parser.add_argument("--work", type=Path, default=Path("build/binary"), help="a folder for what is made on the way")
    arguments = parser.parse_args()
    sys.stdout.write(f"building {arguments.output}: about a minute\n")
    sys.stdout.flush()
    try:
        built = build(arguments.output, arguments.work)
    except BinaryNotBuilt as error:
        sys.stderr.write(f"error: {error.message}\n  -> {error.remedy}  [{error.code}]\n")
        return error.exit_status
    sizes = f"{built.size_bytes / _MIB:.1f} MiB, {built.unpacked_bytes / _MIB:.1f} MiB unpacked"
    sys.stdout.write(f"{built.file}  edged {built.version}\n{sizes}\nsha256 {built.sha256}\n")
    if "commit" not in built.version:
        sys.stdout.write("The sources have changes that are not committed, so it says no commit.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
