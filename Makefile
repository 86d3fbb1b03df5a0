# textlstm: one target a job. `make` alone lists them.
# Variables: ARGS (settings, as in `make train ARGS="model=gru seed=3"`), INPUT, OUTPUT and MODEL (for label and evaluate).

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
ARGS ?=
INPUT ?=
OUTPUT ?=
MODEL ?= outputs/model
BIN := .venv/bin
export MLFLOW_DISABLE_TELEMETRY := true
export HF_HUB_DISABLE_TELEMETRY := 1

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: help
help:  ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[36m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: .venv/.installed  ## Create .venv and install everything from the lock

.PHONY: lock
lock: install  ## Resolve requirements.lock anew from pyproject.toml (needs uv in .venv)
	$(BIN)/python scripts/lock.py
