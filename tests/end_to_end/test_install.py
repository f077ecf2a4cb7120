"""A real node with `[install]`: the one file gives itself away; an edged of a checkout has none, says so and serves."""

from __future__ import annotations

import hashlib
import http.client
import os
from contextlib import closing
from pathlib import Path

from tests.edged_command import EDGED_BIN
from tests.fleets import WAIT_S, Loopback, app_folder, made, saying

PORT = 7402


def test_a_node_that_installs_others(tmp_path: Path) -> None:
    place = Loopback()
    with made(tmp_path, place, {"n1": "eu"}, config=f'[install]\nlisten = "{place.address("n1")}:{PORT}"\n') as fleet:
        node = fleet["n1"]
        fleet.push(app_folder(tmp_path / "app", "app", saying("hello")))
        assert node.get(host="app.edged.localhost") == (200, b"hello")
        if EDGED_BIN in os.environ:
            binary = Path(os.environ[EDGED_BIN]).read_bytes()
            node.wait_for(lambda event: event.get("event") == "node.install-ready")
            with closing(http.client.HTTPConnection(node.host, PORT, timeout=WAIT_S)) as connection:
                connection.request("GET", f"/edged/{hashlib.sha256(binary).hexdigest()}")
                assert connection.getresponse().read() == binary
        else:
            node.wait_for(lambda event: event.get("event") == "node.install-unavailable")
            status = fleet.wait_status(lambda status: bool(status["problems"]))
            assert any("[node.install-unavailable]" in problem["text"] for problem in status["problems"])
        assert node.stop() == 0
