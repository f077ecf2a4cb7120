"""`edged bench anycast` as somebody types it, with tools that print what they once did."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from rich.console import Console

from edged.bench.client import Client
from edged.bench.httping import Latency
from edged.bench.mtr import Hop
from edged.bench.mtr import Path as Way
from edged.bench.report import Comparison, Measurement, Report
from edged.cli.bench import bench
from edged.cli.bench_terminal import print_report
from edged.errors import UsageError
from tests.bench.tools import CAT, STAYS, client

URL = "http://203.0.113.10/"


@pytest.fixture
def edi(tmp_path: Path) -> str:
    httping = f'case "$*" in *-c*) {CAT}httping-answered.txt;; *) {CAT}httping-cut.txt; {STAYS};; esac'
    made: Client = client(tmp_path, httping=httping, mtr=f"{CAT}mtr-answered.json")
    return f"edi={made.prefix[0]}"


def test_now(edi: str) -> None:
    result = CliRunner().invoke(bench, ["anycast", URL, "--client", edi, "--target", "ams=http://198.51.100.1/"])
    assert result.exit_code == 0, result.output
    assert "edi    anycast now  73.8 73.9 73.9    0/5" in result.stdout
    assert "10.255.0.2 6.2 > 10.255.0.3 36.5" in result.stdout
    assert "edi -> ams" in result.stderr.splitlines()


def test_json_and_picture(edi: str, tmp_path: Path) -> None:
    picture = tmp_path / "drain.svg"
    words = ["anycast", URL, "--client", edi, "--event", "true", "--lead", "0", "--settle", "0", "--json"]
    result = CliRunner().invoke(bench, [*words, "--picture", str(picture)])
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["comparisons"][0]["ratio"] == 1.0
    assert ElementTree.fromstring(picture.read_text()).tag.endswith("svg")


@pytest.mark.parametrize("words", [["--undo", "true"], ["--picture", "x.svg"], ["--event", "sh 'x"], ["--client", "x"]])
def test_what_cannot_mean_anything(words: list[str]) -> None:
    result = CliRunner().invoke(bench, ["anycast", URL, *words])
    assert isinstance(result.exception, UsageError)


def measured(avg_ms: float | None, *hops: Hop) -> Measurement:
    latency = Latency(10, 0) if avg_ms is None else Latency(10, 9, avg_ms - 1, avg_ms, avg_ms + 1)
    return Measurement(latency, Way(hops))


def shown(*comparisons: Comparison) -> list[str]:
    console = Console(width=80, force_terminal=True, color_system=None, highlight=False)
    with console.capture() as capture:
        print_report(Report(0.0, comparisons, event="x", event_s=1.0), console)
    return [line.rstrip() for line in capture.get().splitlines()]


NEAR, FAR = Hop("10.0.0.1", 0.0, 16.4), Hop("10.0.0.9", 0.0, 67.5)


def test_before_and_after() -> None:
    lines = shown(Comparison("edi", "anycast", URL, measured(34.0, NEAR), measured(136.0, NEAR, FAR)))
    assert lines[0] == "CLIENT TARGET  WHEN     MIN   AVG   MAX FAILED RATIO  MTR HOPS PATH"
    assert lines[1] == "edi    anycast before  33.0  34.0  35.0   1/10       16.4    1"
    assert lines[2] == "               after  135.0 136.0 137.0   1/10  4.0x 67.5    2 changed"
    assert "               after  10.0.0.1 16.4 > 10.0.0.9 67.5" in lines


def test_nobody_answers() -> None:
    lines = shown(Comparison("edi", "anycast", URL, measured(34.0, NEAR), measured(None)))
    assert lines[2] == "               after     -    -    -  10/10     -    -    0 changed"


def test_a_name_does_not_steer_the_terminal() -> None:
    bad = Hop("\x1b[2J", 0.0, 1.0)
    assert "\x1b" not in "".join(shown(Comparison("edi", "anycast", URL, measured(34.0, bad), measured(34.0, bad))))
