# Everything a person or CI does here, by name. `make` lists it.
#
# Each target sets up what it needs by itself, and stamp files make the second run quick. The machine
# has to bring Python 3.11 or newer with pip; Node.js with npm adds the scripts of the pages.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VENDOR := src/kibitz/server/static/vendor
# What the pages load of npm's packages: a path below node_modules each.
SCRIPTS := htmx.org/dist/htmx.min.js
SCRIPTS_STAMP := node_modules/.vendored
# Files that decide what is installed.
REQUIREMENTS := pyproject.toml
WORKERS ?= 2
ARGS ?=
DATA ?= .kibitz
BENCHMARKS ?= sdk_overhead import_time ingest feedback_ingest query feedback_run deferred

PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help
help:  ## List what can be done
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- for everybody

.PHONY: demo
demo: $(VENV)/.app  ## Record, judge and query a small application; no key, no network
	@$(BIN)/kibitz demo --data $(DATA) $(ARGS)

.PHONY: serve
serve: $(VENV)/.app $(SCRIPTS_STAMP)  ## Show the data folder in the browser (DATA=.kibitz ARGS="--port 4500")
	@$(BIN)/kibitz serve --data $(DATA) $(ARGS)

.PHONY: test
test: $(VENV)/.dev browser $(SCRIPTS_STAMP)  ## Run all tests (ARGS="tests/query -k contains")
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

.PHONY: check
check: $(VENV)/.dev browser $(SCRIPTS_STAMP)  ## What CI runs: format, lint, types, layers, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

.PHONY: fix
fix: $(VENV)/.dev  ## Format, and repair what ruff can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: $(VENV)/.dev  ## Run the benchmarks, one JSON object each (ARGS=--quick BENCHMARKS=ingest)
	@for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name --json $(ARGS); done

.PHONY: assets
assets: $(SCRIPTS_STAMP)  ## Fetch the scripts of the pages from npm by lockfile

.PHONY: clean
clean:  ## Remove what was built and installed; the data folder stays
	rm -rf $(VENV) node_modules $(VENDOR) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what the targets stand on

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Kibitz needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Creating $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.app: $(REQUIREMENTS) | $(VENV)/.python
	@echo "Installing kibitz[server,arrow] into $(VENV)"
	@$(PIP) install --editable '.[server,arrow]'
	@touch $@

$(VENV)/.dev: $(REQUIREMENTS) | $(VENV)/.python
	@echo "Installing kibitz with all extras into $(VENV)"
	@$(PIP) install --editable '.[server,arrow,otel,judges,litellm,huggingface,cohere,dev]'
	@touch $(VENV)/.app $@

# The pages are tested in the distribution's Chromium: no browser is downloaded from elsewhere.
.PHONY: browser
browser:
	@if command -v chromium chromium-browser google-chrome >/dev/null; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing Chromium for the tests of the pages"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null; \
	else \
		echo "No Chromium found: the tests of the pages will be skipped. Install it with: sudo apt-get install chromium" >&2; \
	fi

# Third-party scripts are never kept in the repository. Without npm the pages work, only plainer.
$(SCRIPTS_STAMP): $(wildcard package.json package-lock.json)
	@mkdir -p $(VENDOR)
	@if [ ! -f package-lock.json ]; then :; \
	elif command -v npm >/dev/null; then \
		echo "Fetching the scripts of the pages"; \
		{ npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && cp $(addprefix node_modules/,$(SCRIPTS)) $(VENDOR)/ && touch $@; } \
			|| echo "npm could not fetch them: the pages go without. Try again with: make assets" >&2; \
	else \
		echo "npm not found: the pages go without their scripts. Install Node.js and run: make assets" >&2; \
	fi
