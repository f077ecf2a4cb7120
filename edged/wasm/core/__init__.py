"""Core modules: host functions over numbers and linear memory, on wasmtime's core API.

The second binding beside the one for components. `program.py` links, `binding.py` calls the host, `instance.py` runs.
"""
