"""What `edged` says as long as there is none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from provisioning import paths
from tests.cloud_init.machine import Machine, binary, sha256

UNAVAILABLE = os.EX_UNAVAILABLE


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.at(paths.COMMAND).symlink_to(made.at(paths.NOT_HERE))
    return made


def said(machine: Machine, *arguments: str) -> tuple[str, str]:
    """Message and remedy, which people and programs are told alike."""
    for_people = machine.ask(*arguments)
    assert for_people.returncode == UNAVAILABLE
    assert for_people.stdout == ""
    for_programs = machine.ask(*arguments, "--json")
    assert for_programs.returncode == UNAVAILABLE
    assert for_programs.stderr == ""
    told = json.loads(for_programs.stdout)
    (finding,) = told["findings"]
    assert told["problems"] == 1
    assert (finding["check"], finding["state"]) == ("binary", "problem")
    assert for_people.stderr == f"{finding['message']}\n  {finding['remedy']}\n"
    return finding["message"], finding["remedy"]


def test_nothing_brings_it(machine: Machine) -> None:
    message, remedy = said(machine, "doctor")
    assert message == "edged is not here, and nothing is bringing it."
    assert "systemctl enable --now edged-fetch edged" in remedy


@pytest.mark.parametrize("arguments", [(), ("doctor",), ("status", "-v"), ("--version",), ("node", "--config", "x")])
def test_whatever_it_is_asked(arguments: tuple[str, ...], machine: Machine) -> None:
    said(machine, *arguments)


@pytest.mark.parametrize(
    ("state", "reason", "message", "remedy"),
    [
        (
            "unreachable",
            "Connection refused",
            "cannot be had from http://a/b: Connection refused (try 7 at ",
            "EDGED_URLS",
        ),
        (
            "wrong-digest",
            "it has another",
            "http://a/b has another file, with the sha256 abc (try 7 at ",
            "EDGED_SHA256",
        ),
        ("unusable", "no space left", "does not run: http://a/b: no space left (try 7 at ", "/var/cache"),
        ("waiting", "no digest", "not here yet: http://a/b: no digest.", "/etc/edged/binary.env"),
        ("done", "", "nothing is bringing it", "systemctl"),
        ("", "", "nothing is bringing it", "systemctl"),
    ],
)
def test_each_state(state: str, reason: str, message: str, remedy: str, machine: Machine) -> None:
    text = f"state={state}\nat=1795000000\ntries=7\nfrom=http://a/b\nreason={reason}\ngot=abc\n"
    machine.put(paths.FETCH_STATE, text.encode())
    told = said(machine)
    assert message in told[0]
    assert remedy in told[1]
    if "try 7" in message:
        assert "(try 7 at 2026-11-18 11:06:40 UTC)" in told[0]


def test_the_first_try_is_under_way(machine: Machine) -> None:
    machine.put(paths.FETCH_STATE, b"state=waiting\nat=1\ntries=0\nfrom=\nreason=the first try is under way\ngot=\n")
    assert said(machine) == (
        "edged is not here yet: the first try is under way.",
        "Wait, or see `journalctl -u edged-fetch`.",
    )


def test_no_text_breaks_the_json(machine: Machine) -> None:
    machine.put(paths.FETCH_STATE, rb"state=unreachable" b'\nat=x\nfrom=a"b\nreason=c\\d $(id) `id`\n')
    message, _ = said(machine)
    assert 'a"b: c\\d $(id) `id`' in message


def test_as_edged_fetch_tells_it(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "edged").write_bytes(binary())
    machine.provision(sha256(b"another"), path=tmp_path / "edged")
    machine.fetch()
    message, _ = said(machine, "doctor")
    assert f"{tmp_path}/edged has another file, with the sha256 {sha256(binary())} (try 1 at " in message
