"""sysctl.conf in the kernel, judged by what looks at a machine's settings."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

import pytest

from provisioning import templates
from tests.cloud_init.namespaces import Namespaces, namespaces
from tests.lab.lab import may_run

TEXT = templates.read("sysctl.conf")
SETTINGS = dict(re.findall(r"^([a-z0-9_.]+) = (\d+)$", TEXT, re.MULTILINE))

needs_root = pytest.mark.skipif(bool(may_run("sysctl")), reason=may_run("sysctl") or "-")


@pytest.fixture
def here() -> Iterator[Namespaces]:
    with namespaces({"machine": ["192.0.2.1/24"], "world": ["192.0.2.2/24"]}) as made:
        yield made


def problems(here: Namespaces) -> list[str]:
    look = "from bgp.kernel_settings import check_settings; print([each.key for each in check_settings()])"
    return list(ast.literal_eval(here.run("machine", sys.executable, "-c", look)))


@needs_root
def test_nothing_is_wrong_with_it(here: Namespaces) -> None:
    assert problems(here)
    here.run("machine", "sysctl", "--load", "-", given=templates.bare(TEXT))
    assert problems(here) == []
    # An interface that comes later, and one that its owner is strict about.
    here.run("machine", "ip", "link", "add", "later", "type", "veth", "peer", "other")
    here.run("machine", "sysctl", "-w", "net.ipv4.conf.later.rp_filter=1")
    assert problems(here) == []


@needs_root
def test_the_kernel_takes_all_of_it(here: Namespaces) -> None:
    here.run("machine", "sysctl", "--load", "-", given=templates.bare(TEXT))
    for key, value in SETTINGS.items():
        assert here.run("machine", "sysctl", "-n", key).strip() == value


def test_every_line_is_a_setting_or_a_reason() -> None:
    lines = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(SETTINGS) > 0
