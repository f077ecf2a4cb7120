"""An anycast internet to try things in, by hand: `make lab`, or

    python -m tests.lab [FILE.toml] [-c COMMAND]

brings up BIRD and FRR routers, a fleet of edged nodes with an app that names its region, and clients. Then a shell for
each client in tmux, if that is there; else one shell, in which `at PLACE COMMAND` runs a command at a place. With -c
the command alone runs, in a shell, and its exit status is that of the lab. All is gone at the end, also on Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.anycast_net import INTERNET, PORT, AnycastNet, anycast_internet
from tests.edged_command import edged_command
from tests.lab.anycast import may_run
from tests.lab.internet import Internet

_HERE = Path(__file__).parents[2]


def main() -> int:
    arguments = argparse.ArgumentParser(prog="make lab", description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("file", nargs="?", type=Path, default=INTERNET, help="what to build")
    arguments.add_argument("-c", dest="command", help="a shell command to run in place of a shell")
    arguments.add_argument("--workers", type=int, default=2, help="of each node")
    given = arguments.parse_args()
    reason = may_run()
    if reason:
        _say(f"no lab here: {reason}")
        return os.EX_NOPERM if os.geteuid() else os.EX_UNAVAILABLE
    # A signal ends the lab as Ctrl-C does: by way of all its blocks, which remove what they made.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="edged-lab-") as name:
            return _run(Path(name), Internet.load(given.file), given.workers, given.command)
    except KeyboardInterrupt:
        _say("the lab is gone")
        return 128 + signal.SIGINT


def _run(folder: Path, internet: Internet, workers: int, command: str | None) -> int:
    _say(f"{len(internet.routers)} routers, {len(internet.nodes)} nodes, {len(internet.clients)} clients ...")
    with anycast_internet(folder, internet, workers=workers) as net:
        environment = _environment(net)
        if command is not None:
            return subprocess.run(["bash", "-c", command], env=environment, check=False, cwd=_HERE).returncode
        _say(_what_to_try(net))
        if not sys.stdin.isatty():
            _say("no terminal here: -c COMMAND runs a command in the lab")
            return os.EX_USAGE
        if shutil.which("tmux") is not None:
            return _tmux(net, environment)
        return subprocess.run(["bash", "--noprofile", "--norc"], env=environment, check=False, cwd=_HERE).returncode


def _environment(net: AnycastNet) -> dict[str, str]:
    """With commands in front of the path: `at PLACE COMMAND`, `edged`, `birdc-at ROUTER`, `vtysh-at ROUTER`."""
    folder = net.folder / "bin"
    folder.mkdir()
    space = shlex.quote(net.lab.namespace(""))
    sockets = shlex.quote(str(net.lab.sockets))
    publisher = shlex.join(net.fleet.place.command(net.fleet.publisher, edged_command()))
    scripts = {
        "at": f'place=$1; shift; exec ip netns exec {space}"$place" "$@"',
        "edged": f'exec {publisher} "$@"',
        "birdc-at": f'router=$1; shift; exec birdc -s {sockets}/"$router"/bird.ctl "$@"',
        "vtysh-at": f'router=$1; shift; exec at "$router" vtysh --vty_socket {sockets}/"$router" "$@"',
    }
    for name, script in scripts.items():
        file = folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
    return {**net.fleet.environment(), "PATH": f"{folder}:{os.environ['PATH']}", "PS1": "lab$ "}


def _what_to_try(net: AnycastNet) -> str:
    url = f"http://{net.host}:{PORT}/"
    near = net.internet.clients[-1]
    region = net.ask(near).body
    node = next((node for node, its in net.internet.nodes.items() if its == region), next(iter(net.internet.nodes)))
    return (
        f"\n{near} is answered by {region or 'nobody'}. Places: {', '.join(net.lab.topology.addresses)}\n\n"
        f"  at {near} curl -s {url}\n"
        f"  at {near} httping -c 5 -g {url}\n"
        f"  at {near} mtr -4 -r -c 5 {net.host}\n"
        f"  edged status --watch\n"
        f"  edged drain {node}           and  edged undrain {node}\n"
        f"  birdc-at ROUTER show route   vtysh-at ROUTER -c 'show bgp summary'\n\n"
        f"Logs: {net.folder}/fleet/NODE/log and {net.folder}/routers/ROUTER.log. Leave this shell to\nend the lab.\n"
    )


def _tmux(net: AnycastNet, environment: dict[str, str]) -> int:
    """A session of our own server: a window for the fleet, and one for each client."""
    tmux = ["tmux", "-L", f"edged-lab-{os.getpid()}", "-f", "/dev/null"]
    guide = net.folder / "try"
    guide.write_text(_what_to_try(net) + "Ctrl-b and a number leads to a client's window; 0 is this one.\n")
    # What tmux starts it by is a shell as well, which takes PS1 out of the environment.
    shell = (
        f"cat {shlex.quote(str(guide))}; PS1='lab$ ' bash --noprofile --norc; {shlex.join(tmux)} kill-session -t lab"
    )
    windows = [["-n", "fleet", "-c", str(_HERE), shell]]
    for place in net.internet.clients:
        inside = shlex.join(["ip", "netns", "exec", net.lab.namespace(place), "bash", "--noprofile", "--norc"])
        windows.append(["-n", place, "-c", str(_HERE), f"PS1={shlex.quote(f'{place}$ ')} exec {inside}"])
    first, *others = windows
    subprocess.run([*tmux, "new-session", "-d", "-s", "lab", *first], env=environment, check=True)
    try:
        for window in others:
            subprocess.run([*tmux, "new-window", "-d", "-t", "lab", *window], env=environment, check=True)
        return subprocess.run([*tmux, "attach", "-t", "lab"], env=environment, check=False).returncode
    finally:
        subprocess.run([*tmux, "kill-server"], capture_output=True, check=False)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
