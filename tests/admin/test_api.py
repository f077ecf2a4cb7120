from __future__ import annotations

import json
from typing import Any

import pytest

from edged.admin.api import Answer, Source, answer, openapi
from edged.status.view import StatusView


def plain(status: StatusView) -> Any:
    """As it is after a way through JSON, which has arrays only."""
    return json.loads(json.dumps(status.as_plain()))


def ask(status: StatusView, path: str, method: str = "GET", not_ready: str = "") -> Answer:
    return answer(Source(lambda: status, lambda: not_ready), method, path)


def test_status_apps_and_nodes_are_the_status_itself(well: StatusView) -> None:
    assert json.loads(ask(well, "/v1/status").body) == plain(well)
    assert json.loads(ask(well, "/v1/apps").body) == plain(well)["apps"]
    assert json.loads(ask(well, "/v1/nodes").body) == plain(well)["nodes"]


def test_one_app(well: StatusView) -> None:
    assert json.loads(ask(well, "/v1/apps/cart").body)["name"] == "cart"
    unknown = ask(well, "/v1/apps/chart")
    assert unknown.status == 404
    assert json.loads(unknown.body)["code"] == "app.unknown"


def test_readiness(well: StatusView) -> None:
    assert ask(well, "/healthz").status == ask(well, "/readyz").status == 200
    waiting = ask(well, "/readyz", not_ready="no worker is ready")
    assert (waiting.status, waiting.body) == (503, b"no worker is ready\n")
    assert ask(well, "/healthz", not_ready="no worker is ready").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "CONNECT"])
def test_nothing_can_be_changed(well: StatusView, method: str) -> None:
    refused = ask(well, "/v1/status", method)
    assert refused.status == 405
    assert set(json.loads(refused.body)) == {"code", "message", "remedy"}


def test_other_paths_are_not_there(well: StatusView) -> None:
    assert ask(well, "/v1").status == 404
    assert ask(well, "/v1/status/").status == 404


def test_the_description_names_every_path_and_every_path_answers(well: StatusView) -> None:
    described = json.loads(ask(well, "/openapi.json").body)
    assert described == openapi()
    for path in described["paths"]:
        assert ask(well, path.replace("{name}", "cart")).status == 200
