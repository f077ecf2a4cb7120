"""Core modules: host functions over numbers, and interfaces of WIT by the canonical ABI, on wasmtime's core API."""
