"""Fleets as a user makes them: the real commands, and `edged node` processes on loopback or in namespaces of tests/lab.

    with fleet_on_loopback(tmp_path, {"eu-1": "eu", "us-1": "us"}) as fleet:
        fleet.push(app)
        fleet["eu-1"].get("/", host="hello.edged.localhost")

Nothing here sleeps for a time: what a node says (its log, line by line) and what the fleet says (`edged status`) are
waited for.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.edged_command import edged_command
from tests.guests import wat
from tests.lab.lab import Lab, favour

FLEET_PORT, HTTP_PORT = 7400, 8080
DOMAIN = "edged.localhost"
WAIT_S = 240.0
"""Whatever takes longer on two slow and busy cores does not come."""
STATUS_SHOWN_MAX = 8000
"""Characters of a status that was not the one."""

Event = dict[str, Any]


class Place(Protocol):
    """Where the processes of a fleet run."""

    def address(self, node: str) -> str: ...

    def command(self, node: str, command: Sequence[str]) -> list[str]: ...


class Loopback:
    """Each node has an address of its own below 127.0.0.0/8, so that no port has to be looked for."""

    def __init__(self) -> None:
        self._net = f"127.{secrets.randbelow(254) + 1}.{secrets.randbelow(256)}"
        self._numbers: dict[str, int] = {}

    def address(self, node: str) -> str:
        return f"{self._net}.{self._numbers.setdefault(node, len(self._numbers) + 1)}"

    def command(self, _node: str, command: Sequence[str]) -> list[str]:
        return list(command)


class InLab:
    """Each node is at the place of its name."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def address(self, node: str) -> str:
        return self._lab.address(node)

    def command(self, node: str, command: Sequence[str]) -> list[str]:
        return ["ip", "netns", "exec", self._lab.namespace(node), *command]


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    status: int
    events: list[Event]
    stderr: str

    @property
    def last(self) -> Event:
        return self.events[-1]


class FleetNode:
    """One node. `start` it; it may be started again after it ended.

    Attributes:
        events: what all its processes logged, one record a line; text that is no JSON as {"text": ...}.
        listen: for HTTP; the first is its own address.
    """

    def __init__(
        self,
        name: str,
        region: str,
        folder: Path,
        place: Place,
        prefix: Sequence[str] = (),
        news: threading.Condition | None = None,
    ) -> None:
        self.name = name
        self.region = region
        self.folder = folder
        self.host = place.address(name)
        self.events: list[Event] = []
        self.process: subprocess.Popen[str] | None = None
        self.listen: tuple[str, ...] = (f"{self.host}:{HTTP_PORT}",)
        self._place = place
        self._prefix = prefix
        self._news = threading.Condition() if news is None else news
        """Told of each line; where nodes share one, of each line of them all."""
        self._reader: threading.Thread | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{FLEET_PORT}"

    @property
    def config(self) -> Path:
        return self.folder / "node.toml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def write_config(self, roster: Path, more: str, workers: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            f'[node]\nname = "{self.name}"\nregion = "{self.region}"\nstate_dir = "state"\nworkers = {workers}\n'
            f'[fleet]\nlisten = "{self.address}"\nroster = "{roster}"\n'
            f"[http]\nlisten = {json.dumps(self.listen)}\n{more}"
        )

    def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until it takes connections."""
        assert self.process is None
        command = [*self._prefix, *edged_command("node", "--config", str(self.config))]
        self.process = subprocess.Popen(
            self._place.command(self.name, command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        favour(self.process)
        mark = self.mark()
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        if wait:
            self.wait_for(lambda event: event.get("event") == "node.ready", since=mark)

    def stop(self) -> int:
        """SIGTERM, and wait; its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """`kill -9` of the node and, as in a power cut, of all its children."""
        assert self.process is not None
        for pid in descendants(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._end(signal.SIGKILL)

    def workers(self) -> dict[int, int]:
        """Pids of the worker processes, by what the node said last of each."""
        assert self.process is not None
        alive = descendants(self.process.pid)
        started = (each for each in self.events if each.get("event") == "child.started")
        last = {each["child"]: each["pid"] for each in started if str(each["child"]).startswith("worker")}
        return {int(name.split()[1]): pid for name, pid in last.items() if pid in alive}

    def mark(self) -> int:
        """A moment, for `wait_for`."""
        return len(self.events)

    def wait_for(self, wanted: Callable[[Event], bool], *, since: int = 0, timeout_s: float = WAIT_S) -> Event:
        """The first record that is wanted; the node must live until it comes."""
        deadline = time.monotonic() + timeout_s
        with self._news:
            position = since
            while True:
                for event in self.events[position:]:
                    if wanted(event):
                        return event
                position = len(self.events)
                ended = self.process is None or self.process.poll() is not None
                if ended or not self._news.wait(timeout=deadline - time.monotonic()):
                    said = "\n".join(map(str, self.events[-20:]))
                    raise AssertionError(f"{self.name} {'ended' if ended else 'did not say it in time'}:\n{said}")

    def wait_stage(self, app: str, stage: str, sequence: int, *, since: int = 0) -> Event:
        """Until its rollout of a sequence is at a stage."""
        return self.wait_for(
            lambda each: (
                each.get("event") == "rollout.stage"
                and (each["app"], each["stage"], each["desired"]) == (app, stage, sequence)
            ),
            since=since,
        )

    def get(self, path: str = "/", *, host: str, timeout_s: float = WAIT_S) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        connection = http.client.HTTPConnection(self.host, HTTP_PORT, timeout=timeout_s)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"host": host})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(number)
        try:
            process.wait(WAIT_S)
        finally:
            process.kill()
            process.wait()
        assert self._reader is not None
        self._reader.join(WAIT_S)
        return process.returncode

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr, (self.folder / "log").open("a") as log:
            for line in process.stderr:
                log.write(line)
                log.flush()
                with self._news:
                    self.events.append(parsed(line))
                    self._news.notify_all()
        process.wait()
        with self._news:
            self._news.notify_all()


@dataclass
class Fleet:
    """A fleet, and somebody who is logged in to it.

    Attributes:
        folder: all of it; `operator` below is what `edged fleet init` made.
        home: of the publisher: `config` and `cache`.
        publisher: node at whose place the commands run; "" for here.
        news: told of each line that a node logs.
    """

    folder: Path
    nodes: dict[str, FleetNode]
    place: Place
    publisher: str = ""
    news: threading.Condition = field(default_factory=threading.Condition)
    home: Path = field(init=False)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"

    def __getitem__(self, name: str) -> FleetNode:
        return self.nodes[name]

    @property
    def operator(self) -> Path:
        return self.folder / "demo"

    def environment(self) -> dict[str, str]:
        config, cache = self.home / "config", self.home / "cache"
        return {**os.environ, "XDG_CONFIG_HOME": str(config), "XDG_CACHE_HOME": str(cache)}

    def popen(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """A command under way."""
        command = edged_command(*arguments)
        return subprocess.Popen(
            self.place.command(self.publisher, command) if self.publisher else command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
            cwd=self.folder,
            start_new_session=True,
        )

    def run(self, *arguments: str | Path, check: bool = True, timeout_s: float = 2 * WAIT_S) -> Done:
        """A command to its end."""
        process = self.popen(*arguments)
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        finally:
            process.kill()
        if check and process.returncode:
            raise AssertionError(f"edged {' '.join(map(str, arguments))}: {process.returncode}\n{stdout}{stderr}")
        return Done(process.returncode, [parsed(line) for line in stdout.splitlines()], stderr)

    def push(self, app: Path, *options: str, check: bool = True, timeout_s: float = 2 * WAIT_S) -> Done:
        """All at once: what goes in waves waits for them."""
        return self.run("push", app, "--json", "--all-at-once", *options, check=check, timeout_s=timeout_s)

    def status(self) -> Event:
        return self.run("status", "--json").last

    def marks(self) -> dict[str, int]:
        """A moment, in the log of each node."""
        return {name: node.mark() for name, node in self.nodes.items()}

    def wait_until(self, condition: Callable[[], bool], *, timeout_s: float = WAIT_S) -> bool:
        """Whether it came to hold in time. It is asked again whenever a node has logged something."""
        deadline = time.monotonic() + timeout_s
        with self.news:
            while not condition():
                if not self.news.wait(deadline - time.monotonic()):
                    return False
        return True

    def wait_status(self, wanted: Callable[[Event], bool]) -> Event:
        """The first status that is wanted, of those that `edged status --watch` shows."""
        process = self.popen("status", "--json", "--watch")
        timer = threading.Timer(WAIT_S, process.kill)
        timer.start()
        last = "none"
        try:
            assert process.stdout is not None
            for line in process.stdout:
                status: Event = json.loads(line)
                if wanted(status):
                    return status
                last = line
            raise AssertionError(f"the status did not come; the last: {last[:STATUS_SHOWN_MAX]}")
        finally:
            timer.cancel()
            process.kill()
            process.communicate()


@contextlib.contextmanager
def fleet_on_loopback(
    folder: Path, regions: Mapping[str, str], *, workers: int = 1, config: str = ""
) -> Iterator[Fleet]:
    """A fleet whose nodes are up and know each other; ended with the block.

    Args:
        regions: of each node, by its name.
        config: more of every node.toml.
    """
    with made(folder, Loopback(), regions, workers=workers, config=config) as fleet:
        yield fleet


@contextlib.contextmanager
def made(
    folder: Path,
    place: Place,
    regions: Mapping[str, str],
    *,
    workers: int = 1,
    config: str | Mapping[str, str] = "",
    listen: Sequence[str] = (),
    prefixes: Sequence[str] = (),
    publisher: str = "",
    prefix: Mapping[str, Sequence[str]] | None = None,
    start: bool = True,
) -> Iterator[Fleet]:
    """As `fleet_on_loopback`, anywhere.

    Args:
        config: more of every node.toml, or of each by its name.
        listen: for HTTP, besides each node's own address.
        prefixes: that nodes may announce.
        prefix: of the command of some nodes, to run them under another.
    """
    news = threading.Condition()
    nodes = {
        name: FleetNode(name, region, folder / name, place, (prefix or {}).get(name, ()), news)
        for name, region in regions.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    fleet = Fleet(folder, nodes, place, publisher, news)
    options = [text for region in dict.fromkeys(regions.values()) for text in ("--region", region)]
    fleet.run("fleet", "init", fleet.operator, "--domain", DOMAIN, *options)
    if prefixes:
        set_prefixes(fleet.operator / "fleet.toml", prefixes)
    for node in nodes.values():
        node.listen += tuple(listen)
        more = config if isinstance(config, str) else config[node.name]
        node.write_config(fleet.operator / "roster.bin", more, workers)
        made_by = fleet.run("node", "--config", node.config, "init", "--json").last
        fleet.run(
            *("fleet", "add-node", node.name, made_by["certificate"], "--region", node.region),
            *("--address", node.address, "--url", f"http://{node.host}:{HTTP_PORT}", "-C", fleet.operator),
        )
    fleet.run("fleet", "sign", "-C", fleet.operator, "--yes")
    fleet.run("login", fleet.operator)
    try:
        if start:
            for node in nodes.values():
                node.start(wait=False)
            for node in nodes.values():
                node.wait_for(lambda event: event.get("event") == "node.ready")
            fleet.wait_status(lambda status: all(node["state"] == "up" for node in status["nodes"]))
        yield fleet
    finally:
        for node in nodes.values():
            if node.process is not None:
                node.kill()


def set_prefixes(fleet_toml: Path, prefixes: Sequence[str], *, more: str = "") -> None:
    """What the roster will allow, once it is signed.

    Args:
        more: other lines of the top of the file.
    """
    lines = [line for line in fleet_toml.read_text().splitlines() if not line.startswith("prefixes")]
    fleet_toml.write_text(f"prefixes = {json.dumps(list(prefixes))}\n{more}" + "\n".join(lines) + "\n")


def parsed(line: str) -> Event:
    """A line of JSON as it is, another as text."""
    try:
        value = json.loads(line)
    except ValueError:
        return {"text": line.rstrip("\n")}
    return value if isinstance(value, dict) else {"text": line.rstrip("\n")}


def descendants(pid: int) -> set[int]:
    """Processes below a process."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        with contextlib.suppress(OSError):
            one = waiting.pop()
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += (children := list(map(int, (task / "children").read_text().split())))
                found.update(children)
    return found


def app_folder(folder: Path, name: str, guest: str, *, edged_table: str = "", files: str = "") -> Path:
    """An app of one guest of WebAssembly text, in a folder; made anew if it is there.

    Args:
        edged_table: lines of `[application.tool.edged]`.
        files: the component's, as in a spin.toml.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "guest.wat").write_text(guest)
    table = f"[application.tool.edged]\n{edged_table}\n" if edged_table else ""
    (folder / "spin.toml").write_text(
        f'spin_manifest_version = 2\n[application]\nname = "{name}"\nversion = "1.0.0"\n{table}'
        '[[trigger.http]]\nroute = "/..."\ncomponent = "guest"\n'
        f'[component.guest]\nsource = "guest.wat"\n{f"files = {files}" if files else ""}\n'
    )
    return folder


def saying(body: str) -> str:
    """The guest `hello` with another answer."""
    whole = wat.text("hello")
    length = "(i32.const 86) (i32.const 5)"
    assert length in whole
    return whole.replace('"hello")\n', f'"{body}")\n').replace(length, f"(i32.const 86) (i32.const {len(body)})")
