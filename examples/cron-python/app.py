"""A component that a schedule calls: it counts its calls and keeps when the last one was due."""

from datetime import UTC, datetime

import spin_cron
from spin_cron.imports.cron_types import Metadata
from spin_sdk import key_value


class SpinCron(spin_cron.SpinCron):
    def handle_cron_event(self, metadata: Metadata) -> None:
        # Each call has a fresh instance, so that only a store remembers the last one.
        due = datetime.fromtimestamp(metadata.timestamp, UTC).isoformat()
        with key_value.open_default() as store:
            count = int(store.get("count") or 0) + 1
            store.set("count", str(count).encode())
            store.set("last", due.encode())
        print(f"call {count} was due at {due}")  # noqa: T201 - goes to the app's log
