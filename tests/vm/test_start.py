from __future__ import annotations

import json
import time
from pathlib import Path
from typing import cast

import pytest

from tests.vm.network import Network
from tests.vm.start import Asking, journal_stages

_STARTED = "39f53479d3a045ac8e11786248231fbf"


def _line(at_us: int, **fields: object) -> str:
    return json.dumps({"__MONOTONIC_TIMESTAMP": str(at_us), **fields})


def test_stages_by_the_first_word_of_each() -> None:
    text = "\n".join(
        [
            _line(1_000_000, MESSAGE="Starting edged.service", UNIT="edged.service"),
            _line(2_000_000, MESSAGE="Finished", MESSAGE_ID=_STARTED, UNIT="edged-fetch.service"),
            _line(3_000_000, MESSAGE='{"event": "node.joined", "node": "ams-1"}'),
            _line(4_500_000, MESSAGE="Started", MESSAGE_ID=_STARTED, UNIT="edged.service"),
            _line(9_000_000, MESSAGE="Started", MESSAGE_ID=_STARTED, UNIT="edged.service"),
        ]
    )
    assert journal_stages(text) == {"binary": 2.0, "joined": 3.0, "ready": 4.5}


def test_what_else_stands_in_a_journal_is_no_stage() -> None:
    text = "\n".join(
        [
            _line(1, MESSAGE=[255, 0, 7]),
            _line(2, MESSAGE="{no JSON"),
            _line(3, MESSAGE="Started", MESSAGE_ID=_STARTED, UNIT="ssh.service"),
            _line(4),
        ]
    )
    assert journal_stages(text) == {}


def test_an_answer_from_before_a_reboot_is_none(tmp_path: Path) -> None:
    log = tmp_path / "log"
    asking = Asking(cast(Network, None), "192.0.2.10", log)
    offset_s = time.time() - time.monotonic()

    def line(begun: float, body: str, failure: str) -> str:
        return json.dumps({"begun": begun, "took_s": 0.5, "body": body, "failure": failure}) + "\n"

    log.write_text(line(10.0, "hello", "") + line(20.0, "", "refused") + '{"begun": 21')
    assert asking.answered_at(offset_s + 15.0) is None
    log.write_text(line(10.0, "hello", "") + line(20.0, "", "refused") + line(30.0, "hello", ""))
    assert asking.answered_at(offset_s + 15.0) == pytest.approx(offset_s + 30.5, abs=0.1)
    assert asking.answered_at(offset_s + 5.0) == pytest.approx(offset_s + 10.5, abs=0.1)
