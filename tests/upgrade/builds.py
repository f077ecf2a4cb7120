"""Another build of the one file, without building it: the same program that says another commit."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from provisioning.binary.contents import build_id, entries_of, glibc_needed, write_archive
from provisioning.binary.header import HEADER_BYTES, header

_COMMIT = Path("_internal/edged/commit")


def another(file: Path, to: Path, commit: str, work: Path) -> Path:
    """Pack the same once more.

    Args:
        commit: 12 hexadecimal digits, which it says in `--version`.
        work: a folder for its contents.
    """
    work.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(file.read_bytes()[HEADER_BYTES:]), mode="r:gz") as archive:
        archive.extractall(work, filter="tar")
    (work / _COMMIT).write_text(commit)
    entries = entries_of(work)
    with to.open("wb") as output:
        head = {"version": f"another (commit {commit})", "machine": "this", "glibc": glibc_needed(work)}
        output.write(header(build_id(entries), **head))
        write_archive(work, entries, output)
    to.chmod(0o755)
    return to
