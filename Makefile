# The commands of this project. `make demo` and `make test` need nothing but Python 3.11+ and Debian's basics.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test check bench soak format clean

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mimodaq needs Python 3.11 or newer; set PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY) ## set up everything and run a muon-lifetime experiment
	@rm -rf demo
	@$(BIN)/mimodaq init demo --example lifetime
	@$(BIN)/mimodaq run demo/setup.yaml --headless --events 20000

test: $(READY) ## the whole test suite
	$(BIN)/python -m pytest

check: $(READY) ## lint, types, import contracts, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell README.md CONTRIBUTING.md CHANGELOG.md docs node broker client config tests
	@git ls-files | grep -q '^[a-z]*/mimodaq/__init__.py$$' && { echo "no mimodaq/__init__.py: it would hide the other folders"; exit 1; } || true

bench: $(READY) ## every benchmark, as JSON
	$(BIN)/mimodaq bench all --json

soak: $(READY) ## hours of faults under load
	$(BIN)/python -m pytest -m soak --timeout 0 -o addopts="--strict-markers --import-mode=importlib"

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
