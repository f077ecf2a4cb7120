"""docs/provisioning-errors.md and provisioning.errors say the same."""

from __future__ import annotations

import pytest

from provisioning import errors
from provisioning.errors import ProvisioningError
from tests.docs.tables import names, rows

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, ProvisioningError) and value is not ProvisioningError
]
ROWS = {names(cells[0])[0]: cells for cells in rows("provisioning-errors.md", "code")}


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    assert set(ROWS) == {cls.code for cls in CLASSES}
    assert len(ROWS) == len(CLASSES) == len(rows("provisioning-errors.md", "code"))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_rows(cls: type[ProvisioningError]) -> None:
    _, exit_status, what, remedy = ROWS[cls.code]
    assert int(exit_status) == cls.exit_status
    assert what
    assert remedy


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_has_the_one_shape(cls: type[ProvisioningError]) -> None:
    error = cls("m")
    assert str(error) == "m"
    assert error.as_json() == {"code": cls.code, "message": "m", "remedy": cls.default_remedy}
    assert cls.default_remedy != ProvisioningError.default_remedy
