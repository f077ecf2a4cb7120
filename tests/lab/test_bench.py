"""`edged bench anycast` with the real httping and mtr, where the nearest way breaks. Needs root, as all labs do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.edged_command import edged_command
from tests.lab.lab import Lab, may_run
from tests.lab.topology import Topology

TEXT = """
[place.edi]
[place.near]
[place.far]
[place.server]
[[link]]
between = ["edi", "near"]
[[link]]
between = ["near", "server"]
[[link]]
between = ["near", "far"]
rtt_ms = 20
[[link]]
between = ["far", "server"]
rtt_ms = 20
"""
SERVER = """
import http.server
class Ok(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("", 80), Ok).serve_forever()
"""


def _why_not() -> str:
    missing = [tool for tool in ("httping", "mtr") if shutil.which(tool) is None]
    return may_run() or (f"the benchmark runs {' and '.join(missing)}, which this machine lacks" if missing else "")


needs_lab = pytest.mark.skipif(bool(_why_not()), reason=_why_not() or "-")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(Topology.parse(TEXT)) as made:
        made.start("server", [sys.executable, "-c", SERVER], log=tmp_path / "server.log")
        address = made.address("server")
        wait = f"import socket\nwhile socket.socket().connect_ex(('{address}', 80)): pass"
        made.run("edi", [sys.executable, "-c", wait])
        yield made


@needs_lab
def test_the_nearest_way_breaks(lab: Lab, tmp_path: Path) -> None:
    address, near = lab.address("server"), lab.namespace("near")
    over_far = lab.run("near", ["ip", "-json", "route", "show", lab.address("far")])
    gateway = json.loads(over_far)[0]["gateway"]
    picture = tmp_path / "picture.svg"
    done = subprocess.run(
        [
            *edged_command("bench", "anycast", f"http://{address}/", "--json", "--count", "3"),
            *("--client", f"edi=ip netns exec {lab.namespace('edi')}", "--lead", "1", "--settle", "1"),
            *("--event", f"ip -n {near} route replace {address}/32 via {gateway}", "--picture", str(picture)),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    report = json.loads(done.stdout)
    (found,) = report["comparisons"]
    assert found["path_changed"]
    assert len(found["before"]["mtr"]["hops"]) == 2
    assert len(found["after"]["mtr"]["hops"]) == 3
    assert {found[when]["httping"]["answered"] for when in ("before", "after")} == {3}
    # Connecting and asking are two round trips, of which 20 ms each way were added by the links.
    assert found["after"]["httping"]["min_ms"] >= 40
    assert found["ratio"] > 1
    (series,) = report["series"]
    late = [sample["latency_ms"] for sample in series["samples"] if sample["at_s"] > report["event_s"] + 1]
    assert late
    assert min(late) >= 40
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
