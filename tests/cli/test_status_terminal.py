"""What an operator sees of a fleet: at first glance what is wrong, without colours, in 80 columns."""

from __future__ import annotations

import copy
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgpack
import pytest
from rich.console import Console

from bgp.status import AnycastStatus
from edged.cli.status_terminal import Screen, print_apps, print_status
from edged.fleet.deployment import Deployment
from edged.status.parse import parse_status
from registry.digest import digest_of
from tests.publish.fakes import NOW, FakeFleet, status
from tests.status.anycast import V4, V6, anycast, down, peer, prefix, withdrawn

DIGEST = digest_of(b"release")


@pytest.fixture
def shape(tmp_path: Path) -> dict[str, Any]:
    fleet = FakeFleet(tmp_path, ("eu-central", "us-east", "ap-south"))
    regions = dict.fromkeys(("eu-central", "us-east", "ap-south"), DIGEST)
    apps = {
        "shop": Deployment("demo", "shop", 1, 42, regions, ("shop.example.com",), issued=NOW),
        "hello": Deployment("demo", "hello", 1, 3, {"eu-central": DIGEST}, issued=NOW),
    }
    return copy.deepcopy(status(fleet, apps))


def lines(shape: dict[str, Any], width: int = 80, show: Any = print_status, terminal: bool = True) -> list[str]:
    written = io.StringIO()
    console = Console(
        file=written, force_terminal=terminal, color_system=None, width=width, highlight=False, _environ={}
    )
    show(parse_status(shape), console)
    return [line.rstrip() for line in written.getvalue().splitlines()]


def test_all_well(shape: dict[str, Any]) -> None:
    found = lines(shape)
    assert found[0] == "demo  ✓ all well  3 regions, 3 of 3 nodes up, 2 apps"
    assert "eu-central  a     ✓ up       4/4     12  2.0 ms  15 ms  350 d  50.0 GiB" in found


@pytest.mark.parametrize("width", [80, 120])
def test_three_things_at_once(shape: dict[str, Any], width: int) -> None:
    """A dead node, a region behind, a certificate about to expire."""
    shape["nodes"][1].update(state="silent", heard_s=200.0)
    shape["nodes"][0]["certificate_days"] = 12.3
    shape["apps"][1]["nodes"][2].update(running=41, stage="compile")
    shape["apps"][1]["state"] = "rolling"
    found = lines(shape, width)
    assert found[0] == "demo  ✗ 3 problems  3 regions, 2 of 3 nodes up, 2 apps"
    top = " ".join(" ".join(found[:9]).split())
    assert "✗ node b in us-east is dead: not heard of for 3 min" in top
    assert "! region ap-south is behind with shop: it runs 41, should run 42" in top
    assert "! the certificate of node a expires in 12 days" in top
    table = "\n".join(found)
    assert "✗ dead 3 min" in table
    assert "! 12 d" in table
    assert "↻ap-south@41" in table
    assert all(len(line) <= width for line in found)


def test_a_dead_node_s_numbers_are_not_shown(shape: dict[str, Any]) -> None:
    shape["nodes"][1].update(state="silent", heard_s=200.0)
    (row,) = [line for line in lines(shape) if line.startswith("us-east")]
    assert row.split() == ["us-east", "b", "✗", "dead", "3", "min", "-", "-", "-", "-", "350", "d", "50.0", "GiB"]


def test_long_names_of_regions_are_whole_in_80_columns(shape: dict[str, Any]) -> None:
    names = {
        "eu-central": "europe-west-frankfurt-1",
        "us-east": "north-america-virginia-2",
        "ap-south": "asia-mumbai-3",
    }
    text = json.dumps(shape)
    for short, long in names.items():
        text = text.replace(short, long)
    shape = json.loads(text)
    shape["apps"][1]["hosts"] = ["a-very-long-name-of-a-host.somewhere.far.away.example.com"]
    shape["apps"][1]["nodes"][1].update(running=41, stage="compile")
    found = lines(shape)
    table = "\n".join(found[found.index(next(line for line in found if line.startswith("APP"))) :])
    assert all(f"✓{name}" in table for name in ("europe-west-frankfurt-1", "asia-mumbai-3"))
    assert "↻north-america-virginia-2@41" in table
    assert "✓ live" in table
    assert all(len(line) <= 80 for line in found)


def test_a_node_that_is_not_heard_of_yet(shape: dict[str, Any]) -> None:
    shape["nodes"][0].update(since=float(NOW), disk_free_bytes=None, disk_used_bytes=None)
    shape["nodes"][1].update(state="never", heard_s=None)
    found = lines(shape)
    assert found[0].startswith("demo  ! 1 problem ")
    assert any("! not yet" in line and line.startswith("us-east") for line in found)


def test_text_of_strangers(shape: dict[str, Any]) -> None:
    shape["apps"][0]["nodes"][0].update(stage="failed", running=2, error_message="\x1b[2J[bold]x\nnext")
    shape["alarms"] = ["\x1b]0;title\x07"]
    text = "\n".join(lines(shape, 200))
    assert "\\x1b[2J[bold]x\\nnext" in text
    assert "\x1b]0" not in text


def test_many_problems(shape: dict[str, Any]) -> None:
    shape["alarms"] = [f"alarm {number}" for number in range(30)]
    found = lines(shape)
    assert found[0].startswith("demo  ✗ 30 problems")
    assert any("and 18 more" in line for line in found)


def test_lines_are_whole_where_there_is_no_terminal(shape: dict[str, Any]) -> None:
    shape["apps"][1]["hosts"] = ["a-very-long-name-of-a-host.somewhere.far.away.example.com"]
    assert any(shape["apps"][1]["hosts"][0] in line for line in lines(shape, terminal=False))


def test_no_line_ends_with_blanks_where_there_is_no_terminal(shape: dict[str, Any]) -> None:
    written = io.StringIO()
    print_status(parse_status(shape), Console(file=written, force_terminal=False, highlight=False, _environ={}))
    text = written.getvalue()
    assert text.endswith("\n")
    assert [line for line in text.split("\n") if line.endswith(" ")] == []


def test_apps(shape: dict[str, Any]) -> None:
    found = lines(shape, show=print_apps)
    assert found[1].split() == ["hello", "✓", "live", "3", "http://hello.edged.localhost:8080/", "1", "region"]
    assert found[2].split() == ["shop", "✓", "live", "42", "http://shop.example.com:8080/", "3", "regions"]
    shape["apps"] = []
    assert lines(shape, show=print_apps) == ["no apps yet: `edged push` brings the first one"]
    assert "no apps yet" in lines(shape)


def test_watching_shows_the_newest_in_place_of_the_one_before(shape: dict[str, Any]) -> None:
    written = io.StringIO()
    screen = Screen(Console(file=written, force_terminal=True, width=80, highlight=False, _environ={}))
    screen.show(parse_status(shape))
    screen.show(parse_status(shape))
    assert written.getvalue().count("\x1b[2J") == 2


# --- announcing ---


def announcing(shape: dict[str, Any], *statuses: AnycastStatus | None) -> dict[str, Any]:
    for node, each in zip(shape["nodes"], statuses, strict=True):
        node["anycast"] = None if each is None else msgpack.unpackb(msgpack.packb(asdict(each)))
    return shape


LOST = anycast(
    peers=(
        peer("tor1", since=NOW - 7_300.0),
        down("tor2", since=NOW - 65.0, error="wrong AS number: 192.0.2.2 is AS65102, and this node expects AS65101"),
    ),
    prefixes=(
        withdrawn(V4, state="hold-down", hold_until=NOW + 41.0, reason="no worker answered", flaps=2),
        prefix(V6, since=NOW - 7_300.0, announced="withdrawn"),
    ),
)


def test_a_fleet_that_announces_nothing_shows_no_sessions(shape: dict[str, Any]) -> None:
    assert not any("PREFIX" in line for line in lines(shape))


@pytest.mark.parametrize("width", [80, 140])
def test_sessions_and_prefixes(shape: dict[str, Any], width: int) -> None:
    found = lines(announcing(shape, LOST, anycast(), None), width)
    rows = [line.split() for line in found]
    assert ["a", "tor1", "65101", "✓", "up", "2", "h", "9", "s", "✓", "up", "2/2"] in rows
    [row] = [row for row in rows if row[:5] == ["tor2", "65101", "✗", "active", "65"]]
    assert row[5:9] == ["s", "-", "-", "0/2"]
    [row] = [row for row in rows if V4 in row and "hold-down," in row]
    assert row[:8] == ["a", V4, "!", "hold-down,", "41", "s", "more", "withdrawn"]
    assert any("✗ withdrawn," in line and V6 in line for line in found)
    assert all(len(line) <= width for line in found)
    whole = " ".join(" ".join(found).split())
    assert "the session with tor2 (192.0.2.1, AS65101) is down for 65 s: wrong AS number: 192.0.2.2 is AS65102" in whole


def test_sessions_of_a_dead_node_are_not_shown(shape: dict[str, Any]) -> None:
    shape = announcing(shape, LOST, anycast(), None)
    shape["nodes"][0].update(state="silent", heard_s=60.0)
    assert not any("tor2" in line and "65101" in line and "wrong" in line for line in lines(shape, 200))


def test_text_of_routers(shape: dict[str, Any]) -> None:
    said = anycast(peers=(down("tor1", error="\x1b[2Jsaid"), peer("tor2")))
    text = "\n".join(lines(announcing(shape, said, anycast(), None), 200))
    assert "\\x1b[2Jsaid" in text
    assert "\x1b[2J" not in text.replace("\\x1b", "")


def test_what_is_on_the_wire_may_not_be_known(shape: dict[str, Any]) -> None:
    unsure = anycast(prefixes=(prefix(V4, announced=""), prefix(V6)))
    assert any(V4 in line and "? (plain)" in line for line in lines(announcing(shape, unsure, anycast(), None)))
