"""WASI 0.3: the same capabilities as WASI 0.2's, with async functions, streams and futures (`edged.host.channel`).

The release candidate of 2026-03-15 has the same types and functions as 0.3.0, under other names: the two differ in what
their worlds include, and in that `exit-with-code` of `wasi:cli/exit` was not stable yet. So each class serves both.

Interfaces that only have types, as `wasi:clocks/types` and `wasi:cli/types`, need no class.
"""

VERSIONS = ("0.3", "0.3.0-rc-2026-03-15")
"""What each interface here serves: 0.3.0, later releases of that track, and the one candidate that SDKs use."""
