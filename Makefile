# Each target sets up all it needs: a virtual environment, the package, the tools.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SHARED := $(wildcard ../shared/data)
export ULTRAHAND_TEST_DATA ?= $(abspath $(SHARED))
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test lint tests boundscheck check-long bench peers clean test-lowest

demo: $(VENV)/.installed
	$(BIN)/python examples/demo.py demo

test: lint tests boundscheck

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

tests: $(VENV)/.installed
	$(BIN)/python -m pytest -n auto -m "not long"

# Reads out of bounds return garbage silently; this run makes them errors.
boundscheck: $(VENV)/.installed
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(VENV)/boundscheck $(BIN)/python -m pytest -q tests/kernels tests/recon/test_nufft.py

check-long: $(VENV)/.installed
	$(BIN)/python -m pytest -m long
	HYPOTHESIS_PROFILE=searching $(BIN)/python -m pytest -q --timeout 1800 \
	    tests/io/test_round_trip.py tests/recon/test_axes.py

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks

# Debian's packages that tests use: other programs to compare with, a browser for the report.
# Without them those tests skip.
peers:
	command -v bart >/dev/null && command -v ismrmrd_recon_cartesian_2d >/dev/null \
	    && command -v chromium >/dev/null || \
	    { apt-get update -qq && apt-get install -y -qq bart ismrmrd-tools chromium; }

# The lower bounds of pyproject.toml, installed together.
test-lowest:
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/pip install -q "pip>=25.1"
	$(VENV)-lowest/bin/python tests/lowest.py > $(VENV)-lowest/lowest.txt
	$(VENV)-lowest/bin/pip install -q -e '.[report]' --group dev -c $(VENV)-lowest/lowest.txt
	$(VENV)-lowest/bin/python -m pytest -q -n auto -m "not long"

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q "pip>=25.1"
	$(BIN)/pip install -q -e '.[report]' --group dev
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-lowest demo
