# Builds app.wasm as the Makefile of examples/streaming-c does, up to where it would make a component of it: a core
# module that imports WASI 0.2, with the types in a component-type section.
app.wasm:
	$(MAKE) --silent -f example.mk --old-file=$(VENV) --old-file=node_modules build/embed.wasm
	cp build/embed.wasm $@

.DELETE_ON_ERROR:
