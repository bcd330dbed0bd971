# `make` lists the targets; `make setup` is all that a clean clone needs.
SHELL := /bin/sh
.DEFAULT_GOAL := help

# A folder above or beside this one would be meant otherwise: every path here is relative.
ifeq ($(wildcard Pipfile.lock),)
$(error run make in the folder of this Makefile, or with make -C FOLDER)
endif

PIPENV_VERSION := 2026.10.3
# Empty when none is there, or runs, or is new enough; the set-up then says so.
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for p in python3.11 python3 python3.12 python3.13 .venv/bin/python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
else
CHOSEN := --chosen
endif
# Passed on to the command behind a target: make deploy ARGS="tap --auto-approve"
ARGS ?=

PIPENV := .pipenv/bin/pipenv --bare
PY := .venv/bin/python

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
# PYTHONDONTWRITEBYTECODE: nothing was compiled when it was installed; who does not let Python keep what it compiles waits
# each time. PYTHONUNBUFFERED: with it tests pass that fail where Python buffers, as on most machines.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED

# $(call quietly,COMMAND): COMMAND's output is shown only when it fails.
define quietly
log=$$(mktemp) && if { $(1); } >"$$log" 2>&1; then rm -f "$$log"; \
else cat "$$log" >&2; rm -f "$$log"; echo "failed: the output is above" >&2; exit 1; fi
endef

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name text; do printf '%-18s%s\n' "$$name" "$$text"; done

.PHONY: setup packages cdktf-cli python
setup: packages cdktf-cli ## Install everything, as locked: .venv for all targets, node_modules for diff, deploy and destroy

python:
	@if ! "$(or $(PYTHON),false)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "Tapstack needs Python 3.11 or newer: $(if $(PYTHON),'$(PYTHON)' is not one,python3.11 and python3 are missing or older)." >&2; \
		echo "Install it, or name it: make setup PYTHON=/path/to/python3.11" >&2; exit 2; fi

# Both return at once when nothing changed.
packages: python
	@"$(PYTHON)" scripts/set_up.py python $(CHOSEN)

cdktf-cli: packages
	@"$(PYTHON)" scripts/set_up.py cdktf

.PHONY: synth
synth: packages ## Write the Terraform into cdktf.out (ARGS=--hcl for HCL)
	@.venv/bin/tapstack synth $(ARGS)

.PHONY: diff deploy destroy
# --set-up: they install the cdktf CLI when everything that can be refused was not.
diff: packages ## Show what a deploy would change (ARGS=stack)
	@.venv/bin/tapstack diff --set-up $(ARGS)

deploy: packages ## Deploy (ARGS="stack --auto-approve")
	@.venv/bin/tapstack deploy --set-up $(ARGS)

destroy: packages ## Destroy (ARGS="stack --auto-approve")
	@.venv/bin/tapstack destroy --set-up $(ARGS)

.PHONY: rehearse
rehearse: packages ## Run one incident from alert to close in an AWS account on this machine, and write rehearsal.html (ARGS="file --site a --open")
	@.venv/bin/tapstack rehearse incident $(ARGS)

.PHONY: check test test-rehearsal test-isolated test-slow test-all lint format bench bench-account bench-response bench-alerts bench-packets faults moto-tests generate
check: packages ## Check the deployment file and this machine, touch nothing
	@.venv/bin/tapstack check --machine $(ARGS)

# Two processes share the tests (tests/parallel.py), the fast ones as many as there are processors, up to four: each has a
# Node of its own, of a gigabyte.
PYTEST := $(PY) -m pytest -n 2
test: packages ## Run the fast tests: one to two minutes on two idle cores
	@$(PYTEST) -n auto --maxprocesses 4 $(ARGS)

test-rehearsal: packages ## Run the tests of the AWS account on this machine, and deploy into it
	@$(PYTEST) -m "rehearsal and not long" $(ARGS)

test-isolated: packages ## Run the tests that make environments of their own, for checkov and the set-up
	@$(PYTEST) -m "isolated and not long" $(ARGS)

# Two processes more: many of these wait for Terraform's provider, whose pauses are of fixed length.
test-slow: setup ## Run what `make test` leaves out, but for the tests marked long: CI runs both
	@$(PYTEST) -n 4 -m "(thorough or rehearsal or isolated) and not long" $(ARGS)

test-all: setup ## Run every test, the long ones, too: before a release, and after a change of what is deployed
	@TAPSTACK_EVERY_POINT=1 $(PYTEST) -n 3 -m "" $(ARGS)

lint: packages ## Check style, formatting and types
	@$(PY) -m scripts.lock --check
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

format: packages ## Apply the formatting and the safe fixes
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

bench: packages ## Time synthesis
	@$(PY) benchmarks/synth.py $(ARGS)

bench-account: packages ## Measure strictmoto beside stock moto
	@$(PY) benchmarks/account.py $(ARGS)

bench-response: packages ## Measure the response, from an alert to packets, beside what public samples do
	@$(PY) benchmarks/response.py $(ARGS)

bench-alerts: packages ## Measure alerts of other tools beside GuardDuty's, and a thousand of them in a minute
	@$(PY) benchmarks/webhooks.py $(ARGS)

bench-packets: packages ## Measure the hand-over of packets beside tshark and tcpdump (ARGS="--gigabytes 10" for its growth, too)
	@$(PY) benchmarks/packets.py $(ARGS)

faults: packages ## Let every AWS call of an incident fail, in every way (more than an hour); writes docs/faults.md
	@$(PY) -m tests.end_to_end.faults $(ARGS)

moto-tests: packages ## Compare the account with moto by moto's own tests (minutes; fetches them); writes docs/moto-tests.md of strictmoto
	@$(PY) -m scripts.moto_tests $(ARGS)

generate: packages ## Write the generated files again
	@$(PY) -m scripts.generate $(ARGS)

.PHONY: wheel
wheel: packages ## Build the tapstack wheel into dist
	@$(call quietly,$(PY) -m pip wheel --no-index --no-deps --no-build-isolation --wheel-dir dist .)
	@ls -1 dist/*.whl

# pipenv is needed here only.
.PHONY: lock
lock: python ## Resolve Pipfile.lock and package-lock.json anew
	@[ "$$(cat .pipenv/version 2>/dev/null)" = $(PIPENV_VERSION) ] || { echo "pipenv $(PIPENV_VERSION)"; \
		$(call quietly,"$(PYTHON)" -m venv --clear .pipenv && \
		.pipenv/bin/python -m pip install pipenv==$(PIPENV_VERSION) && echo $(PIPENV_VERSION) >.pipenv/version); }
	@echo "resolving Pipfile.lock, for a minute or two"
	@$(call quietly,$(PIPENV) lock)
	@.pipenv/bin/python scripts/lock.py
	@$(MAKE) --no-print-directory packages
	@echo "resolving package-lock.json"
	@$(call quietly,.venv/bin/npm install --package-lock-only)

.PHONY: clean distclean
clean: ## Remove synthesized Terraform, builds and caches
	@rm -rf cdktf.out build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . \( -name .git -o -name .venv -o -name .pipenv -o -name .environments -o -name node_modules \) -prune \
		-o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## Also remove the environments (Terraform state stays)
	@rm -rf .pipenv .venv .environments node_modules
