"""docs/errors.md and edged.errors say the same."""

from __future__ import annotations

import pytest

from edged.errors import EdgedError, from_json
from tests.docs.tables import names, rows

ROWS = {names(cells[0])[0]: cells for cells in rows("errors.md", "code")}


def classes(cls: type[EdgedError] = EdgedError) -> list[type[EdgedError]]:
    return [cls, *(leaf for child in cls.__subclasses__() for leaf in classes(child))]


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    assert set(ROWS) == {cls.code for cls in classes()}
    assert len(rows("errors.md", "code")) == len(ROWS)


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_statuses(cls: type[EdgedError]) -> None:
    _, exit_status, http_status, what, remedy = ROWS[cls.code]
    assert (int(exit_status), int(http_status)) == (cls.exit_status, cls.http_status)
    assert what
    assert remedy


@pytest.mark.parametrize("code", ROWS)
def test_a_code_comes_back_from_json_as_itself(code: str) -> None:
    error = from_json({"code": code, "message": "m", "remedy": "r"})
    assert (error.code, error.message, error.remedy) == (code, "m", "r")
