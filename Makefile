# The gestures of this project. `make` alone prints them.
#
# Paths are relative on purpose: make splits words at spaces, and the directory of a clone may have some.
# What has been done is remembered by empty files in .venv/.done, so that removing .venv forgets everything.

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
DONE := .venv/.done
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := $(shell find src -type f -not -path '*/__pycache__/*' -not -name '*.pyc' | LC_ALL=C sort)
HERE := $(DONE)/here

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check sanitize clean distclean FORCE

help: ## this list
	@echo 'make TARGET, where TARGET is'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile
	@echo 'Variables: PYTHON=python3.12 (which Python), ARGS="tests/test_demo.py -k side" (which tests)'

demo: $(DONE)/package ## analyse a synthetic brain scan, print the scores, draw a picture
	@$(BIN)/python -m demo.run

test: check ## everything that must hold: ruff, mypy, and all tests on two processes
	$(BIN)/python -m pytest -n 2 $(ARGS)

check: $(DONE)/package $(DONE)/test ## ruff and mypy only
	$(BIN)/ruff check .
	$(BIN)/mypy src/voxlogica demo

sanitize: $(DONE)/package $(DONE)/test ## the kernels' tests and fuzz with the address, undefined and thread sanitizers
	tests/sanitize.sh $(BIN)/python address,undefined libasan.so
	tests/sanitize.sh $(BIN)/python thread libtsan.so

clean: ## remove what builds, tests and the demo leave behind; keep .venv
	rm -rf build dist demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests demo -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf .venv

# The environment. Its scripts hold absolute paths, so a moved or copied one is made anew.
$(HERE): $(shell test "$$(cat $(HERE) 2>/dev/null)" = "$$(pwd -P)" || echo FORCE)
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("VoxLogicA needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + "; try: make PYTHON=python3.11")'
	@echo 'making .venv'
	@$(PYTHON) -m venv --clear .venv
	@mkdir -p $(DONE) && pwd -P > $@

# What builds the package lives in .venv as well: without pip's isolated environment a second build is incremental.
$(DONE)/build: pyproject.toml $(HERE)
	@echo 'installing the build tools'
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' > $@.txt
	@$(PIP) install -r $@.txt
	@$(BIN)/python -c 'import scikit_build_core.build as b; print(*b.get_requires_for_build_wheel(), sep="\n")' > $@-tools.txt
	@if grep -q . $@-tools.txt; then $(PIP) install -r $@-tools.txt; fi
	@touch $@

# Rewritten only when a source file appears or goes, which no time stamp would tell.
$(DONE)/sources: FORCE | $(HERE)
	@printf '%s\n' $(SOURCES) | cmp -s - $@ || printf '%s\n' $(SOURCES) > $@

# Not editable: the tests run what a user gets, and find out what the wheel forgot.
$(DONE)/package: $(DONE)/build $(DONE)/sources pyproject.toml CMakeLists.txt README.md LICENSE $(SOURCES)
	@echo 'building and installing voxlogica, which takes a minute the first time'
	@$(PIP) install --no-build-isolation .
	@touch $@

$(DONE)/test: pyproject.toml $(HERE)
	@echo 'installing what the tests need'
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["test"], sep="\n")' > $@.txt
	@$(PIP) install -r $@.txt
	@touch $@

FORCE:
