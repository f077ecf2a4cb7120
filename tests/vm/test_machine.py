from __future__ import annotations

import pytest

from tests.vm.machine import usable_accel

_INTEL = "processor\t: 0\nflags\t\t: fpu vmx sse2\n"
_AMD = "processor\t: 0\nflags\t\t: fpu svm sse2\n"
_NEITHER = "processor\t: 0\nflags\t\t: fpu sse2\nvmx flags\t: none\n"


@pytest.mark.parametrize(
    ("cpuinfo", "has_device", "wanted"),
    [
        (_INTEL, True, "kvm"),
        (_AMD, True, "kvm"),
        (_INTEL, False, "tcg"),
        (_NEITHER, True, "tcg"),
    ],
)
def test_kvm_where_the_processor_can(cpuinfo: str, has_device: bool, wanted: str) -> None:
    assert usable_accel(cpuinfo, has_device) == wanted
