# `make` lists the targets; `make setup` is all that a clean clone needs.
SHELL := /bin/sh
.DEFAULT_GOAL := help

PIPENV_VERSION := 2026.10.3
# Empty when neither is there, or runs, or is new enough; the setup then says so.
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for p in python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
endif
# Passed on to the command behind a target: make deploy ARGS="tap --auto-approve"
ARGS ?=

PIPENV := .pipenv/bin/pipenv --bare
PY := .venv/bin/python
# CI keeps the CLI's spinner, a line each tenth of a second, out of logs.
CDKTF := [ -t 1 ] || export CI=true; node_modules/.bin/cdktf

# The cdktf CLI takes the first `node` on the PATH: make it the locked one.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Neither the cdktf CLI nor Terraform phones home.
export CHECKPOINT_DISABLE := 1
export DISABLE_VERSION_CHECK := 1
# pipenv: this project's .venv, whatever environment or folder make was called from.
export PIPENV_PIPFILE := $(CURDIR)/Pipfile
export PIPENV_VENV_IN_PROJECT := 1
export PIPENV_DEFAULT_PYTHON_VERSION := $(CURDIR)/.pipenv/bin/python
export PIPENV_IGNORE_VIRTUALENVS := 1
export PIPENV_DONT_LOAD_ENV := 1
export PIPENV_NOSPIN := 1
export PIPENV_YES := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH

# Stamps: a step runs again only when what it is made from changed.
PIPENV_STAMP := .pipenv/stamp-$(PIPENV_VERSION)
PYTHON_STAMP := .venv/stamp-packages
PACKAGE_STAMP := .venv/stamp-tapstack
NODE_STAMP := node_modules/.stamp-packages

# $(call quietly,COMMAND): COMMAND's output is shown only when it fails.
define quietly
log=$$(mktemp) && if { $(1); } >"$$log" 2>&1; then rm -f "$$log"; \
else cat "$$log" >&2; rm -f "$$log"; echo "failed: the output is above" >&2; exit 1; fi
endef

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name text; do printf '%-18s%s\n' "$$name" "$$text"; done

.PHONY: setup
setup: $(PYTHON_STAMP) $(PACKAGE_STAMP) $(NODE_STAMP) ## Install everything, as locked, into .pipenv, .venv and node_modules

$(PIPENV_STAMP):
	@if ! $(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "Tapstack needs Python 3.11 or newer: $(if $(PYTHON),'$(PYTHON)' is not one,python3.11 and python3 are missing or older)." >&2; \
		echo "Install it, or name it: make setup PYTHON=/path/to/python3.11" >&2; exit 2; fi
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "'$(PYTHON)' cannot make environments: it lacks venv or ensurepip." >&2; \
		echo "On Debian and Ubuntu, install the package python3-venv (or python3.11-venv)." >&2; exit 2; fi
	@echo "[1/4] pipenv $(PIPENV_VERSION)"
	@$(call quietly,$(PYTHON) -m venv --clear .pipenv && \
		.pipenv/bin/python -m pip install pipenv==$(PIPENV_VERSION))
	@touch $@

$(PYTHON_STAMP): Pipfile Pipfile.lock $(PIPENV_STAMP)
	@echo "[2/4] Python packages"
	@$(PIPENV) verify >/dev/null 2>&1 || { echo "Pipfile changed after Pipfile.lock: run make lock" >&2; exit 2; }
	@$(call quietly,$(PIPENV) sync --dev)
	@touch $@

# Editable, by the locked hatchling: nothing is fetched, and edits count at once.
$(PACKAGE_STAMP): pyproject.toml | $(PYTHON_STAMP)
	@echo "[3/4] tapstack itself"
	@$(call quietly,$(PY) -m pip install --no-index --no-deps --no-build-isolation --editable .)
	@touch $@

$(NODE_STAMP): package.json package-lock.json .npmrc | $(PYTHON_STAMP)
	@echo "[4/4] cdktf CLI"
	@$(call quietly,.venv/bin/npm ci)
	@touch $@

.PHONY: synth
synth: setup ## Write the Terraform into cdktf.out (ARGS=--hcl for HCL)
	@.venv/bin/tapstack check
	@$(CDKTF) synth $(ARGS)
	@echo "Terraform:"; ls -1 cdktf.out/stacks/*/cdk.tf*

.PHONY: diff deploy destroy
diff: setup ## Show what a deploy would change (ARGS=stack)
	@.venv/bin/tapstack check --machine
	@$(CDKTF) diff $(ARGS)

deploy: setup ## Deploy (ARGS="stack --auto-approve")
	@.venv/bin/tapstack check --machine
	@$(CDKTF) deploy $(ARGS)

destroy: setup ## Destroy (ARGS="stack --auto-approve")
	@.venv/bin/tapstack check --machine
	@$(CDKTF) destroy $(ARGS)

.PHONY: rehearse
rehearse: setup ## Take an incident through an AWS account on this machine, and write rehearsal.html (ARGS="file --site a --open")
	@.venv/bin/tapstack rehearse incident $(ARGS)

.PHONY: check test test-rehearsal test-isolated test-all lint format bench bench-rehearsal bench-response faults generate
check: setup ## Check the deployment file and this machine, touch nothing
	@.venv/bin/tapstack check --machine $(ARGS)

# Two processes: the tests that run Terraform, or share an account, and the others, which share one jsii kernel.
test: setup ## Run the tests that need only this setup
	@$(PY) -m pytest -n 2 --dist loadgroup $(ARGS)

test-rehearsal: setup ## Run the tests of the AWS account on this machine, and deploy into it
	@$(PY) -m pytest -m rehearsal -n 2 --dist loadgroup $(ARGS)

test-isolated: setup ## Run the tests that install checkov, cdktn and schemathesis into environments of their own
	@$(PY) -m pytest -m "checkov or cdktn or schemathesis" $(ARGS)

test-all: test test-rehearsal test-isolated ## Run every test

lint: setup ## Check style, formatting and types
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

format: setup ## Apply the formatting and the safe fixes
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

bench: setup ## Time synthesis
	@$(PY) benchmarks/synth.py $(ARGS)

bench-rehearsal: setup ## Measure the rehearsal account beside stock moto
	@$(PY) benchmarks/rehearsal.py $(ARGS)

bench-response: setup ## Measure the response, from an alert to packets, beside what public samples do
	@$(PY) benchmarks/response.py $(ARGS)

faults: setup ## Let every AWS call of an incident fail, in every way (more than an hour); writes docs/faults.md
	@$(PY) -m tests.rehearsal.end_to_end.faults $(ARGS)

generate: setup ## Write the generated files again
	@$(PY) -m scripts.generate $(ARGS)

.PHONY: wheel
wheel: setup ## Build the tapstack wheel into dist
	@$(call quietly,$(PY) -m pip wheel --no-index --no-deps --no-build-isolation --wheel-dir dist .)
	@ls -1 dist/*.whl

.PHONY: lock
lock: $(PIPENV_STAMP) ## Resolve Pipfile.lock and package-lock.json anew
	@$(call quietly,$(PIPENV) lock)
	@.pipenv/bin/python scripts/scrub_lock.py
	@$(MAKE) --no-print-directory $(PYTHON_STAMP)
	@$(call quietly,.venv/bin/npm install --package-lock-only)

.PHONY: clean distclean
clean: ## Remove synthesized Terraform, builds and caches
	@rm -rf cdktf.out build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . \( -name .git -o -name .venv -o -name .pipenv -o -name .environments -o -name node_modules \) -prune \
		-o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## Also remove the environments (Terraform state stays)
	@rm -rf .pipenv .venv .environments node_modules
