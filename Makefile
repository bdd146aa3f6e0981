# One virtual environment in .venv, made once by `make demo`, `make test` or `make lint`.
#   make test PYTHON=python3.13        another interpreter (after `make clean`)

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
FLAGS  ?=
# files of tests are shared out to as many processes as there are cores, at most four: each takes about 2 GB
SHARED ?= -n logical --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-all bench lint format kernels clean

help:
	@echo "make demo      the whole chain on a synthetic scene, offline once installed; results in demo-out/"
	@echo "make test      the tests, without the slow ones"
	@echo "make test-all  all tests"
	@echo "make bench     timings, as a table"
	@echo "make lint      formatting, linting, types, import order"
	@echo "make format    format the sources"
	@echo "make kernels   compile the kernels that were changed"
	@echo "make clean     remove the environment and every cache"

# Each stamp is newer than what it was made from, so that nothing is installed twice.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info < (3, 15); sys.exit(0 if ok else f"geoseg needs Python 3.11 to 3.14, found {sys.version.split()[0]}. Try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml constraints.txt
	$(call install,.[test])
	@touch $@

$(VENV)/.dev: $(VENV)/.test pyproject.toml constraints.txt
	$(call install,.[test$(comma)dev])
	@touch $@

comma := ,

# uv where it can be had, else pip.
define install
@if [ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet uv -c constraints.txt; then \
	echo "installing with uv"; $(BIN)/uv pip install --python $(BIN)/python -e '$(1)' -c constraints.txt \
	|| { echo "uv failed, trying pip"; $(BIN)/python -m pip install -e '$(1)' -c constraints.txt; }; \
else \
	echo "installing with pip"; $(BIN)/python -m pip install -e '$(1)' -c constraints.txt; \
fi
endef

demo: $(VENV)/.test
	$(BIN)/geoseg demo --out demo-out

test: $(VENV)/.test
	$(BIN)/python -m pytest -m "not slow" $(SHARED) $(FLAGS)

test-all: $(VENV)/.test
	$(BIN)/python -m pytest $(SHARED) $(FLAGS)

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks $(FLAGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

kernels: $(VENV)/.test
	$(BIN)/python -m geoseg.kernels.build $(FLAGS)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo-out out runs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
