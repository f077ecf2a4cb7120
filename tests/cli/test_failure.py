"""What a command says when it fails, and the status that it ends with."""

from __future__ import annotations

import click
import pytest

from edged import cli
from edged.cli.failure import failure_of, show_failure
from edged.errors import EdgedError, ListenError, ManifestError, UsageError
from provisioning.errors import MachineUnknown
from registry.errors import StoreFull


def test_message_remedy_and_code(capsys: pytest.CaptureFixture[str]) -> None:
    show_failure(ListenError("port 80 is taken", remedy="Choose another."))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: port 80 is taken\n  -> Choose another.  [listen.failed]\n"


def test_several_lines_and_nothing_that_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show_failure(ManifestError("spin.toml:1: one\x1b[2J\nspin.toml:2: two\r"))
    assert capsys.readouterr().err.splitlines()[:2] == [
        "error: spin.toml:1: one\\x1b[2J",
        "       spin.toml:2: two\\r",
    ]


def test_ours_stands_for_a_group() -> None:
    first, second = UsageError("first"), ListenError("second")
    assert failure_of(first) is first
    assert failure_of(ExceptionGroup("", [ValueError(), ExceptionGroup("", [first]), second])) is first


def test_the_registry_s_too(capsys: pytest.CaptureFixture[str]) -> None:
    error = StoreFull("no room")
    assert failure_of(error) is error
    assert failure_of(ExceptionGroup("", [ExceptionGroup("", [error])])) is error
    show_failure(error)
    assert capsys.readouterr().err.startswith("error: no room\n  -> ")


def test_provisioning_s_too() -> None:
    error = MachineUnknown("no machine")
    assert failure_of(error) is error
    assert failure_of(ExceptionGroup("", [ValueError(), error])) is error


def test_a_mistake_of_ours_shows_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    failure = failure_of(ZeroDivisionError("what happened"))
    assert (failure.code, failure.exit_status) == ("internal", 70)
    assert "ZeroDivisionError: what happened" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (None, 0),
        (ManifestError("wrong"), 78),
        (UsageError("wrong"), 64),
        (EdgedError("wrong"), 70),
        (StoreFull("no room"), 73),
        (MachineUnknown("no machine"), 64),
        (ZeroDivisionError(), 70),
        (click.UsageError("wrong"), 64),
        (click.Abort(), 130),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_status(
    raised: BaseException | None, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(**_: object) -> None:
        if raised is not None:
            raise raised

    monkeypatch.setattr(cli._edged, "main", run)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == status
    assert bool(capsys.readouterr().err) == (status not in (0, 130))


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--version"], 0), (["-h"], 0), (["up", "-h"], 0), (["nonsense"], 64), (["up", "-x"], 64)],
)
def test_the_command_line_itself(
    arguments: list[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["edged", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == status
    out, err = capsys.readouterr()
    assert (err if status else out).strip()
