"""A release that goes region by region through a real fleet, and apps that are taken away by their number."""

from __future__ import annotations

from pathlib import Path

from tests.fleets import Event, Fleet, app_folder, saying
from tests.guests import wat

PROBED = 'probe = "/"'


def answers(fleet: Fleet, app: str) -> dict[str, tuple[int, bytes]]:
    return {name: node.get(host=f"{app}.edged.localhost") for name, node in fleet.nodes.items()}


def everywhere(fleet: Fleet, body: bytes) -> dict[str, tuple[int, bytes]]:
    return dict.fromkeys(fleet.nodes, (200, body))


def in_waves(fleet: Fleet, app: Path, *, check: bool = True) -> list[Event]:
    return fleet.run("push", app, "--soak", "1", "--json", check=check).events


def one(events: list[Event], name: str) -> Event:
    (found,) = [event for event in events if event["event"] == name]
    return found


def alarms(status: Event) -> list[str]:
    return [alarm for node in status["nodes"] for alarm in node["alarms"]]


def test_a_release_goes_region_by_region(fleet: Fleet, tmp_path: Path) -> None:
    app = app_folder(tmp_path, "waves", saying("one"))
    assert one(in_waves(fleet, app), "published")["waves"] == []  # nobody has it yet, so nobody waits

    app_folder(tmp_path, "waves", saying("two"))
    events = in_waves(fleet, app)
    published = one(events, "published")
    assert (published["waves"], published["soak_s"]) == ([["eu"], ["us"], ["ap"]], 1)
    assert {event["region"]: event["wave"] for event in events if event["event"] == "region"} == {
        "eu": 1, "us": 2, "ap": 3
    }  # fmt: skip
    assert answers(fleet, "waves") == everywhere(fleet, b"two")
    live = [fleet[name].wait_stage("waves", "live", 2)["time"] for name in ("eu-1", "us-1", "ap-1")]
    begun = [fleet[name].wait_stage("waves", "compile", 2)["time"] for name in ("us-1", "ap-1")]
    assert live[0] < begun[0]
    assert live[1] < begun[1]
    fleet["us-1"].wait_stage("waves", "waiting", 2)


def test_a_bad_release_stops_at_the_first_wave_and_says_why(fleet: Fleet, tmp_path: Path) -> None:
    app = app_folder(tmp_path, "held", saying("good"), edged_table=PROBED)
    fleet.push(app)
    app_folder(tmp_path, "held", wat.text("trap"), edged_table=PROBED)
    stopped = in_waves(fleet, app, check=False)
    assert stopped[-1]["code"] == "rollout.held"
    assert stopped[-1]["message"].startswith("held 2 was stopped: it does not go to us, ap\neu: ")
    assert one(stopped, "finished")["regions"] == {"eu": "failed", "us": "held", "ap": "held"}
    assert answers(fleet, "held") == everywhere(fleet, b"good")
    status = fleet.status()
    assert any("held held in ap, us: eu/eu-1 failed: " in problem["text"] for problem in status["problems"])
    (seen,) = [each for each in status["apps"] if each["name"] == "held"]
    assert {node["node"]: (node["stage"], node["running"]) for node in seen["nodes"]} == {
        "eu-1": ("failed", 1), "us-1": ("held", 1), "ap-1": ("held", 1)
    }  # fmt: skip

    app_folder(tmp_path, "held", saying("better"), edged_table=PROBED)
    assert set(in_waves(fleet, app)[-1]["regions"].values()) == {"live"}
    assert answers(fleet, "held") == everywhere(fleet, b"better")


def test_apps_go_if_as_many_were_meant(fleet: Fleet, tmp_path: Path) -> None:
    """A script that removes one after another takes the first; the next is served on, and comes back for good."""
    names = ["gone-a", "gone-b", "kept"]
    for name in names:
        fleet.push(app_folder(tmp_path / name, name, saying(name)))
    refused = fleet.run("remove", *names[:2], "--yes", "--json", check=False)
    assert (refused.status, refused.last["code"]) == (64, "usage")
    assert "--count 2" in refused.last["remedy"]
    fleet.run("remove", *names[:2], "--count", "2", "--json")
    for name in names[:2]:
        assert {status for status, _ in answers(fleet, name).values()} == {421}

    held = fleet.run("remove", "kept", "--count", "1", "--json", check=False)
    assert (held.status, held.last["code"]) == (75, "app.removal-held")
    assert "3 apps (gone-a, gone-b, kept) were removed within 60 s" in held.last["message"]
    assert answers(fleet, "kept") == everywhere(fleet, b"kept")
    status = fleet.wait_status(lambda status: len([one for one in alarms(status) if "kept" in one]) == len(fleet.nodes))
    assert any("edged rollback" in problem["remedy"] for problem in status["problems"])
    fleet["us-1"].stop()
    fleet["us-1"].start()  # it comes to the same
    assert fleet["us-1"].get(host="kept.edged.localhost") == (200, b"kept")
    fleet.run("rollback", "kept", "--yes", "--json")
    assert answers(fleet, "kept") == everywhere(fleet, b"kept")
    fleet.wait_status(lambda status: not alarms(status))
