"""What runs when the unpacked program is started: the console script, after what PyInstaller's loader left is put away.

The loader points LD_LIBRARY_PATH at our libraries and starts itself anew, for the dynamic linker reads it only then.
Foreign programs that we start (ip, mtr, an app's build command) must load their own libraries instead; and our own
children begin as if started by hand.
"""

from __future__ import annotations

import os


def _put_away() -> None:
    before = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    if before is None:
        os.environ.pop("LD_LIBRARY_PATH", None)
    else:
        os.environ["LD_LIBRARY_PATH"] = before
    for name in [name for name in os.environ if name.startswith("_PYI_")]:
        del os.environ[name]


if __name__ == "__main__":
    _put_away()
    from edged.cli import main

    main()
