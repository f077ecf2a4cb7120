# Builds app.wasm from app.c, a core module for WASI preview 1 that is called and not run.
CFLAGS = -target wasm32-wasi -mexec-model=reactor -std=gnu11 -Os -s -Wall -Wextra -Werror
# zig would reserve 16 MiB for the stack.
LDFLAGS = -Wl,-z,stack-size=262144

app.wasm: app.c
	$(VENV)/bin/python -m ziglang cc $(CFLAGS) $(LDFLAGS) -o $@ app.c

.DELETE_ON_ERROR:
