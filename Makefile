# Everything sets itself up: a virtual environment in .venv, refreshed when the
# project's metadata changes. `make PYTHON=python3.12 test` uses another Python.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')

.PHONY: demo test test-all test-full test-numeric fuzz lint wheel bench clean

demo: $(READY)
	@$(BIN)/python docs/demo.py

test: $(READY)
	@$(BIN)/python -m pytest

test-all: $(READY)
	@$(BIN)/python -m pytest -m ''

test-full: $(READY)
	@$(BIN)/python -m pytest -m full

test-numeric: $(READY)
	@$(BIN)/python -m pytest -m 'numeric and not full'

# Longer: make fuzz MINUTES=60
MINUTES ?= 10
fuzz: $(READY)
	@$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Into dist/, tried in an empty environment.
wheel: $(READY)
	@$(BIN)/python .ci/wheel.py

bench: $(READY)
	@$(BIN)/python -m benchmarks

# Without a finished installation by this Python, whatever is in .venv is thrown away.
$(READY): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else "Python 3.10 to 3.13 is needed, %s is %d.%d: make PYTHON=python3.12 ..." % (sys.executable, *v))'
	@echo "Installing into .venv (TensorFlow among others; the first time takes a few minutes) ..."
	@test -e $@ || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[all,dev]'
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
