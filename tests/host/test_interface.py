"""The rules by which host modules are written."""

from __future__ import annotations

import copy

from edged.host.interface import Err, Ok, Resource, Some, may_suspend


def test_errors_are_values_that_can_be_raised() -> None:
    assert Err() == Err(None)
    assert Err("closed") == Err("closed") != Err("other")
    assert hash(Err("closed")) == hash(Err("closed"))
    assert Err("x") != Ok("x")
    assert Ok() == Ok(None) != Ok(Some(None))


def test_an_error_survives_copying() -> None:
    assert copy.copy(Err(("case", 1))) == Err(("case", 1))


def test_methods_are_marked() -> None:
    @may_suspend
    def method() -> None: ...

    assert method.may_suspend


def test_a_resource_needs_no_drop() -> None:
    class Thing(Resource):
        pass

    Thing().drop()
