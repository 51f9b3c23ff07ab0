# Python >= 3.11 with venv, and make, are all that is needed: each target makes .venv from requirements.lock first.
PYTHON ?= python3
BIN := .venv/bin
DEMO_SERVE ?= 1
DATABASES ?= 10
ARGS ?=
# Each worker has a PostgreSQL of its own. A test named by file::name runs in this process.
WORKERS ?= $(if $(findstring ::,$(ARGS)),0,2)

.DEFAULT_GOAL := help
.PHONY: help install demo up test properties chaos lint bench lock clean

help: ## Show the targets.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/.installed ## Create .venv with everything.

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys, venv; sys.exit(0 if sys.version_info >= (3, 11) else "crm-elt needs Python >= 3.11 with venv, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.12 install")'
	@echo "Installing into .venv ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch .venv/.installed

demo: install ## Run the whole stack on simulated accounts; DEMO_SERVE=0 ends after the figures.
	@$(BIN)/crm-elt demo $(if $(filter 0,$(DEMO_SERVE)),--no-serve) $(ARGS)

up: install ## Run the stack on your own accounts, until Ctrl-C.
	@$(BIN)/crm-elt up $(ARGS)

test: install ## Run all tests on embedded PostgreSQL, with coverage; ARGS are pytest's, WORKERS=n sets how many side by side.
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report= $(ARGS)
	@$(BIN)/python -m tests.support.coverage_summary

properties: install ## Thousands of random projects against plain Python, and of random changes against a full refresh; DATABASES=n.
	@CRM_ELT_PROPERTIES=$(DATABASES) $(BIN)/python -m pytest tests/integration/dbt/test_properties.py \
	  tests/integration/dbt/test_incremental.py $(ARGS)

chaos: install ## Both ways at full size: the relay killed 50 times in 5,000 changes, the CRM away for 5 minutes; some 10 minutes.
	@CRM_ELT_KILLS=50 CRM_ELT_KILL_CHANGES=5000 CRM_ELT_OUTAGE_SECONDS=300 $(BIN)/python -m pytest -s \
	  tests/integration/two_way/test_relay_kills.py tests/integration/two_way/test_crm_outage.py $(ARGS)

lint: install ## Style, types, import arrows, Dagster definitions.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/crm-elt dagster check

bench: install ## Measure ingest, working time, pages, pull, replay and the two-way sync, each in one run; then `make properties`.
	@$(BIN)/python -m benchmarks.ingest $(ARGS)
	@$(BIN)/python -m benchmarks.intervals
	@$(BIN)/python -m benchmarks.live_orders
	@$(BIN)/python -m benchmarks.pull
	@$(BIN)/python -m benchmarks.sync_changes
	@$(BIN)/python -m benchmarks.replay
	@$(BIN)/python -m benchmarks.latency
	@$(MAKE) --no-print-directory ARGS= properties

lock: install ## Write requirements.lock anew from pyproject.toml.
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --no-strip-extras --quiet --output-file requirements.lock

clean: ## Remove .venv and the state folder (stops the embedded PostgreSQL).
	@if [ -x $(BIN)/crm-elt ]; then $(BIN)/crm-elt database stop; CRM_ELT_HOME=.crm-elt/demo $(BIN)/crm-elt database stop; fi
	@rm -rf .venv .crm-elt
