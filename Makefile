# Each target sets up what it needs; nothing here wants root or Docker.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup check lint audit unit test schemathesis fuzz faults demo reproduce bench bench-large docs screenshots wheel lock clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The first Python that is new enough; 3.11 is what the lock is made with.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$(( cores < 4 ? cores : 4 )))
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)

# Tests run side by side: one thread each, or they fight for the cores.
unit test: export OMP_NUM_THREADS ?= 1

help:
	@echo "make demo   start everything, train on made data, classify a recording (DATA=/path/to/UTD-MHAD for real data)"
	@echo "make reproduce  run an experiment of the paper and write its report: EXPERIMENT=table4 DATA=/path/to/UTD-MHAD"
	@echo "             (also SEEDS=5, PROTOCOL=inner_loso, OUT=build/reproduce, ARGS='--preset utd-paper')"
	@echo "make test   run every test, with a PostgreSQL and a Redis of its own (ARGS='-k name' to choose)"
	@echo "make faults  faults at random on real processes, then kills at random points: build/faults.json, half an hour"
	@echo "             (SEED=N repeats a run, INJECTIONS=200)"
	@echo "make check  format, lint, types, import contracts and unit tests, in about a minute"
	@echo "make audit  known vulnerabilities of what requirements.lock pins; fails where it cannot reach its data"
	@echo "make schemathesis  all that openapi.json allows and forbids, asked for MINUTES=20 (SEED=…): build/schemathesis.json"
	@echo "make fuzz   N=10000 damaged and hostile uploads (SEED=…): build/fuzz.json"
	@echo "make bench-large  memory and time of an import of 36,000 clips and an epoch on them (CLIPS=N, FOLDER=DIR: 4 GB)"
	@echo "make bench  the whole performance table, half an hour on a machine that does nothing else: build/bench.json"
	@echo "             (one part: bench-training, -sweeps, -start, -serving, -peers, -batches, -long, -board, -submit; ARGS='--help')"
	@echo "make docs   build the documentation as a site, in build/site"
	@echo "make screenshots  take the pictures of the pages anew that stand in the docs; needs Chromium"
	@echo "make wheel  build the package that others install, in dist/"
	@echo "make setup  make .venv with everything; the others do it when needed"
	@echo "make lock   resolve pyproject.toml into requirements.lock"
	@echo "make clean  remove .venv, caches and build output"

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "Installing into $(VENV): 2 GB with a CPU build of torch, 6 GB with CUDA; a few minutes the first time"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

check: lint unit

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml .

# Needs a way to the data on vulnerabilities, so it is no part of `check`; without one it fails and says so.
audit: setup
	$(BIN)/python -m tests.meta.audit

unit: setup
	$(PYTEST) tests/unit tests/meta

test: setup
	$(PYTEST)

# The seed is drawn and printed; the history stands in build/faults/ beside the result.
faults: export OMP_NUM_THREADS ?= 1
faults: setup
	$(BIN)/python -m tests.faults.campaign $(if $(SEED),--seed $(SEED)) $(if $(INJECTIONS),--injections $(INJECTIONS))

demo: setup
	$(BIN)/python -m client.demo $(if $(DATA),--data "$(DATA)")

EXPERIMENT ?= headline
OUT ?= build/reproduce

reproduce: setup
	$(BIN)/python -m pskd_core reproduce $(EXPERIMENT) --out "$(OUT)" $(if $(DATA),--data "$(DATA)") \
		$(if $(SEEDS),--seeds $(SEEDS)) $(if $(PROTOCOL),--protocol $(PROTOCOL)) $(ARGS)

MINUTES ?= 20
N ?= 10000

# Campaigns against a service of their own; the seed is printed, and with SEED=… it is the same again.
schemathesis: setup
	$(BIN)/python -m tests.fuzz.contract --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

fuzz: setup
	$(BIN)/python -m tests.fuzz.uploads --count $(N) $(if $(SEED),--seed $(SEED))

# Over twenty minutes on two busy cores. The files go to a temporary folder, and away at the end.
bench-large: setup
	$(BIN)/python -m benchmarks.large $(if $(CLIPS),--clips $(CLIPS)) $(if $(FOLDER),--folder "$(FOLDER)")

# On a machine that does nothing else.
bench bench-%: export OMP_NUM_THREADS := 1
bench: setup
	$(BIN)/python -m benchmarks $(ARGS)

bench-%: setup
	$(BIN)/python -m benchmarks.$* $(ARGS)

# Into build/site; the theme's notice of its own future is none of the reader's business.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# Three minutes: a stack of its own trains, sweeps and classifies first.
screenshots: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.e2e.screenshots

wheel: setup
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

# Taken out of the result: torch's local version (elsewhere pip takes the CUDA build of the same version) and ourselves.
lock: setup
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --all-extras --allow-unsafe --strip-extras \
		--annotation-style line --no-emit-find-links --no-emit-index-url --output-file requirements.lock pyproject.toml
	sed -i.bak -e 's/+cpu\b//' -e '/^pskd @ /d' requirements.lock && rm requirements.lock.bak
	$(BIN)/pytest --quiet tests/meta/test_lock.py

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
