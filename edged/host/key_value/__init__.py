"""Key-value stores: fermyon:spin/key-value, wasi:keyvalue, and what keeps the values."""
