"""Components by the component model's own rules, on wasmtime's core API: WASI 0.3, which its C API has not."""
