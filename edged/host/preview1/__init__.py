"""WASI preview 1, `wasi_snapshot_preview1`: what core modules import, over the same capabilities as 0.2."""
