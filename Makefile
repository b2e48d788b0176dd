# make demo: set up and run the main job on a real model.  make test: set up and pass all tests.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
JOBS ?= 2

.PHONY: demo test real lint sanitize fuzz bench clean
.DELETE_ON_ERROR:

$(BIN)/modelglot: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

# torch is an oracle in tests; modelglot itself never needs it. azurite is Microsoft's emulator of its storage
$(VENV)/.tests: $(BIN)/modelglot pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check "torch==2.13.0"
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[test,lint,oracles,plot,llm,view,catalog,ray]"
	if command -v npm >/dev/null; then npm install --silent --no-audit --no-fund --prefix $(VENV)/node azurite@3.35.0; fi
	touch $@

demo: $(BIN)/modelglot
	$(BIN)/python scripts/demo.py

real: $(BIN)/modelglot
	$(BIN)/python tests/real/fetch.py

test: $(VENV)/.tests real
	MODELGLOT_REQUIRE_ORACLES=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# the kernels under AddressSanitizer and UndefinedBehaviorSanitizer, over the edge families (about 2 minutes)
sanitize: $(VENV)/.tests
	$(BIN)/python tests/kernels/sanitize.py

# every reader under atheris, 60 seconds each; `python -m fuzz --runs 1000000` for as long as that takes
fuzz: $(VENV)/.tests
	$(BIN)/pip install --quiet --disable-pip-version-check "atheris>=3.0"
	$(BIN)/python -m fuzz --seconds 60

bench: $(VENV)/.tests
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) demo bench/work
