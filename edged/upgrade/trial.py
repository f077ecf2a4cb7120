"""Whether a version would do on this machine, before anything is changed: it is run twice, and starts no node."""

from __future__ import annotations

import os
import re
from pathlib import Path

from edged.errors import UpgradeUnusable
from edged.limits import UPGRADE_TRIAL_S_MAX
from edged.upgrade.program import run

_version = re.compile(r"edged, version (\S[^\n]{0,200})").fullmatch
_FILE = "EDGED_FILE"  # says which file *we* were started from


class Trial:
    """Runs versions, each for a moment."""

    async def version_of(self, binary: Path) -> str:
        """What it says that it is: `0.1.0 (commit 0123456789ab)`. It unpacks itself by that.

        Raises:
            UpgradeUnusable: it does not run, or is no edged.
        """
        done = await run([str(binary), "--version"], timeout_s=UPGRADE_TRIAL_S_MAX, environment=_environment())
        found = _version(done.output.strip())
        if done.status != 0 or found is None:
            raise UpgradeUnusable(
                f"the new version does not say which it is: {done.last_words or f'it ended with {done.status}'}",
                remedy="Is it the one file of `make binary`, for this kind of machine? The node goes on as it was.",
            )
        return found[1]

    async def check_config(self, binary: Path, config: Path) -> None:
        """Have it look at this machine's node.toml, as its start would.

        Raises:
            UpgradeUnusable: it would not start with it.
        """
        command = [str(binary), "check", "--config", str(config)]
        done = await run(command, timeout_s=UPGRADE_TRIAL_S_MAX, environment=_environment())
        if done.status != 0:
            raise UpgradeUnusable(f"the new version would not start with {config}: {done.last_words}")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != _FILE}
