# Two commands do everything: `make run` and `make test`. The recipes live in Python.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-next lint format bench audit sbom mutation-sample

run: .venv/.base
	@exec $(BIN)/python manage.py quickstart --serve

test: .venv/.dev
	@$(BIN)/python -m tests.run

test-next:
	@$(PYTHON) -m tests.next

lint: .venv/.dev
	@$(BIN)/python -m tests.lint

bench: .venv/.dev
	@$(BIN)/python -m benchmarks.compare

audit: .venv/.audit
	@$(BIN)/python -m tests.supply_chain audit

sbom: .venv/.audit
	@$(BIN)/python -m tests.supply_chain sbom sbom.cdx.json

mutation-sample: .venv/.audit
	@$(BIN)/python -m tests.mutation --sample 12 --seconds 75

format: .venv/.dev
	@$(BIN)/ruff check --fix-only -q . && $(BIN)/ruff format .

# The virtual environment, with every package pinned by hash.
.venv/.base: requirements/base.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Vaultsite needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing what the service runs on …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.base
	@echo "Installing what tests and linters need …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/.audit: requirements/audit.txt .venv/.dev
	@echo "Installing what audits need …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
