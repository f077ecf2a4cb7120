"""A worker of a node that has power over the machine's network has none itself."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests.lab.lab import may_run

_WORKER = """
import sys
from edged.cli.worker import worker

def show():
    with open("/proc/self/status") as file:
        print(*(line.split()[1] for line in file if line.startswith(("CapEff", "CapPrm", "CapInh", "CapAmb"))))

show()
worker.main(["--control-fd", sys.argv[1]], standalone_mode=False)
show()
"""
_NET_ADMIN = f"{1 << 12:016x}"  # linux/capability.h
_NOTHING = "0" * 16
_reason = may_run("setpriv")


@pytest.mark.skipif(bool(_reason), reason=_reason or "-")
@pytest.mark.parametrize(("user", "after"), [(65534, [_NOTHING] * 4), (0, None)])
def test_it_gives_up_what_the_unit_gives_the_node(user: int, after: list[str] | None) -> None:
    """As a user with ambient capabilities, as systemd starts one. Root, who has them by its name, stays root."""
    ours, theirs = socket.socketpair()
    ours.close()  # the supervisor is gone, so the worker ends when it looks for what to do
    as_user = [f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all,+net_admin"]
    with theirs:
        done = subprocess.run(
            ["setpriv", *as_user, "--ambient-caps=+net_admin", sys.executable, "-c", _WORKER, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    before, then = (line.split() for line in done.stdout.splitlines())
    assert before[3] == _NET_ADMIN
    assert then == (before if after is None else after)
