"""What commands about a fleet share."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from edged.cli.with_fleet import json_option
from edged.errors import UsageError


@pytest.mark.parametrize("error", [click.Abort(), click.UsageError("no")], ids=["no answer to a question", "an option"])
def test_what_click_says_is_no_mistake_of_ours(error: Exception) -> None:
    @click.command()
    @json_option
    def asks(as_json: bool) -> None:
        raise error

    with pytest.raises(type(error)):
        CliRunner().invoke(asks, ["--json"], catch_exceptions=False, standalone_mode=False)


def test_an_error_of_ours_is_the_last_line_too() -> None:
    @click.command()
    @json_option
    def fails(as_json: bool) -> None:
        raise UsageError("it cannot mean anything")

    result = CliRunner().invoke(fails, ["--json"], standalone_mode=False)
    assert isinstance(result.exception, UsageError)
    assert '"code": "usage"' in result.stdout
