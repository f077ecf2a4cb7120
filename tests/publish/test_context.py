"""Contexts: one file a fleet."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from edged.errors import ContextInvalid, NotLoggedIn
from edged.limits import CONTEXT_BYTES_MAX, CONTEXT_NODES_MAX, ROSTER_BYTES_MAX
from edged.publish.context import Context, ContextStore, check_address, default_config_folder

ONE = Context("demo", ("a.example:7400", "[::1]:1"), Path("/k/a.key"), Path("/k/a.crt"), ("ab" * 32,), b"roster")


@pytest.fixture
def store(tmp_path: Path) -> ContextStore:
    return ContextStore(tmp_path)


def test_saved_and_loaded(store: ContextStore, tmp_path: Path) -> None:
    store.save(ONE)
    assert store.load("demo") == ONE
    assert store.names() == ("demo",)
    assert stat.S_IMODE((tmp_path / "fleets" / "demo.toml").stat().st_mode) == 0o600


def test_which_one_is_meant(store: ContextStore) -> None:
    with pytest.raises(NotLoggedIn, match="not logged in to any fleet"):
        store.load()
    store.save(ONE)
    assert store.load().fleet == "demo"  # the only one there is
    store.save(replace(ONE, fleet="other"))
    with pytest.raises(NotLoggedIn, match="none of the fleets demo, other") as missing:
        store.load()
    assert "--fleet" in missing.value.remedy
    store.use("other")
    assert store.load().fleet == "other"
    store.save(ONE, current=True)
    assert store.load().fleet == "demo"
    with pytest.raises(NotLoggedIn, match="`third`"):
        store.load("third")
    with pytest.raises(NotLoggedIn, match="`third`"):
        store.use("third")


def test_a_newer_roster(store: ContextStore) -> None:
    store.save(ONE)
    store.save_roster("demo", b"newer")
    assert store.load() == replace(ONE, roster=b"newer")


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a" * 64, "../x"])
def test_names_that_are_no_file(store: ContextStore, name: str) -> None:
    with pytest.raises(ContextInvalid):
        store.save(replace(ONE, fleet=name))


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ('fleet = "demo"', 'fleet = "else"', "about the fleet"),
        ('fleet = "demo"', "", "`fleet` is missing"),
        ('fleet = "demo"', 'fleet = "demo"\nmore = 1', "`more` is unknown"),
        ("a.example:7400", "a.example", "is no HOST:PORT"),
        ("ab" * 32, "ab", "64 hex digits"),
        ("/k/a.key", '"', "cannot be read"),
        ('key = "/k/a.key"', "key = 5", "must be paths"),
    ],
)
def test_a_file_that_somebody_edited(store: ContextStore, tmp_path: Path, before: str, after: str, reason: str) -> None:
    store.save(ONE)
    file = tmp_path / "fleets" / "demo.toml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    with pytest.raises(ContextInvalid, match=reason) as invalid:
        store.load()
    assert "edged login" in invalid.value.remedy


def test_limits(store: ContextStore, tmp_path: Path) -> None:
    nodes = tuple(f"n{number}:7400" for number in range(CONTEXT_NODES_MAX))
    store.save(replace(ONE, nodes=nodes, roster=b"x" * ROSTER_BYTES_MAX))
    assert store.load().nodes == nodes
    store.save(replace(ONE, nodes=(*nodes, "one:7400")))
    with pytest.raises(ContextInvalid, match="one to 256 addresses"):
        store.load()
    store.save(replace(ONE, roster=b"x" * (ROSTER_BYTES_MAX + 1)))
    with pytest.raises(ContextInvalid, match="more than"):
        store.load()
    store.save(ONE)
    file = tmp_path / "fleets" / "demo.toml"
    data = file.read_bytes()
    file.write_bytes(data + b" " * (CONTEXT_BYTES_MAX - len(data)))
    assert store.load() == ONE
    file.write_bytes(data + b" " * (CONTEXT_BYTES_MAX + 1 - len(data)))
    with pytest.raises(ContextInvalid, match="more than"):
        store.load()


@pytest.mark.parametrize("text", ["a:1", "a.example:65535", "192.0.2.1:7400", "[2001:db8::1]:7400"])
def test_addresses(text: str) -> None:
    assert check_address(text) == text


@pytest.mark.parametrize("text", ["", "a", ":1", "a:", "a:0", "a:65536", "a:x", "2001:db8::1:7400", "a:-1", "a:²"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is no HOST:PORT"):
        check_address(text)


def test_where_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/somewhere")
    assert default_config_folder() == Path("/somewhere/edged")
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_config_folder() == Path("/home/somebody/.config/edged")
