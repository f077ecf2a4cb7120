"""wasi:filesystem: the files that a manifest gives to a guest, read-only."""
