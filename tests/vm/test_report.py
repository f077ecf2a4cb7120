from __future__ import annotations

from tests.vm.report import Check, Report, table
from tests.vm.start import Start


def test_a_column_a_start_and_no_row_of_nothing() -> None:
    report = Report(
        "boot",
        [
            Start("power-on", 0.0, {"kernel": 1.04, "answer": 20.0}, {"ready": 9.96}),
            Start("reboot", 9.0, {"kernel": 1.0}),
        ],
    )
    assert table([report]).splitlines()[:-1] == [
        "seconds to        power-on  reboot",
        "kernel                 1.0     1.0",
        "answer                20.0        ",
        "ready, own clock      10.0        ",
    ]


def test_what_is_not_well_is_shown_and_the_rest_is_counted() -> None:
    checks = [Check("edged doctor", True, "all is well"), Check("exposure", False, "line 1\nline 2")]
    report = Report("boot", checks=checks)
    assert not report.is_well
    assert table([report]).splitlines() == [
        "boot: 1 of 2 checks are well",
        "  exposure:",
        "    line 1",
        "    line 2",
    ]


def test_one_that_did_not_end_is_not_well() -> None:
    report = Report("boot", error="no answer in 900 s")
    assert not report.is_well
    assert "no answer in 900 s" in table([report])
    assert report.as_json()["well"] is False


def test_one_without_anything_wrong_is_well() -> None:
    report = Report("boot", [Start("power-on", 0.0, {"kernel": 1.234})], [Check("exposure", True, "OK")])
    assert report.as_json() == {
        "scenario": "boot",
        "well": True,
        "error": "",
        "starts": [{"name": "power-on", "seconds": {"kernel": 1.23}, "own_seconds": {}}],
        "checks": [{"name": "exposure", "well": True, "text": "OK"}],
    }
