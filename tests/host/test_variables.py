"""fermyon:spin/variables, spin:variables and wasi:config/store"""

from __future__ import annotations

import pytest

from edged.host.interface import Err
from edged.host.variables import ConfigStore, Variables, Variables3
from edged.limits import MANIFEST_SHOWN_CHARS_MAX
from tests.host.fakes import invocation

BOTH = pytest.mark.parametrize("interface", [Variables, Variables3])
VALUES = {"token": "geheim", "host": "", "a1_b": "x"}


@pytest.mark.parametrize("name", VALUES)
def test_all_give_the_value(name: str) -> None:
    assert Variables(VALUES).get(invocation(), name) == VALUES[name]
    assert Variables3(VALUES).get(invocation(), name) == VALUES[name]
    assert ConfigStore(VALUES).get(invocation(), name) == VALUES[name]


@pytest.mark.parametrize(
    ("name", "case"),
    [("toke", "undefined"), ("", "invalid-name"), ("TOKEN", "invalid-name"), ("to-ken", "invalid-name")],
)
@BOTH
def test_a_name_without_a_value(interface: type[Variables], name: str, case: str) -> None:
    with pytest.raises(Err) as caught:
        interface(VALUES).get(invocation(), name)
    assert caught.value.value[0] == case
    assert name in caught.value.value[1]
    assert "geheim" not in caught.value.value[1]
    assert ConfigStore(VALUES).get(invocation(), name) is None


def test_a_long_name_is_cut_in_the_message() -> None:
    with pytest.raises(Err) as caught:
        Variables(VALUES).get(invocation(), "A" * 100_000)
    assert len(caught.value.value[1]) < MANIFEST_SHOWN_CHARS_MAX + 200


def test_all() -> None:
    assert ConfigStore(VALUES).get_all(invocation()) == [("a1_b", "x"), ("host", ""), ("token", "geheim")]
    assert ConfigStore({}).get_all(invocation()) == []


@BOTH
def test_a_component_sees_only_its_own(interface: type[Variables]) -> None:
    one, other = interface({"a": "1"}), interface({"b": "2"})
    assert one.get(invocation(), "a") == "1"
    with pytest.raises(Err):
        other.get(invocation(), "a")
