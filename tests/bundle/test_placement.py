"""`[application.tool.edged]`."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.bundle.placement import Placement, parse_placement
from edged.errors import ManifestError
from edged.limits import (
    HOST_LABEL_CHARS_MAX,
    HOST_NAME_CHARS_MAX,
    PLACEMENT_HOST_COUNT_MAX,
    PLACEMENT_REGION_COUNT_MAX,
    PROBE_CHARS_MAX,
    MiB,
)

HEAD = 'spin_manifest_version = 2\n[application]\nname = "app"\n[application.tool.edged]\n'


def placement(text: str) -> Placement:
    return parse_placement((HEAD + text).encode(), Path("spin.toml"))


def problems(text: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        placement(text)
    return caught.value.message.splitlines()


def test_everything() -> None:
    text = """hosts = ["shop.example.com", "localhost"]
regions = ["eu", "us-2"]
limits = { memory_bytes_max = "64MiB", wall = "2s", handles = 7, cpu_s_max = 0.5 }
probe = "/healthz?deep=1"
"""
    assert placement(text) == Placement(
        hosts=("shop.example.com", "localhost"),
        regions=("eu", "us-2"),
        limits={"memory_bytes_max": 64 * MiB, "wall_s_max": 2.0, "handles_max": 7, "cpu_s_max": 0.5},
        probe="/healthz?deep=1",
    )


@pytest.mark.parametrize(
    "text",
    [
        'spin_manifest_version = 2\n[application]\nname = "app"\n',
        'spin_manifest_version = 2\n[application]\nname = "app"\n[application.tool.other]\nhosts = 7\n',
        'spin_manifest_version = "1"\nname = "app"\ntrigger = { type = "http" }\n',
        HEAD,
    ],
)
def test_nothing_is_asked(text: str) -> None:
    assert parse_placement(text.encode(), Path("spin.toml")) == Placement()


def test_a_byte_order_mark_and_crlf() -> None:
    data = b"\xef\xbb\xbf" + (HEAD + 'probe = "/"\n').replace("\n", "\r\n").encode()
    assert parse_placement(data, Path("spin.toml")).probe == "/"


def test_all_problems_at_once_each_with_its_line() -> None:
    text = 'host = ["a"]\nregions = ["Eu"]\nprobe = "healthz"\nlimits = { memori = 1 }\n'
    found = problems(text)
    assert [line.split(": ")[0] for line in found] == [f"spin.toml:{line}" for line in (5, 6, 7, 8)]
    assert "did you mean `hosts`?" in found[0]
    assert "region" in found[1]
    assert "slash" in found[2]
    assert "did you mean `memory" in found[3]


@pytest.mark.parametrize(
    "text",
    [
        "hosts = []",
        'hosts = "a"',
        'hosts = ["a", "a"]',
        'hosts = ["A.com"]',
        'hosts = ["a.com:80"]',
        'hosts = ["*.a.com"]',
        'hosts = ["a..com"]',
        'hosts = ["-a.com"]',
        'hosts = ["a.com."]',
        'hosts = ["[::1]"]',
        "hosts = [7]",
        "regions = []",
        'regions = [""]',
        'regions = ["eu", "eu"]',
        'probe = ""',
        'probe = "/a b"',
        'probe = "/a#b"',
        'probe = "/ü"',
        'probe = "http://elsewhere/"',
        "limits = 7",
        "limits = { memory = true }",
        'limits = { memory = "much" }',
        'limits = { memory = "1KiB" }',
        'limits = { wall = "-1s" }',
        'limits = { memory = "1GiB", memory_bytes_max = "2GiB" }',
    ],
)
def test_what_cannot_mean_anything(text: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith("spin.toml:5: ")


def test_tables_where_they_are_none() -> None:
    with pytest.raises(ManifestError, match="must be a table"):
        parse_placement(b'[application.tool]\nedged = "x"\n', Path("spin.toml"))


@pytest.mark.parametrize(
    ("most", "text"),
    [
        (PLACEMENT_HOST_COUNT_MAX, lambda n: f"hosts = {[f'h{i}' for i in range(n)]}"),
        (PLACEMENT_REGION_COUNT_MAX, lambda n: f"regions = {[f'r{i}' for i in range(n)]}"),
        (PROBE_CHARS_MAX, lambda n: f'probe = "/{"x" * (n - 1)}"'),
        (HOST_LABEL_CHARS_MAX, lambda n: f'hosts = ["{"x" * n}.com"]'),
        (HOST_LABEL_CHARS_MAX, lambda n: f'regions = ["{"x" * n}"]'),
        (HOST_NAME_CHARS_MAX, lambda n: f'hosts = ["{("a." * n)[: n - 1]}b"]'),
    ],
    ids=["hosts", "regions", "probe", "host label", "region", "host"],
)
def test_at_the_limit_and_over(most: int, text: object) -> None:
    assert callable(text)
    placement(text(most))
    problems(text(most + 1))
