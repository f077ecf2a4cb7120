"""Real servers for tests: child processes on free loopback ports, with their data in a temporary folder.

    fixture in conftest.py ── redis_server(folder) ── Service(command) ── waits until the port answers ── ends it by pid

One of each serves the whole run of tests; each test takes keys, channels or databases of its own. A server that is not
installed fails the test that needs it, with what to install.
"""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

_START_S = 30.0
_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Service:
    """A server that answers.

    Attributes:
        port: on 127.0.0.1.
        pid: of the process that listens.
        log: what it has written.
    """

    port: int
    pid: int
    log: Path


def program(name: str, package: str, *folders: str) -> str:
    """The path of a server's program.

    Args:
        package: of Debian, named where the program is missing.
        folders: looked through besides PATH.
    """
    found = shutil.which(name) or next((path for folder in folders if (path := shutil.which(name, path=folder))), None)
    assert found is not None, f"{name} is missing: run .ci/need servers as root, or apt-get install {package}"
    return found


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens at just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def service(
    command: Sequence[str], port: int, folder: Path, answers: Callable[[int], bool] | None = None
) -> Iterator[Service]:
    """Run `command` until the block ends.

    Args:
        command: must stay in the foreground and listen at `port`.
        folder: its working directory, where its output goes to `log`.
        answers: whether the server at that port can be used; None where a connection says it all.

    Raises:
        AssertionError: it ended or did not answer in time; with the end of its output.
    """
    log = folder / "log"
    with log.open("wb") as output:
        child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + _START_S
        while not (answers or _connects)(port):
            assert child.poll() is None, f"{command[0]} ended: {_tail(log)}"
            assert time.monotonic() < deadline, f"{command[0]} does not answer: {_tail(log)}"
            time.sleep(0.02)
        yield Service(port, child.pid, log)
    finally:
        child.terminate()
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


def _tail(log: Path) -> str:
    return log.read_bytes()[-2000:].decode(errors="replace")


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[Service]:
    """A Redis that keeps nothing on disk. `options` as on its command line: `--requirepass`, `secret`."""
    port = free_port()
    command = [program("redis-server", "redis-server"), "--bind", "127.0.0.1", "--port", str(port)]
    command += ["--save", "", "--appendonly", "no", "--dir", str(folder), *options]
    with service(command, port, folder) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Mosquitto:
    """An MQTT broker with three doors, all at 127.0.0.1.

    Attributes:
        port: for everybody.
        password_port: for `someone` with the password `secret`.
        tls_port: for everybody, over TLS; its certificate is for `localhost`.
        authority: who signed it.
    """

    port: int
    password_port: int
    tls_port: int
    authority: trustme.CA


@contextmanager
def mosquitto_server(folder: Path) -> Iterator[Mosquitto]:
    """A Mosquitto that keeps nothing on disk."""
    server = Mosquitto(free_port(), free_port(), free_port(), trustme.CA())
    certificate = server.authority.issue_cert("localhost")
    for index, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(str(folder / "chain.pem"), append=index > 0)
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    passwords = [program("mosquitto_passwd", "mosquitto"), "-b", "-c", str(folder / "passwords"), "someone", "secret"]
    subprocess.run(passwords, check=True, capture_output=True)
    settings = [
        # Started by root it would become another user, who may not read the folder.
        f"user {getpass.getuser()}",
        "per_listener_settings true",
        *(f"listener {server.port} 127.0.0.1", "allow_anonymous true"),
        *(f"listener {server.password_port} 127.0.0.1", f"password_file {folder / 'passwords'}"),
        *(f"listener {server.tls_port} 127.0.0.1", "allow_anonymous true"),
        *(f"certfile {folder / 'chain.pem'}", f"keyfile {folder / 'key.pem'}"),
    ]
    (folder / "mosquitto.conf").write_text("\n".join(settings) + "\n")
    command = [program("mosquitto", "mosquitto", "/usr/sbin"), "-c", str(folder / "mosquitto.conf")]
    with service(command, server.tls_port, folder):
        yield server
