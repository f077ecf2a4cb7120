from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from edged.admin.metrics import metrics_text
from edged.status.view import StatusView

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def samples(status: StatusView) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(metrics_text(status).decode())
    return {(s.name, s.labels.get("node", "")): s.value for family in families for s in family.samples}


def test_what_is_known_is_there_and_what_is_not_is_left_out(unwell: StatusView) -> None:
    found = samples(unwell)
    assert found["edged_node_up", "ams1"] == 1
    assert found["edged_node_up", "nyc1"] == 0
    assert found["edged_request_p50_milliseconds", "ams1"] == 1.25
    assert ("edged_request_p50_milliseconds", "nyc1") not in found
    assert found["edged_app_live", "ams1"] == 1
    assert found["edged_app_live", "sin1"] == 0
    assert found["edged_app_running_sequence", "sin1"] == 1
    assert found["edged_app_requests_total", "ams1"] == 10
    assert found["edged_alarms", ""] == 1


def test_the_docs_list_every_metric_and_no_other(unwell: StatusView) -> None:
    documented = set(re.findall(r"^\| `(edged_\w+)`", DOCS.read_text(), re.MULTILINE))
    assert documented == {name for name, _ in samples(unwell)}
