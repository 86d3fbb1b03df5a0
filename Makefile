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
	@on=; off=; if [ -t 1 ]; then on=$$'\033[36m'; off=$$'\033[0m'; fi; awk -v on="$$on" -v off="$$off" \
		'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %s%-12s%s %s\n", on, $$1, off, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: .venv/.installed  ## Create .venv and install everything from the lock

.PHONY: lock
lock: install  ## Resolve requirements.lock anew from pyproject.toml (needs uv in .venv)
	$(BIN)/python scripts/lock.py

.PHONY: run
run: install  ## The whole pipeline on BBC News: prepare, train, evaluate, label
	@$(BIN)/textlstm run $(ARGS)

.PHONY: prepare
prepare: install  ## Prepare a corpus into data/prepared
	@$(BIN)/textlstm prepare $(ARGS)

.PHONY: train
train: install  ## Train a model into MODEL
	@$(BIN)/textlstm train output_dir=$(MODEL) overwrite=true $(ARGS)

.PHONY: evaluate
evaluate: install  ## Score MODEL on INPUT, a labelled file
	@$(BIN)/textlstm evaluate model_dir=$(MODEL) $(if $(INPUT),data.test=$(INPUT)) $(if $(OUTPUT),output_dir=$(OUTPUT)) $(ARGS)

.PHONY: label
label: install  ## Label INPUT with MODEL into OUTPUT
	@$(BIN)/textlstm label model_dir=$(MODEL) input=$(INPUT) output=$(OUTPUT) $(ARGS)

.PHONY: sweep
sweep: install  ## Search settings, as in `make sweep ARGS="sweep.space=model.hidden_size=64,128"`
	@$(BIN)/textlstm sweep $(ARGS)

.PHONY: results
results: install  ## Accuracy of the shipped experiments over seeds (ARGS=bbc for one corpus)
	@$(BIN)/python benchmarks/results.py $(ARGS)

.PHONY: bench
bench: install  ## Measure beside peers and limits into docs/benchmarks.md (ARGS=--short), or one: ARGS=text, label, peers ...
	@$(BIN)/python benchmarks/$(if $(filter-out --%,$(firstword $(ARGS))),$(firstword $(ARGS)).py $(wordlist 2,99,$(ARGS)),bench.py $(ARGS))

.PHONY: bench-peers
bench-peers: install  ## Make the environments of the peers under .peers from the registry (ARGS=flair makes one anew)
	@$(BIN)/python benchmarks/peer_environments.py $(ARGS)

.PHONY: calibration
calibration: install  ## Are probabilities and promises kept on test rows? (ARGS=r8)
	@$(BIN)/python benchmarks/calibration.py $(ARGS)

.PHONY: ablate
ablate: install  ## What stop words, parts of speech and lower-casing are worth (ARGS=r8)
	@$(BIN)/python benchmarks/ablation.py $(ARGS)

.PHONY: dashboard
dashboard: install  ## Open MLflow's pages on this machine
	@$(BIN)/textlstm dashboard $(ARGS)

.PHONY: serve
serve: install  ## Start a scoring server for the champion (or model_dir=... in ARGS)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/textlstm serve $(ARGS)

.PHONY: doctor
doctor: install  ## Say what is missing or wrong on this machine
	@$(BIN)/textlstm doctor $(ARGS)

.PHONY: test
test: install  ## The tests (12 minutes at most on 2 cores)
	@OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -q -n 2 --dist loadfile $(ARGS)

.PHONY: test-long
test-long: install  ## Fault, fuzz and accuracy tests (hours)
	@$(BIN)/python -m pytest -q -m long $(ARGS)

.PHONY: lint
lint: install  ## ruff and mypy --strict
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

.PHONY: docs
docs: install  ## Build the documentation site into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

.PHONY: docs-check
docs-check: install  ## Run every command of README and the tutorials, compare what they print
	@$(BIN)/python scripts/docs_check $(ARGS)

.PHONY: clean
clean:  ## Remove outputs, prepared corpora and caches (not .venv, not tracking)
	rm -rf outputs data/prepared data/labelled .mypy_cache .ruff_cache .hypothesis dist build site
