# Everything a newcomer needs is `make run` and `make test`; each sets itself up with nothing but Python 3.11+ and make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

.PHONY: run test coverage check format bench clean help

help:           ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(STAMP): pyproject.toml
	@echo "Setting up $(VENV) (about a minute, once) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tidings needs Python 3.11 or newer; try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

run: $(STAMP)   ## start everything on this machine; more with ARGS="--once", ARGS="--help"
	@$(BIN)/python -m tidings.local $(ARGS)

test: $(STAMP) check   ## every check and every test
	@$(PYTEST) $(ARGS)

coverage: $(STAMP) ## every test, and the lines and branches that none of them runs
	@$(PYTEST) $(ARGS) --cov

check: $(STAMP) ## style, types and the dependency arrows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(STAMP) ## measure; prints ratios against baselines run in the same minute
	@$(BIN)/python -m benchmarks $(ARGS)

clean:          ## remove the virtual environment and local data
	rm -rf $(VENV) .tidings
