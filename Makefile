# The commands of this project. `make demo` and `make test` need nothing but Python 3.11+ and Debian's basics.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test test-numpy1 check bench peers soak docs deploy-test dist dist-test pictures format clean

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mimodaq needs Python 3.11 or newer; set PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY) ## set up everything and run a muon-lifetime experiment
	@rm -rf demo
	@$(BIN)/mimodaq init demo --example lifetime
	@$(BIN)/mimodaq run demo/setup.yaml --events 20000 --headless

test: $(READY) ## the whole test suite, in three processes: many tests wait
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 --durations 20

NUMPY1 := .venv-numpy1

$(NUMPY1)/.ready: pyproject.toml
	$(PYTHON) -m venv $(NUMPY1)
	$(NUMPY1)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' 'numpy<2' 'pyarrow<19' 'pandas<3'
	@touch $@

test-numpy1: $(NUMPY1)/.ready ## what old projects need, with numpy 1.26: mimoCoRB's interface, files
	$(NUMPY1)/bin/python -m pytest --numprocesses 3 --dist loadfile tests/mimocorb tests/files/test_open_events.py

check: $(READY) ## lint, types, import contracts, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell README.md CONTRIBUTING.md CHANGELOG.md docs node broker client config # tests hold misspelled setups on purpose
	@git ls-files | grep -q '^[a-z]*/mimodaq/__init__.py$$' && { echo "no mimodaq/__init__.py: it would hide the other folders"; exit 1; } || true

bench: $(READY) ## every benchmark, as JSON
	$(BIN)/mimodaq bench all --json

# mimoCoRB 1.0.2 works with numpy and pandas of its time, which need Python 3.11 at most; mimoCoRB2 needs 3.12 or newer
# (of 3.14 it does not start). Its windows are not needed, so their libraries stay away.
PYTHON311 ?= $(call first_python,python3.11 $$(ls -d "$$(pyenv root 2>/dev/null)"/versions/3.11*/bin/python3.11 2>/dev/null))
PYTHON312 ?= $(call first_python,python3.12 python3.13 $$(ls -d "$$(pyenv root 2>/dev/null)"/versions/3.1[23]*/bin/python3.1[23] 2>/dev/null))
first_python = $(shell for python in $(1); do "$$python" -c 'import sys; print(sys.executable)' 2>/dev/null && break; done)

peers: ## the programs the benchmarks compare with, each in an environment of its own
	@python='$(PYTHON311)'; if [ -z "$$python" ]; then echo "no Python 3.11: mimoCoRB is left out; set PYTHON311=/path/to/python"; else \
	  echo "mimoCoRB 1.0.2 in .venv-peers-mimocorb" && "$$python" -m venv .venv-peers-mimocorb && \
	  .venv-peers-mimocorb/bin/python -m pip install --quiet --disable-pip-version-check \
	    mimocorb==1.0.2 numpy==1.26.4 pandas==1.5.3 pyarrow==10.0.1; fi
	@python='$(PYTHON312)'; if [ -z "$$python" ]; then echo "no Python 3.12: mimoCoRB2 is left out; set PYTHON312=/path/to/python"; else \
	  echo "mimoCoRB2 0.0.4 in .venv-peers-mimocorb2" && "$$python" -m venv .venv-peers-mimocorb2 && \
	  .venv-peers-mimocorb2/bin/python -m pip install --quiet --disable-pip-version-check numpy pyyaml psutil graphviz && \
	  .venv-peers-mimocorb2/bin/python -m pip install --quiet --disable-pip-version-check --no-deps mimocorb2==0.0.4; fi

soak: $(READY) ## hours of faults under load
	$(BIN)/python -m pytest -m soak --timeout 0 -o addopts="--strict-markers --import-mode=importlib"

deploy-test: $(READY) ## deploy/ on booted containers (root; systemd-container, openssh-server, ansible-core)
	$(BIN)/python -m pytest tests/deploy -m deploy

dist: $(READY) ## sdist, and the wheel made from it, in dist/
	@rm -rf dist
	$(BIN)/python -m build --outdir dist

dist-test: dist ## the wheel in an empty environment of each Python that is here, with all extras: a run is taken
	.ci/dist

pictures: $(READY) ## the pictures of the operator's screens, from a run of real processes
	PYTHONPATH=tests $(BIN)/python -m tui.pictures docs/img

docs: $(READY) ## the documentation as a site in build/site; a wrong link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(NUMPY1) demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
