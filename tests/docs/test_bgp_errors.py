"""docs/bgp-errors.md and bgp.errors say the same."""

from __future__ import annotations

import pytest

from bgp import errors
from bgp.errors import BgpError
from tests.docs.tables import names, rows

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, BgpError) and value is not BgpError
]
ROWS = {names(cells[0])[0]: cells for cells in rows("bgp-errors.md", "code")}


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    assert set(ROWS) == {cls.code for cls in CLASSES}
    assert len(ROWS) == len(CLASSES) == len(rows("bgp-errors.md", "code"))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_rows(cls: type[BgpError]) -> None:
    _, exit_status, what, remedy = ROWS[cls.code]
    assert int(exit_status) == cls.exit_status
    assert what
    assert remedy


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_has_the_one_shape(cls: type[BgpError]) -> None:
    error = cls("m")
    assert str(error) == "m"
    assert error.as_json() == {"code": cls.code, "message": "m", "remedy": cls.default_remedy}
    assert cls.default_remedy != BgpError.default_remedy
