from __future__ import annotations

import pytest

from tests.conftest import GuestPath
from tests.guests import build, wat
from tests.guests.catalog import EXAMPLES, GUESTS, SOURCES

COMPONENT = b"\0asm\x0d\0\1\0"
CORE_MODULE = b"\0asm\1\0\0\0"
README = (SOURCES / "README.md").read_text()


@pytest.mark.parametrize("name", GUESTS)
def test_a_tool_builds_a_component_with_the_handler_that_the_catalog_says(guest_path: GuestPath, name: str) -> None:
    content = guest_path(name).read_bytes()
    assert content.startswith(CORE_MODULE if GUESTS[name].is_module or GUESTS[name].handler == "_start" else COMPONENT)
    assert GUESTS[name].handler.encode() in content


def test_a_guest_of_text_is_built_too(guest_path: GuestPath) -> None:
    assert guest_path("hello").read_bytes() == wat.wasm("hello")


def test_a_guest_is_built_once(guest_path: GuestPath) -> None:
    first = guest_path("hello")
    before = first.stat()
    assert guest_path("hello") == first
    assert first.stat().st_mtime_ns == before.st_mtime_ns


def test_no_such_guest() -> None:
    with pytest.raises(KeyError):
        build.path("no-such-guest")


def test_the_command_builds_what_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["hello", "loop"]) == 0
    assert capsys.readouterr().err == ""


def test_the_command_names_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["hello", "syntax-error"]) == 1
    assert capsys.readouterr().err.startswith("syntax-error: ")


def test_the_command_says_which_guests_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        build.main(["no-such-guest"])
    assert end.value.code == 2
    assert "js-hono" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*GUESTS, *wat.names()])
def test_the_readme_says_what_a_guest_does(name: str) -> None:
    does = GUESTS[name].does if name in GUESTS else wat.doc(name)
    assert f"| `{name}` | {does} |" in README


def test_the_readme_lists_no_other_guest() -> None:
    rows = [line.split("`")[1] for line in README.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted([*GUESTS, *wat.names()])


def test_every_example_is_a_guest() -> None:
    examples = {manifest.parent.name for manifest in EXAMPLES.glob("*/spin.toml")}
    assert examples <= set(GUESTS)
