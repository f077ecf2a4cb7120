"""The shape of errors as others see them."""

from __future__ import annotations

import pytest

from edged.errors import GuestTrap, from_json


def test_an_error_survives_its_json() -> None:
    error = GuestTrap("it trapped", remedy="do this")
    again = from_json(error.as_json())
    assert (type(again), again.message, again.remedy) == (GuestTrap, "it trapped", "do this")


def test_a_request_id_is_there_once_it_is_known() -> None:
    error = GuestTrap("it trapped")
    assert "request_id" not in error.as_json()
    error.request_id = "7"
    assert error.as_json()["request_id"] == "7"


@pytest.mark.parametrize("value", [{}, [], "text", {"code": "no.such", "message": "", "remedy": ""}], ids=str)
def test_what_is_not_an_error_of_ours(value: object) -> None:
    with pytest.raises(ValueError, match="error"):
        from_json(value)  # type: ignore[arg-type]
