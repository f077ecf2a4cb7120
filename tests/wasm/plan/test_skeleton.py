from __future__ import annotations

import pytest
import wasmtime

from edged.errors import ComponentInvalid, ComponentTooLarge
from edged.limits import COMPONENT_DEPTH_MAX
from edged.wasm.plan.module import module_types
from edged.wasm.plan.reader import COMPONENT_PREAMBLE, MODULE_PREAMBLE
from edged.wasm.plan.rewriting import leb
from edged.wasm.plan.skeleton import core_modules, skeleton
from tests.wasm.plan.fuzz_skeleton import CORPUS, Verdicts, mutant


@pytest.fixture(scope="module")
def verdicts() -> Verdicts:
    return Verdicts()


def of(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_a_skeleton_has_the_modules_of_the_whole(name: str) -> None:
    whole = CORPUS[name]
    bones = skeleton(whole)
    types = [module_types(whole, *place) for place in core_modules(whole)]
    assert types == [module_types(bones, *place) for place in core_modules(bones)]
    assert len(bones) < len(whole)
    assert skeleton(bones) == bones


def test_modules_stand_in_the_order_of_their_bytes_nested_ones_too() -> None:
    exports = [list(module_types(CORPUS["parts"], *place).exports) for place in core_modules(CORPUS["parts"])]
    assert [names[0] for names in exports] == ["f", "declared", "f", "f", "memory"]


def test_what_is_inside_of_modules_is_left_out() -> None:
    bones = skeleton(CORPUS["parts"])
    for inside in (b"hello", b"there", b"unused"):
        assert inside in CORPUS["parts"]
        assert inside not in bones


def test_custom_sections_are_left_out() -> None:
    named = of('(component (core module (@custom "note" "in the module")) (@custom "note" "outside"))')
    assert skeleton(named) == skeleton(of("(component (core module))"))


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_wasmtime_says_the_same_of_a_component_whole_and_taken_apart(name: str, verdicts: Verdicts) -> None:
    """Bytes changed anywhere, in core modules and outside of them."""
    said = []
    for seed in range(400):
        changed = mutant(CORPUS[name], seed)
        whole = verdicts.whole(changed)
        assert bool(whole) == bool(verdicts.apart(changed)), (seed, whole, verdicts.apart(changed))
        if not whole:
            assert verdicts.rewritten(changed) == "", seed
        said.append(not whole)
    assert 20 < sum(said) < 380, "both kinds are met"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0asm",
        MODULE_PREAMBLE,
        COMPONENT_PREAMBLE[:-1],
        b"\0asm\x0e\0\1\0",
        COMPONENT_PREAMBLE + b"\x01",
        COMPONENT_PREAMBLE + b"\x01\x09" + MODULE_PREAMBLE,
        COMPONENT_PREAMBLE + b"\x01\x08" + b"\0asm\x02\0\0\0",
        COMPONENT_PREAMBLE + b"\x01\x0b" + MODULE_PREAMBLE + b"\x03\x01\x05",
        COMPONENT_PREAMBLE + b"\x01\x0b" + MODULE_PREAMBLE + b"\x03\x80\x80",
        COMPONENT_PREAMBLE + b"\x00\x02\x01\xff",
        COMPONENT_PREAMBLE + b"\x04\x00",
    ],
    ids=[
        "empty",
        "magic only",
        "module",
        "half a preamble",
        "version",
        "no size",
        "too long a module",
        "version of a module",
        "more functions than bytes",
        "endless size",
        "name of a custom section",
        "empty nested component",
    ],
)
def test_what_is_malformed_is_refused(data: bytes) -> None:
    with pytest.raises(ComponentInvalid):
        skeleton(data)


def nested(depth: int) -> bytes:
    """Components inside each other."""
    component = COMPONENT_PREAMBLE
    for _ in range(depth - 1):
        component = COMPONENT_PREAMBLE + b"\x04" + leb(len(component)) + component
    return component


def test_depth_limit() -> None:
    deepest = nested(COMPONENT_DEPTH_MAX)
    assert skeleton(deepest) == deepest
    assert list(core_modules(deepest)) == []
    for read in (skeleton, lambda data: list(core_modules(data))):
        with pytest.raises(ComponentTooLarge, match=f"more than {COMPONENT_DEPTH_MAX} deep"):
            read(nested(COMPONENT_DEPTH_MAX + 1))
