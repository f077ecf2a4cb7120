"""`edged fleet checkpoint`: once, and again and again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from edged.cli import fleet_checkpoint
from edged.errors import FleetUnreachable, RemoteError, UsageError
from edged.publish.context import Context
from tests.cli.fleet import Commands
from tests.publish.fakes import NOW

ROLES = frozenset({"deploy", "read", "checkpoint"})


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Ada, whose key has the role by version 2 of the roster."""
    user = Commands(tmp_path, monkeypatch)
    fleet = user.fleet
    ada = replace(fleet.roster.keys[0], roles=ROLES)
    roster = replace(fleet.roster, version=2, previous=fleet.roster.digest, keys=(ada, *fleet.roster.keys[1:]))
    envelope = roster.seal([fleet.root])
    for node in fleet.nodes.values():
        assert node.state.accept(envelope, NOW).kind == "accepted"
    roots = (fleet.root.public.raw.hex(),)
    user.store.save(Context("demo", fleet.addresses, user.key, tmp_path / "ada.crt", roots, envelope), current=True)
    return user


def naps(monkeypatch: pytest.MonkeyPatch, *happens: object) -> list[float]:
    """Between two checkpoints something happens instead of time; then Ctrl-C. How long each pause would have been."""
    slept: list[float] = []

    def run(_sleep: object, seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > len(happens):
            raise KeyboardInterrupt
        happened = happens[len(slept) - 1]
        assert callable(happened)
        happened()

    monkeypatch.setattr(fleet_checkpoint, "trio", SimpleNamespace(run=run, sleep=None))
    return slept


def test_a_checkpoint_names_what_there_is(user: Commands) -> None:
    user.run("push", str(user.app()))
    (told,) = user.json("fleet", "checkpoint", "--good-for", "12h")
    made = user.fleet.first.state.view.checkpoint
    assert made is not None
    assert dict(made.apps) == {"shop": (1, 1)}
    assert told == {
        "event": "checkpoint", "fleet": "demo", "sequence": 1, "apps": 1, "roster_version": 2, "expires": made.expires
    }  # fmt: skip
    assert made.expires - made.issued == 12 * 3_600
    said = user.run("fleet", "checkpoint").stdout
    assert said.startswith("Checkpoint 2 of demo: 1 app, version 2 of the roster; good until ")


def test_a_key_without_the_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = Commands(tmp_path, monkeypatch)
    with pytest.raises(RemoteError, match="role 'checkpoint'"):
        user.run("fleet", "checkpoint")
    slept = naps(monkeypatch)
    with pytest.raises(RemoteError):  # not again and again
        user.run("fleet", "checkpoint", "--every", "1h")
    assert slept == []
    assert user.fleet.first.state.view.checkpoint is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--good-for", "30d"], ""),
        (["--good-for", "31d"], "at most 30 days"),
        (["--good-for", "2h", "--every", "2h"], "would expire before the next"),
        (["--good-for", "tomorrow"], "no length of time"),
        (["--good-for", "0d"], "no length of time"),
    ],
)
def test_how_long_it_may_be_good_for(user: Commands, options: list[str], message: str) -> None:
    if not message:
        user.run("fleet", "checkpoint", *options)
        return
    with pytest.raises(UsageError, match=message):
        user.run("fleet", "checkpoint", *options)
    assert user.fleet.first.state.view.checkpoint is None


def test_again_and_again_until_ctrl_c(user: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet that does not answer for a while is asked again."""

    def down(is_down: bool) -> None:
        for node in user.fleet.nodes.values():
            node.is_down = is_down

    slept = naps(monkeypatch, lambda: None, lambda: down(True), lambda: down(False))
    with pytest.raises(click.Abort):
        user.run("fleet", "checkpoint", "--every", "6h")
    made = user.fleet.first.state.view.checkpoint
    assert made is not None
    assert made.sequence == 3  # of four times, one in vain
    assert slept == [6 * 3_600] * 4


def test_one_that_is_asked_for_once_says_that_nobody_answers(user: Commands) -> None:
    for node in user.fleet.nodes.values():
        node.is_down = True
    with pytest.raises(FleetUnreachable):
        user.run("fleet", "checkpoint")
