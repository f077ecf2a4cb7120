"""What runs when the unpacked program is started: the console script, after what PyInstaller's loader left is put away.

The loader points LD_LIBRARY_PATH at our libraries and starts itself anew, for the dynamic linker reads it only then.
Foreign programs that we start (ip, mtr, an app's build command) must load their own libraries instead; and our own
children begin as if started by hand.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping


def put_away(environment: MutableMapping[str, str]) -> None:
    """Make an environment what it was before the loader."""
    before = environment.pop("LD_LIBRARY_PATH_ORIG", None)
    if before is None:
        environment.pop("LD_LIBRARY_PATH", None)
    else:
        environment["LD_LIBRARY_PATH"] = before
    for name in [name for name in environment if name.startswith("_PYI_")]:
        del environment[name]


if __name__ == "__main__":
    put_away(os.environ)
    from edged.cli import main

    main()
