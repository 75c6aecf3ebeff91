# Everything a fresh machine needs is Python 3.11-3.14 and make; `make help` lists the targets.
# On Windows use the plain commands in CONTRIBUTING.md.

VENV ?= .venv
# The interpreter that runs everything. Give another (make test RUN=python) and nothing is installed.
RUN ?= $(VENV)/bin/python

INSTALLED := $(VENV)/.installed
ifeq ($(origin RUN),file)
ENVIRONMENT := $(INSTALLED)
endif

.DEFAULT_GOAL := help
.PHONY: help setup train test quick-tests test-slow test-gpu lint format smoke tensorboard clean moved
# only: never
.PHONY: new test-projects
# end only
# only: sweep
.PHONY: sweep
# end only
# only: workbench
.PHONY: demo clean-runs
# end only
# only: workbench and zoo
.PHONY: bench
# end only

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
	@echo "Options: ARGS='seed=1' (for what runs a Python command), VENV=folder; for setup PYTHON=python3.12, TORCH=cpu"

setup: $(INSTALLED) ## create .venv and install the tested versions, once; TORCH=cpu leaves out CUDA

train: $(ENVIRONMENT) ## train TinyVGG on MNIST (setup included); ARGS="model=linear" for anything else
	"$(RUN)" train.py $(ARGS)

# only: sweep
# On so few images that it is quick, and that the digits carried along suffice where MNIST cannot be had.
sweep: $(ENVIRONMENT) ## search TinyVGG's settings in 10 minutes or less; the same command goes on
	"$(RUN)" train.py -m sweep=tinyvgg data.allow_subset=true data.train_size=4000 hydra.sweeper.timeout_seconds=480 $(ARGS)
# end only

# Style and types are checked while the tests run.
test: $(ENVIRONMENT) ## lint, types and tests (setup included)
	@$(MAKE) --no-print-directory -j 2 lint quick-tests

quick-tests: $(ENVIRONMENT)
	"$(RUN)" -m pytest -n 2 --dist worksteal -m "not slow and not gpu" $(ARGS)

test-slow: $(ENVIRONMENT) ## the tests that take long: kills, stress and full sizes
	"$(RUN)" -m pytest -n 2 --dist worksteal -m slow $(ARGS)

test-gpu: $(ENVIRONMENT) ## the tests that need an NVIDIA GPU
	"$(RUN)" -m pytest -n 8 --dist worksteal -m gpu $(ARGS)

# only: never
test-projects: $(ENVIRONMENT) ## all tests of every project that `make new` can write; an hour
	"$(RUN)" -m pytest -n 2 tests/scripts/whole_projects.py $(ARGS)
# end only

lint: $(ENVIRONMENT) ## check style, formatting and types
	"$(RUN)" -m ruff check .
	"$(RUN)" -m ruff format --check .
	"$(RUN)" -m mypy

format: $(ENVIRONMENT) ## fix style and formatting
	"$(RUN)" -m ruff check --fix .
	"$(RUN)" -m ruff format .

smoke: $(ENVIRONMENT) ## does it run? a few batches of every stage on the CPU
	"$(RUN)" train.py trainer=smoke data.train_size=256 $(ARGS)

LOGDIR = outputs/runs
tensorboard: $(ENVIRONMENT) ## show the curves of all runs; LOGDIR=outputs/multiruns or another folder for others
	"$(RUN)" -m tensorboard.main --logdir "$(LOGDIR)" $(ARGS)

# only: workbench
demo: $(ENVIRONMENT) ## draw a digit in the browser and see what the last run makes of it
	"$(RUN)" scripts/demo.py $(ARGS)
# end only

# only: workbench and zoo
bench: $(ENVIRONMENT) ## compare with hand-written loops, 35 minutes on two cores; ARGS="gpu" or "--smoke" for less
	"$(RUN)" scripts/benchmark.py $(ARGS)
# end only

# only: never
# What counts is typed after make: some systems have variables of these names.
typed = $(if $(filter command,$(origin $(1))),$($(1)))
new: $(ENVIRONMENT) ## write a project of your own: NAME=mylab DIR=../mylab KEEP="sweep workbench"
	"$(RUN)" scripts/new_project.py "$(call typed,NAME)" "$(call typed,DIR)" --keep "$(call typed,KEEP)"
# end only

clean: ## remove caches; .venv and outputs stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache __pycache__ build
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

# only: workbench
clean-runs: $(ENVIRONMENT) ## list runs and, once you say yes, delete them; ARGS="--state interrupted" to choose
	"$(RUN)" scripts/runs.py --delete $(ARGS)
# end only

# --- The environment ------------------------------------------------------------------------------------------------

# A name on the PATH need not work (pyenv leaves shims of absent versions, Debian leaves out ensurepip): run it and see.
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
first_that_fits = $(shell for python in $(1); do \
	if "$$python" -c '$(FITS)' >/dev/null 2>&1; then echo "\"$$python\""; break; fi; done)

NAMES = $(if $(PYTHON),"$(PYTHON)",python3.14 python3.13 python3.12 python3.11 python3 python)
NONE = $(if $(PYTHON),PYTHON=$(PYTHON) is no,found no) Python 3.11 to 3.14 with the modules venv and ensurepip: \
	install one (apt install python3-venv, brew install python@3.14, or python.org) or name it (make setup PYTHON=...)
BROKEN = $(VENV) holds no working Python 3.11 to 3.14: remove that folder and call make again
create = $(if $(wildcard $(VENV)/pyvenv.cfg),$(error $(BROKEN)),$(or $(call first_that_fits,$(NAMES)),$(error $(NONE))))

# An environment is tied to its folder: in a copied or moved project it would still import the old one.
STALE := $(shell test "$$(cat '$(INSTALLED)' 2>/dev/null)" = "$$(pwd -P)" || echo moved)

# uv installs the same packages in a fraction of pip's time; it is used where it is on the PATH.
UV := $(shell command -v uv)
INSTALL = $(if $(UV),"$(UV)" pip install --python "$(VENV)/bin/python","$(VENV)/bin/python" -m pip install)

# PyTorch's default wheels for Linux bring CUDA, 6 GB in all. Those for the CPU are in an index of PyTorch's own.
CPU_WHEELS := https://download.pytorch.org/whl/cpu
NO_CPU_WHEELS = error: PyTorch's CPU wheels could not be installed from $(CPU_WHEELS) (the reason is above); \
	check the network, or call make setup without TORCH=cpu for the default wheels
torch_is_known = $(if $(filter-out cpu,$(TORCH)),$(error TORCH must be cpu or left out, got $(TORCH)))

# The stamp goes first and comes back last, so that an install that was cut short is done again.
$(INSTALLED): pyproject.toml constraints.txt $(STALE)
	@rm -f "$@"$(torch_is_known)
	$(if $(call first_that_fits,"$(VENV)/bin/python"),@:,$(create) -m venv "$(VENV)")
	@"$(VENV)/bin/python" -m ensurepip --default-pip >/dev/null
	$(if $(TORCH),$(INSTALL) torch torchvision --constraint constraints.txt --index-url $(CPU_WHEELS) \
		|| { echo "$(NO_CPU_WHEELS)" >&2; exit 1; })
	$(INSTALL) --editable '.[dev]' --constraint constraints.txt
	@pwd -P > "$@"
