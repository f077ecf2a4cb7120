"""The head of the one file: a shell script of a fixed length, behind which the archive begins.

    dist/edged = header.sh, filled in, to HEADER_BYTES | folder of PyInstaller as .tar.gz

The build id, sha256 of the list of what is in the archive, names the folder that it is unpacked into.
"""

from __future__ import annotations

import re
from pathlib import Path

HEADER_BYTES = 8192
"""As dash reads a script: no byte of the archive reaches the shell. The script has half of it to grow."""

UNFINISHED = ".edged-new."
"""How folders begin that are being unpacked or removed. The head removes those that an hour has passed over."""

_TEMPLATE = Path(__file__).with_name("header.sh")
_build_id = re.compile(rb"^ *build=([0-9a-f]{64})$", re.MULTILINE)


def header(build_id: str, *, version: str, machine: str, glibc: str) -> bytes:
    """The first HEADER_BYTES of the one file.

    Args:
        build_id: 64 hexadecimal digits.
        version: for whoever looks into the file, as `edged --version` says it.
        machine: what it runs on, as uname(2) calls it.
        glibc: the least version of the C library that it runs with, `2.36`.
    """
    text = _TEMPLATE.read_text("ascii")
    values = {"BUILD": build_id, "VERSION": version, "MACHINE": machine, "GLIBC": glibc, "SKIP": str(HEADER_BYTES + 1)}
    for name, value in values.items():
        assert f"@{name}@" in text, f"the template has no @{name}@"
        text = text.replace(f"@{name}@", value)
    script = text.encode("ascii")
    assert len(script) < HEADER_BYTES, f"the head has grown to {len(script)} bytes"
    return script.ljust(HEADER_BYTES, b"\n")


def build_id_of(file: Path) -> str | None:
    """Which folder of `provisioning.paths.UNPACKED` a one file is unpacked into. None: it is not one of ours.

    Raises:
        OSError
    """
    with file.open("rb") as opened:
        found = _build_id.search(opened.read(HEADER_BYTES))
    return found[1].decode() if found else None
