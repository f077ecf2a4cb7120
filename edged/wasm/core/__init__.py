"""Core modules: host functions over numbers and linear memory, on wasmtime's core API.

The second binding beside the one for components.

    bytes ── kinds.py: which kind ── world.py, spin1.py, component_type.py: imports and exports in the terms of WIT
                                        v
    program.py links ── binding.py: functions over numbers (preview 1)
         v           └─ canonical.py: interfaces of WIT, by the canonical ABI ── allocator.py: memory for results
    instance.py runs ── lifted.py: what triggers call
"""
