# What people do often. `make` alone says what there is. Everything lives in .venv; nothing else on the machine is changed.
# Only relative paths below, so that the repository may stand in a folder with spaces in its name.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
comma := ,
ROWS ?= 1000000
ARGS ?=
CHECKED := $(wildcard shopmon expectations monitor retrain dashboards tests benchmarks docs examples)
SCRIPTS := $(wildcard benchmarks/*.py benchmarks/peer_scripts/*.py docs/*.py examples/*/*.py)

# The first Python that runs and is new enough; the pins in constraints.txt were tested on 3.11.
define make_venv
set -- python3.11 python3 python3.12 python3.13; [ -z "$${PYTHON:-}" ] || set -- "$$PYTHON"; \
for python in "$$@"; do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$python"; break; fi; \
done; \
if [ -z "$${found:-}" ]; then \
	echo "shopmon needs Python 3.11 or newer; none of these runs and is that: $$*" >&2; \
	echo "Install it, or name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
	exit 1; \
fi; \
[ -x $(BIN)/python ] || "$$found" -m venv $(VENV) || { rm -rf $(VENV); echo "Could not make $(VENV); on Debian: apt-get install python3-venv" >&2; exit 1; }
endef

# One stamp for each set of packages: a second call finds it and installs nothing.
# $(1) the extras in brackets or nothing; $(2) the stamp's name
define install
@$(make_venv)
@echo "Installing shopmon$(1) into $(VENV): some minutes the first time …" >&2
@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".$(1)"
@touch $(VENV)/.ready-$(2)
endef

.PHONY: help demo test test-all lint format bench docs clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.ready-run  ## set up, and run the whole loop on generated data
	@$(BIN)/python -m shopmon demo $(ARGS)

test: $(VENV)/.ready-dev  ## set up, and run the tests (ARGS="-k drift" for some, ARGS="-m 'not slow and not exhaustive'" for the quick ones)
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-all: $(VENV)/.ready-dev  ## the same, with the further cases that `make test` leaves out, and more random examples
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "" --hypothesis-profile=exhaustive $(ARGS)

lint: $(VENV)/.ready-dev  ## formatting, ruff, strict types, and the floors of the house
	@$(BIN)/python -m ruff format --check $(CHECKED)
	@$(BIN)/python -m ruff check $(CHECKED)
	@$(BIN)/python -m mypy
	@$(BIN)/python -m mypy $(SCRIPTS)
	@$(BIN)/lint-imports

format: $(VENV)/.ready-dev  ## format the code and mend what ruff can mend
	@$(BIN)/python -m ruff format $(CHECKED)
	@$(BIN)/python -m ruff check --fix $(CHECKED)

bench: $(VENV)/.ready-bench  ## measure `shopmon check` beside others (ROWS=1000000)
	@$(BIN)/python benchmarks/check.py --rows $(ROWS) $(ARGS)

docs: $(VENV)/.ready-dev  ## write docs/real-data.md anew from the files in ../shared/data
	@$(BIN)/python docs/real_data.py $(ARGS)

clean:  ## remove .venv and everything else that make, the tests and the tools wrote
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .grimp_cache
	@find $(CHECKED) -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.ready-run: pyproject.toml constraints.txt
	$(call install,[offline],run)

$(VENV)/.ready-dev: pyproject.toml constraints.txt
	$(call install,[dev],dev)
	@touch $(VENV)/.ready-run

$(VENV)/.ready-bench: pyproject.toml constraints.txt
	$(call install,[dev$(comma)bench],bench)
	@touch $(VENV)/.ready-run $(VENV)/.ready-dev
