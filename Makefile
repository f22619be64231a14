# Two commands: `make demo` and `make test`. Both set up what they need in .venv.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST_FLAGS ?=

.PHONY: demo test lint model screenshots clean

demo: $(VENV)/.installed  ## Search the bundled pictures at http://localhost:1234
	$(BIN)/search-back demo --folder demo

test: $(VENV)/.tested  ## The whole test suite
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

lint: $(VENV)/.linted  ## Linter, formatter, type checkers, law of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v tsc >/dev/null; then echo "tsc --noEmit -p front"; tsc --noEmit -p front; \
	elif [ -n "$$SEARCH_BACK_REQUIRE_TSC" ]; then \
	  echo "no tsc here, and SEARCH_BACK_REQUIRE_TSC is set: Debian has it in node-typescript" >&2; exit 1; \
	else echo "skipped: the page's types; no tsc here (Debian has it in node-typescript)"; fi

model: $(VENV)/.recipe  ## Train, evaluate and export the bundled model again: an hour
	$(BIN)/python -m search_back.models.recipe all --work build/recipe

screenshots: $(VENV)/.tested  ## Draw the pictures of the README from a real server
	$(BIN)/python docs/screenshots.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.py constraints.txt $(wildcard search_back/kernels/*.[ch]) | $(VENV)/bin/python
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(PIP) install --quiet -c constraints.txt -e '.[test]'
	@touch $@

$(VENV)/.linted: $(VENV)/.tested
	$(PIP) install --quiet -c constraints.txt -e '.[test,lint]'
	@touch $@

$(VENV)/.recipe: $(VENV)/.installed
	$(PIP) install --quiet -c constraints.txt -e '.[recipe]'
	@touch $@

clean:  ## Remove what the commands above made, but the model
	rm -rf $(VENV) demo build dist *.egg-info
