# make help lists what can be made. PYTHON=python3.12 picks the interpreter for the virtual environment.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PROGRAMS := $(VENV)/programs
BENCHMARKS := $(filter-out benchmarks/timing.py,$(wildcard benchmarks/*.py))
PIP := $(RUN) -m pip -qq --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup demo test clean museum oracles proof lint bench lock

help:
	@echo "make setup   virtual environment in $(VENV) with the locked packages (done by the others when needed)"
	@echo "make demo    a first look"
	@echo "make test    the default tests; make test ARGS='-k vote'"
	@echo "make clean   forgets the compiled programs that tests keep in $(PROGRAMS)"
	@echo "make museum  seeded bugs and mutants, and what verification finds"
	@echo "make oracles agreement with a probabilistic model checker and an SMT solver"
	@echo "make proof   the long tests (marked slow); takes ARGS too"
	@echo "make lint    ruff, rules and format"
	@echo "make bench   every file in benchmarks/; takes ARGS too"
	@echo "make lock    requirements*.txt anew from pyproject.toml (needs uv)"

setup: $(STAMP)
	@:

$(STAMP): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error  no $(PYTHON) here; quorate needs Python 3.11 or newer: make setup PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(RUN) && found=$(RUN) || found=$(PYTHON); \
	$$found -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error  $$found is $$($$found --version 2>&1); quorate needs 3.11 or newer: remove $(VENV) if it is there, then make setup PYTHON=python3.11" >&2; exit 1; }
	@$(RUN) -m pip --version >/dev/null 2>&1 || { echo "setup  creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "setup  installing the locked packages (some minutes the first time)"
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
	@echo "setup  ready: $$($(RUN) --version) in $(VENV)"

demo: $(STAMP)
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" sh examples/demo.sh

# Most of the time goes into compiling programs that run once, so the default tests ask for less optimisation and for
# the older, faster way to emit loops, and what was compiled is kept: both processes share it, and the next run finds it.
# make clean forgets it.
test: export XLA_FLAGS += --xla_cpu_use_fusion_emitters=false
test: export JAX_COMPILATION_CACHE_DIR = $(CURDIR)/$(PROGRAMS)
test: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS = 0
test: $(STAMP)
	@JAX_DISABLE_MOST_OPTIMIZATIONS=1 $(RUN) -m pytest -q -n 2 $(ARGS)

clean:
	@rm -rf $(PROGRAMS)

museum: $(STAMP)
	@$(RUN) -m tests.museum

oracles: $(STAMP)
	@$(RUN) -m tests.oracles
	@$(RUN) -m pytest -q -m oracle tests/oracles $(ARGS)

proof: $(STAMP)
	@$(RUN) -m pytest -q -m "slow and not accelerator" --durations=10 $(ARGS)

lint: $(STAMP)
	@$(RUN) -m ruff check --quiet .
	@$(RUN) -m ruff format --quiet --check . || { echo "error  not formatted; $(RUN) -m ruff format . does it" >&2; exit 1; }
	@echo "lint   clean"

bench: $(STAMP)
	@set -e; for file in $(BENCHMARKS); do echo "bench  $$file"; $(RUN) "$$file" $(ARGS); done

# One version of each package for all Pythons, so that recorded numbers mean the same everywhere.
LOCK := uv pip compile pyproject.toml --quiet --upgrade --generate-hashes --no-emit-index-url --universal --python-version 3.11 \
	--fork-strategy fewest --custom-compile-command "make lock"

lock:
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" && command -v uv >/dev/null || { echo "error  make lock needs uv" >&2; exit 1; }
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" && $(LOCK) --all-extras -o requirements.txt >/dev/null
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" && $(LOCK) --constraints requirements.txt -o requirements-run.txt >/dev/null
	@echo "lock   requirements.txt and requirements-run.txt written"
