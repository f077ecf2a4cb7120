"""A network namespace as a machine of its own, for tests of what a machine has. Takes root, as the lab does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Machine:
    """Its name is that of the namespace."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str) -> str:
        done = subprocess.run(["ip", "netns", "exec", self.name, *command], check=True, capture_output=True, text=True)
        return done.stdout

    def ask(self, *arguments: str, user: tuple[str, ...] = ()) -> Any:
        """See tests.bgp.in_namespace."""
        return json.loads(self.run(*user, sys.executable, "-m", "tests.bgp.in_namespace", *arguments))


@contextmanager
def machine() -> Iterator[Machine]:
    name = f"edged-{os.getpid()}-machine"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        here = Machine(name)
        here.run("ip", "link", "set", "lo", "up")
        yield here
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
