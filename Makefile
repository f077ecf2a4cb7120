# Everything that is done with this repository. `make` alone lists it.
#
# All of it works from a clean clone. What is fetched and built lands in .venv, .cache and the examples' own folders, each
# with a stamp, so that a second call does nothing. ARGS is handed on: make test ARGS=tests/http, make run ARGS=--help.

.PHONY: help venv run fleet lab binary vm test sim lint type bench
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
EXAMPLE := examples/hello-python

help:
	@echo 'make venv    .venv with edged, as the sources stand, and the tools for working on it'
	@echo 'make run     build $(EXAMPLE) with its SDK and serve it on http://127.0.0.1:8080'
	@echo 'make fleet   three regions on this machine, to push to from another terminal'
	@echo 'make lab     a whole anycast internet on this machine: BIRD and FRR routers, nodes, clients (root)'
	@echo 'make binary  dist/edged: one file with everything, for a machine that has nothing'
	@echo 'make vm      boot a virtual machine with our user-data until it serves and announces, twice (root)'
	@echo 'make test    build the guests of the tests once, then run all tests, with servers of their own'
	@echo 'make sim     a fleet in one process under faults: SEEDS=1000 for that many, SEED=17 for that one again'
	@echo 'make lint    ruff and the contracts about who may import whom'
	@echo 'make type    mypy, strict'
	@echo 'make bench   requests per second and cost per host call'

venv: $(VENV)/.made

# The Python that made it is the one that runs everything; pip must be new enough to know dependency groups.
$(VENV)/.made: pyproject.toml
	@echo 'making $(VENV): a minute at most'
	@python=$$(.ci/need python) && "$$python" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --root-user-action=ignore --editable . --group dev
	@touch $@

# The example's Makefile looks at its own sources, which takes milliseconds when nothing changed. The builds that edged
# starts later are no part of this make, and need not say which folder they enter.
run: venv
	@build='$(MAKE) --no-print-directory -C $(EXAMPLE) PYTHON=$(CURDIR)/$(BIN)/python'; $$build --question || $$build
	@unset MAKEFLAGS MFLAGS MAKELEVEL; exec $(BIN)/edged up $(EXAMPLE) $(ARGS)

# A page of its own for each app is a host name: hello-js.edged.localhost is this machine for browsers and curl.
fleet: venv
	@exec $(BIN)/edged fleet demo $(ARGS)

# Network namespaces are root's; edged itself needs no root.
lab: venv
	@.ci/need servers
	@exec $(BIN)/python -m tests.lab $(ARGS)

binary: venv
	@exec $(BIN)/python -m provisioning.binary $(ARGS)

# The machine gets the one file, and nothing else from here.
vm: venv
	@.ci/need vm
	@$(BIN)/python -m provisioning.binary
	@exec $(BIN)/python -m tests.vm $(ARGS)

# Two at a time, each file by one: those of the lab wait for timers of BGP, while others compute. tests/conftest.py has
# the order.
test: venv
	@.ci/need servers
	$(BIN)/python -m tests.guests.build
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# Nothing of it is real but the code: same seed, same run.
sim: venv
	@exec $(BIN)/python -m tests.simulator $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),100)) $(ARGS)

lint: venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

type: venv
	$(BIN)/mypy

bench: venv
	$(BIN)/python -m benchmarks.requests $(ARGS)
