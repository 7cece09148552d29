# Needs GNU make 3.81, bash 3.2 and Python 3.11 or newer; everything else is made in .venv.
# Recipes are one line each: what takes more is a script in scripts/.

.DEFAULT_GOAL := help
.PHONY: help setup setup-all up down test check docs policies bench lock clean

PYTHON := .venv/bin/python
home := COMPANYOS_HOME="$${COMPANYOS_HOME:-$$PWD/.companyos}"

# Some shells export HOST with the name of the machine, so HOST counts only when it is written after `make`.
host := $(if $(filter command line,$(origin HOST)),$(HOST))

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv from the lock files (nothing to do when it already matches them)
	@bash scripts/setup

setup-all: ## the same, and what `make check` and the optional tests need
	@bash scripts/setup optional

up: setup ## start the platform and show it at work; PORT=8701 or HOST=0.0.0.0 move it
	@$(home) .venv/bin/companyos up --demo $(if $(PORT),--port "$(PORT)") $(if $(host),--host "$(host)")

down: ## stop the platform and every process it started
	@if [ -x .venv/bin/companyos ]; then $(home) .venv/bin/companyos down; else echo "Nothing is set up here, so nothing runs."; fi

test: setup ## run the tests; ARGS='-k ledger' passes options on, REQUIRE_ALL=1 forbids skipping
	@$(PYTHON) -m pytest $(ARGS)

check: setup-all ## style, types, floors and house rules
	@bash scripts/check

docs: setup ## write the reference pages that are made from the code
	@$(PYTHON) -m tools.docs

policies: setup ## compile the policies that the platform ships
	@$(PYTHON) -m tools.policies

bench: setup ## measure speed and size; ARGS='--only ledger' or ARGS=--json
	@$(PYTHON) -m bench $(ARGS)

lock: ## write the lock files anew; UPGRADE=1 takes the newest versions (needs uv)
	@bash scripts/lock

clean: ## remove .venv and caches; the state in .companyos stays
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
