"""edged-fetch: what it brings, what it refuses, and that it goes on until it has it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning import paths
from tests.cloud_init.file_server import FileServer, file_server
from tests.cloud_init.machine import Machine, binary, sha256

FILE = binary()
DIGEST = sha256(FILE)
NAME = f"edged-{DIGEST}"
OTHER = binary("2")
TERMINATED = 128 + signal.SIGTERM


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as made:
        made.files = {"/edged": FILE, "/other": OTHER}
        yield made


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def assert_here(machine: Machine, *, data: bytes = FILE) -> None:
    name = f"edged-{sha256(data)}"
    assert machine.in_use == name
    assert machine.binaries == {name}
    file = machine.at(paths.BINARIES / name)
    assert file.read_bytes() == data
    assert file.stat().st_mode & 0o7777 == 0o755
    assert machine.state["state"] == "done"
    assert machine.state["from"] == str(file)
    assert machine.ask("--version").stdout.startswith("edged, version")


def assert_not_here(machine: Machine, state: str, reason: str) -> None:
    assert machine.in_use == "not-here"
    assert machine.binaries == set()
    assert machine.state["state"] == state
    assert reason in machine.state["reason"]


def test_by_url(machine: Machine, server: FileServer) -> None:
    machine.provision(DIGEST, server.url("/edged"))
    seen = []
    server.on_request = lambda _: seen.append((machine.state, machine.in_use))
    status, journal = machine.fetch()
    assert status == 0
    assert_here(machine)
    assert journal == f"try 1: {server.url('/edged')}: it is here\n"
    assert machine.pauses == []
    # Meanwhile COMMAND says what is going on.
    ((state, in_use),) = seen
    assert state["state"] == "waiting"
    assert in_use == "not-here"


def test_by_path_without_any_network(machine: Machine, tmp_path: Path) -> None:
    carried = tmp_path / "a stick" / "edged"
    carried.parent.mkdir()
    carried.write_bytes(FILE)
    machine.provision(DIGEST, path=carried)
    assert machine.fetch()[0] == 0
    assert_here(machine)


def test_path_comes_before_urls(machine: Machine, server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "edged").write_bytes(FILE)
    machine.provision(DIGEST, server.url("/edged"), path=tmp_path / "edged")
    assert machine.fetch()[0] == 0
    assert server.asked == []


@pytest.mark.parametrize("there", [None, OTHER], ids=["missing", "another"])
def test_urls_come_after_a_path_that_has_it_not(
    there: bytes | None, machine: Machine, server: FileServer, tmp_path: Path
) -> None:
    if there is not None:
        (tmp_path / "edged").write_bytes(there)
    machine.provision(DIGEST, server.url("/edged"), path=tmp_path / "edged")
    assert machine.fetch()[0] == 0
    assert_here(machine)
    assert server.asked == ["/edged"]


def test_urls_in_turn(machine: Machine, server: FileServer) -> None:
    wanted = ["/absent", "/other", "/edged", "/never"]
    machine.provision(DIGEST, *(server.url(path) for path in wanted))
    status, journal = machine.fetch()
    assert status == 0
    assert_here(machine)
    assert server.asked == wanted[:3]
    assert [line.split(": ")[2] for line in journal.splitlines()] == ["unreachable", "wrong-digest", "it is here"]


def test_a_redirect_is_followed(machine: Machine, server: FileServer) -> None:
    machine.provision(DIGEST, server.url("/redirect"))
    assert machine.fetch()[0] == 0
    assert_here(machine)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/absent", "HTTP Error 404"),
        ("/error", "HTTP Error 500"),
        ("/cut", "it ended after 10 of 1000 bytes"),
        ("/loop", "redirect"),
        ("/local", "not allowed"),
        ("/garbage", ""),
    ],
)
def test_a_server_that_does_not_give_it(path: str, reason: str, machine: Machine, server: FileServer) -> None:
    machine.provision(DIGEST, server.url(path))
    status, journal = machine.fetch()
    assert status == TERMINATED
    assert_not_here(machine, "unreachable", reason)
    assert machine.state["from"] == server.url(path)
    assert machine.state["tries"] == "1"
    assert machine.state["got"] == ""
    # What a server says can move no cursor and forge no line.
    assert len(journal.splitlines()) == 2
    assert journal.replace("\n", "").isprintable()
    assert not set('"\\') & set(machine.state["reason"])


def test_another_file(machine: Machine, server: FileServer) -> None:
    machine.provision(DIGEST, server.url("/other"))
    assert machine.fetch()[0] == TERMINATED
    assert_not_here(machine, "wrong-digest", DIGEST)
    assert machine.state["got"] == sha256(OTHER)


def test_no_network(machine: Machine) -> None:
    with file_server() as gone:
        url = gone.url("/edged")
    machine.provision(DIGEST, url, "http://name.invalid/edged")
    assert machine.fetch()[0] == TERMINATED
    assert_not_here(machine, "unreachable", "refused")
    assert machine.state["tries"] == "2"


@pytest.mark.parametrize(("size", "taken"), [(1 << 20, True), ((1 << 20) + 1, False)], ids=["at the limit", "over it"])
@pytest.mark.parametrize("way", ["url", "path"])
def test_how_large_it_may_be(
    way: str, size: int, taken: bool, machine: Machine, server: FileServer, tmp_path: Path
) -> None:
    machine.change("$((256 * 1024 * 1024))", str(1 << 20))
    data = FILE + b"#" * (size - len(FILE))
    server.files["/edged"] = data
    (tmp_path / "edged").write_bytes(data)
    machine.provision(
        sha256(data),
        *([server.url("/edged")] if way == "url" else []),
        path=tmp_path / "edged" if way == "path" else "",
    )
    machine.fetch()
    if taken:
        assert_here(machine, data=data)
    else:
        assert_not_here(machine, "unreachable", "more than 1048576 bytes")


def test_a_file_without_end(machine: Machine, server: FileServer) -> None:
    machine.change("$((256 * 1024 * 1024))", str(1 << 20))
    machine.provision(DIGEST, server.url("/endless"))
    machine.fetch()
    assert_not_here(machine, "unreachable", "more than 1048576 bytes")


@pytest.mark.parametrize("path", ["/silent", "/stalled"])
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("silence_s_max = 20", "silence_s_max = 0.1", "timed out"),
        ("try_s_max=900", "try_s_max=1", "not here after 1 s"),
    ],
    ids=["silence", "in all"],
)
def test_how_long_it_may_take(path: str, old: str, new: str, reason: str, machine: Machine, server: FileServer) -> None:
    machine.change(old, new)
    machine.provision(DIGEST, server.url(path))
    assert machine.fetch()[0] == TERMINATED
    assert_not_here(machine, "unreachable", reason)


def test_what_says_most_is_told(machine: Machine, server: FileServer) -> None:
    machine.provision(DIGEST, server.url("/absent"), server.url("/other"), server.url("/cut"))
    machine.fetch()
    assert_not_here(machine, "wrong-digest", "")
    assert machine.state["from"] == server.url("/other")


def test_pauses_grow_up_to_a_limit(tmp_path: Path, server: FileServer) -> None:
    machine = Machine(tmp_path, pauses_max=7)
    machine.provision(DIGEST, server.url("/absent"))
    assert machine.fetch()[0] == TERMINATED
    assert machine.pauses == [1, 2, 4, 8, 16, 30, 30]
    assert server.asked == ["/absent"] * 7
    assert machine.state["tries"] == "7"


@pytest.fixture
def patient(tmp_path: Path) -> Machine:
    return Machine(tmp_path, pauses_max=4)


def test_heals_when_the_source_does(patient: Machine, tmp_path: Path) -> None:
    (tmp_path / "edged").write_bytes(OTHER)
    (tmp_path / "right").write_bytes(FILE)
    patient.provision(DIGEST, path=tmp_path / "edged")
    patient.between(1, f"rm {tmp_path}/edged")
    patient.between(2, f"mv {tmp_path}/right {tmp_path}/edged")
    status, journal = patient.fetch()
    assert status == 0
    assert_here(patient)
    told = [line.split(": ")[2] for line in journal.splitlines() if line.startswith("try")]
    assert told == ["wrong-digest", "unreachable", "it is here"]


def test_heals_when_the_digest_is_corrected(patient: Machine, server: FileServer) -> None:
    patient.provision(sha256(OTHER), server.url("/edged"))
    config = patient.at(paths.BINARY_ENV)
    patient.between(2, f"sed -i 's/^EDGED_SHA256=.*/EDGED_SHA256={DIGEST}/' {config}")
    assert patient.fetch()[0] == 0
    assert_here(patient)
    assert patient.pauses == [1, 2]


@pytest.mark.parametrize("digest", ["", DIGEST[1:], DIGEST + "0", "g" * 64, DIGEST.upper(), "\x00"])
def test_heals_when_there_is_a_digest(digest: str, patient: Machine, tmp_path: Path) -> None:
    (tmp_path / "edged").write_bytes(FILE)
    patient.provision(digest, path=tmp_path / "edged")
    keep = f"cp {patient.at(paths.FETCH_STATE)} {tmp_path}/before"
    right = f"EDGED_SHA256={DIGEST}\\nEDGED_PATH={tmp_path}/edged"  # no newline at the end
    patient.between(1, f"{keep}; printf '{right}' >{patient.at(paths.BINARY_ENV)}")
    assert patient.fetch()[0] == 0
    assert_here(patient)
    before = (tmp_path / "before").read_text()
    assert before.startswith("state=waiting\n")
    assert "EDGED_SHA256" in before


def test_without_a_configuration_it_waits(machine: Machine) -> None:
    machine.fetch()
    assert_not_here(machine, "waiting", "EDGED_SHA256")


def test_without_any_source_it_waits(machine: Machine) -> None:
    machine.provision(DIGEST)
    assert machine.fetch()[0] == TERMINATED
    assert_not_here(machine, "waiting", "neither EDGED_URLS nor EDGED_PATH")


def test_no_word_of_the_configuration_is_run(machine: Machine, tmp_path: Path) -> None:
    marks = [tmp_path / name for name in "abc"]
    machine.provision(
        DIGEST, f"$(touch${{IFS}}{marks[0]})", f"`touch {marks[1]}`", f";touch {marks[2]}", "/*", path="-n"
    )
    machine.fetch()
    assert_not_here(machine, "unreachable", "")
    assert not any(mark.exists() for mark in marks)


@pytest.mark.parametrize("upgraded", [False, True], ids=["as provisioned", "upgraded by the operator"])
def test_one_that_is_there_stays(upgraded: bool, machine: Machine, server: FileServer) -> None:
    data = OTHER if upgraded else FILE
    machine.install(data)
    machine.provision(DIGEST, server.url("/edged"))
    assert machine.fetch() == (0, "")
    assert_here(machine, data=data)
    assert server.asked == []


@pytest.mark.parametrize("upgraded", [False, True], ids=["as provisioned", "upgraded by the operator"])
def test_one_that_is_damaged_is_brought_again(upgraded: bool, machine: Machine, server: FileServer) -> None:
    """An upgraded one comes back as it was provisioned: that is the only one that is known to be right."""
    file = machine.install(OTHER if upgraded else FILE)
    file.write_bytes(file.read_bytes()[:-1])
    machine.provision(DIGEST, server.url("/edged"))
    assert machine.fetch()[0] == 0
    assert machine.in_use == NAME
    assert machine.at(paths.BINARIES / NAME).read_bytes() == FILE


def test_one_that_is_here_and_not_in_use(machine: Machine, server: FileServer) -> None:
    machine.install(FILE)
    machine.at(paths.COMMAND).unlink()
    machine.provision(DIGEST, server.url("/edged"))
    assert machine.fetch()[0] == 0
    assert_here(machine)
    assert server.asked == []


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_an_operator_put_there_stays(kind: str, machine: Machine, server: FileServer, tmp_path: Path) -> None:
    own = tmp_path / "edged" if kind == "link" else machine.at(paths.COMMAND)
    own.write_bytes(OTHER)
    own.chmod(0o755)
    if kind == "link":
        machine.at(paths.COMMAND).symlink_to(own)
    machine.provision(DIGEST, server.url("/edged"))
    assert machine.fetch()[0] == 0
    assert machine.at(paths.COMMAND).resolve() == own.resolve()
    assert own.read_bytes() == OTHER
    assert machine.state == machine.state | {"state": "done", "from": str(own), "reason": "put there by hand"}
    assert server.asked == []


def test_what_an_operator_puts_there_meanwhile_ends_it(patient: Machine, server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "edged").write_bytes(OTHER)
    (tmp_path / "edged").chmod(0o755)
    patient.provision(DIGEST, server.url("/absent"))
    patient.between(2, f"ln -sfn {tmp_path}/edged {patient.at(paths.COMMAND)}")
    assert patient.fetch()[0] == 0
    assert patient.pauses == [1, 2]
    assert patient.state["reason"] == "put there by hand"


def test_one_that_is_gone_is_explained(machine: Machine, server: FileServer) -> None:
    machine.install(OTHER).unlink()
    machine.provision(DIGEST, server.url("/absent"))
    assert machine.fetch()[0] == TERMINATED
    assert_not_here(machine, "unreachable", "404")


def test_an_upgraded_one_that_does_not_run_yet_is_not_changed_for_another(
    patient: Machine, server: FileServer, tmp_path: Path
) -> None:
    late = f"#!/bin/sh\n[ -e {tmp_path}/room ] && echo 'edged, version 2'\n".encode()
    patient.install(late)
    patient.provision(DIGEST, server.url("/edged"))
    patient.between(2, f"cp {patient.at(paths.FETCH_STATE)} {tmp_path}/before; touch {tmp_path}/room")
    assert patient.fetch()[0] == 0
    assert "state=unusable\n" in (tmp_path / "before").read_text()
    assert_here(patient, data=late)
    assert server.asked == []


def test_a_link_to_nothing_is_ours(machine: Machine, server: FileServer, tmp_path: Path) -> None:
    machine.at(paths.COMMAND).symlink_to(tmp_path / "gone")
    machine.provision(DIGEST, server.url("/edged"))
    assert machine.fetch()[0] == 0
    assert_here(machine)


def test_one_that_does_not_run(tmp_path: Path, server: FileServer) -> None:
    machine = Machine(tmp_path, pauses_max=3)
    broken = b"#!/bin/sh\necho 'no space left' >&2\nexit 74\n"
    server.files["/edged"] = broken
    machine.provision(sha256(broken), server.url("/edged"))
    assert machine.fetch()[0] == TERMINATED
    assert machine.in_use == "not-here"
    assert machine.state["state"] == "unusable"
    assert machine.state["reason"] == "`edged --version` ended with 74: no space left"
    # It is the right file: it is tried again, and not brought again.
    assert server.asked == ["/edged"]
    assert machine.pauses == [1, 2, 4]


def test_one_that_runs_later(patient: Machine, server: FileServer, tmp_path: Path) -> None:
    late = f"#!/bin/sh\n[ -e {tmp_path}/room ] && echo 'edged, version 1'\n".encode()
    server.files["/edged"] = late
    patient.provision(sha256(late), server.url("/edged"))
    patient.between(2, f"touch {tmp_path}/room")
    assert patient.fetch()[0] == 0
    assert_here(patient, data=late)


def test_one_for_another_machine(machine: Machine, server: FileServer) -> None:
    server.files["/edged"] = foreign = b"\x7fELF\x02\x01\x01" + bytes(64)
    machine.provision(sha256(foreign), server.url("/edged"))
    machine.fetch()
    assert machine.in_use == "not-here"
    assert machine.state["state"] == "unusable"


@pytest.mark.parametrize("path", ["/silent", "/stalled"])
def test_sigterm_leaves_nothing(path: str, machine: Machine, server: FileServer) -> None:
    machine.provision(DIGEST, server.url(path))
    with machine.start() as process:
        assert server.came.wait(60)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == TERMINATED
    assert server.left.wait(60)  # the download has ended with it
    assert machine.binaries == set()
    assert machine.in_use == "not-here"


def test_only_one_at_a_time(machine: Machine, server: FileServer) -> None:
    """A second one, started by hand, might put its bytes where the first has checked others."""
    machine.provision(DIGEST, server.url("/stalled"))
    with machine.start() as process:
        assert server.came.wait(60)
        assert machine.fetch() == (75, "another one is at it\n")
        assert machine.binaries <= {".incoming"}
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    lock = machine.at(paths.FETCH_STATE).with_name("lock")
    assert lock.stat().st_mode & 0o077 == 0  # whoever can open it can lock it
    machine.provision(DIGEST, server.url("/edged"))
    assert machine.fetch()[0] == 0
    assert_here(machine)


def test_an_upgrade_while_it_looks_is_not_undone(machine: Machine, server: FileServer) -> None:
    """What is in use is run once, and meanwhile the operator has chosen another."""
    other = machine.put(paths.BINARIES / f"edged-{sha256(OTHER)}", OTHER, 0o755)
    command = machine.at(paths.COMMAND)
    slow = f"#!/bin/sh\nln -sfn '{other}' '{command}'\n".encode()
    machine.install(slow)
    machine.provision(DIGEST, server.url("/edged"))
    assert machine.fetch()[0] == 0
    assert command.resolve() == other


def test_what_a_power_cut_left_is_cleared(machine: Machine, server: FileServer) -> None:
    machine.provision(DIGEST, server.url("/stalled"))
    with machine.start() as process:
        assert server.came.wait(60)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    assert machine.binaries <= {".incoming"}
    machine.put(paths.BINARIES / ".incoming", FILE[:-1])
    machine.provision(DIGEST, server.url("/edged"))
    assert machine.fetch()[0] == 0
    assert_here(machine)
