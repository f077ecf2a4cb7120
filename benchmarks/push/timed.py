"""A push with the time of each of its events."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fleets import Event, Fleet


@dataclass(frozen=True, slots=True)
class TimedPush:
    """One push, from the start of the command.

    Attributes:
        uploaded_s, published_s: when the upload, and the deployment, was with the fleet.
        there_s: by region, when all of the release was at its nodes; what comes then is compiling.
        live_s: by region.
        total_s: until the command ended.
        finished: its last event.
    """

    uploaded_s: float
    published_s: float
    there_s: dict[str, float]
    live_s: dict[str, float]
    total_s: float
    finished: Event

    def row(self) -> dict[str, Any]:
        """For tables and JSON."""
        return {
            "uploaded_s": round(self.uploaded_s, 2),
            "published_s": round(self.published_s, 2),
            "there_s": {region: round(value, 2) for region, value in self.there_s.items()},
            "live_s": {region: round(value, 2) for region, value in self.live_s.items()},
            "total_s": round(self.total_s, 2),
            "bytes_total": self.finished["bytes_total"],
            "bytes_sent": self.finished["bytes_sent"],
            "bytes_saved": self.finished["bytes_saved"],
        }


def timed_push(fleet: Fleet, app: Path, *options: str) -> TimedPush:
    """Push, and look at the clock at each event.

    Raises:
        RuntimeError: the push failed.
    """
    began = time.monotonic()
    process = fleet.popen("push", app, "--json", *options)
    assert process.stdout is not None
    uploaded_s = published_s = 0.0
    there_s: dict[str, float] = {}
    live_s: dict[str, float] = {}
    last: Event = {}
    for line in process.stdout:
        now = time.monotonic() - began
        last = json.loads(line)
        match last:
            case {"event": "uploading"}:
                uploaded_s = now
            case {"event": "published"}:
                published_s = now
            case {"event": "region", "stage": "verify" | "compile" | "probe" | "live" as stage, "region": region}:
                there_s.setdefault(region, now)
                if stage == "live":
                    live_s.setdefault(region, now)
    process.communicate()
    if process.returncode:
        raise RuntimeError(f"the push failed: {last}")
    return TimedPush(uploaded_s, published_s, there_s, live_s, time.monotonic() - began, last)
