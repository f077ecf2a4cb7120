from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.guests import tools
from tests.guests.catalog import EXAMPLES, GUESTS, JS_SDK, JS_WASI3, PYTHON_SDK_WASI3, SOURCES, Guest

PACKAGES = sorted([*EXAMPLES.glob("*/package.json"), SOURCES / "js" / "package.json"])
OWN_MODULES = JS_WASI3.project / "package.json"
SHARED_MODULES = sorted(set(SOURCES.glob("js/*/package.json")) - {OWN_MODULES})
"""Of guests that are built with the modules of all."""
REQUIREMENTS = sorted([*EXAMPLES.glob("*/requirements.txt"), *SOURCES.glob("*/requirements.txt")])


def dependencies(package: Path) -> dict[str, str]:
    found = json.loads(package.read_text())["dependencies"]
    assert isinstance(found, dict)
    return found


def test_a_command_runs_in_its_folder_with_its_programs_first(tmp_path: Path) -> None:
    program = tmp_path / "programs" / "say"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\npwd > said\n")
    program.chmod(0o755)
    tools.run(["say"], tmp_path, program.parent)
    assert (tmp_path / "said").read_text().strip() == str(tmp_path.resolve())


def test_a_command_does_not_hear_of_an_outer_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", "n")
    tools.run(["sh", "-c", 'test -z "$MAKEFLAGS"'], tmp_path)


def test_a_failing_command_shows_the_end_of_its_output(tmp_path: Path) -> None:
    script = "for i in range(100): print('line', i)\nraise SystemExit(3)"
    with pytest.raises(tools.BuildError, match=r"(?s)status 3:\nline 60\n.*line 99$") as failure:
        tools.run([sys.executable, "-c", script], tmp_path)
    assert "line 59\n" not in str(failure.value)


def test_a_missing_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(tools.BuildError, match="no-such-tool cannot be started"):
        tools.run(["no-such-tool"], tmp_path)


@pytest.mark.parametrize("requirements", REQUIREMENTS, ids=lambda path: path.parent.name)
def test_python_packages_are_pinned(requirements: Path) -> None:
    lines = [line for line in requirements.read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)


@pytest.mark.parametrize("package", [*PACKAGES, OWN_MODULES], ids=lambda path: path.parent.name)
def test_npm_packages_are_pinned_by_version_and_checksum_and_by_no_host(package: Path) -> None:
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in dependencies(package).values())
    lock = json.loads(package.with_name("package-lock.json").read_text())["packages"]
    assert lock.pop("")["dependencies"] == dependencies(package)
    assert all("integrity" in entry and "resolved" not in entry for entry in lock.values())


@pytest.mark.parametrize("package", [*PACKAGES, *SHARED_MODULES], ids=lambda path: path.parent.name)
def test_tests_build_an_example_with_the_packages_that_it_pins(package: Path) -> None:
    assert dependencies(package).items() <= dependencies(JS_SDK.project / "package.json").items()


def test_tests_build_the_example_for_wasi3_with_the_packages_that_it_pins() -> None:
    def pins(requirements: Path) -> list[str]:
        return [line for line in requirements.read_text().splitlines() if not line.startswith("#")]

    assert pins(EXAMPLES / "hello-python5" / "requirements.txt") == pins(PYTHON_SDK_WASI3.requirements)


@pytest.mark.parametrize("guest", GUESTS.values(), ids=lambda guest: guest.name)
def test_all_sources_of_a_guest_exist(guest: Guest) -> None:
    assert "Makefile" in guest.files
    assert [source for source in guest.files.values() if not source.is_file()] == []
