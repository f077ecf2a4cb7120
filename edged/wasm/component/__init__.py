"""Components on wasmtime's core API, by the component model's own rules: WASI 0.3, which the C API has no values for."""
