# make demo and make test do all the set-up themselves; the rest is for those who work on the project.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?=
VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(BIN)/.run-time
DEV := $(BIN)/.development

.PHONY: help demo demo-down test test-long molecule molecule-site unit check format docs bench collection rpm release clean setup

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(RUN) ## the whole story, end to end, on a real OpenStack in this folder
	@$(BIN)/osg-site-iaas demo

demo-down: $(RUN) ## stop what the demo left running
	@$(BIN)/osg-site-iaas demo --down

test: $(DEV) ## everything that takes under 25 minutes (SKIP="suite …" leaves suites out, and says so)
	@scripts/distribution-packages test; scripts/distribution-packages molecule; true # a suite says what it lacks
	@$(BIN)/python scripts/run_suites.py

test-long: $(DEV) ## also what takes longer
	@scripts/distribution-packages test; scripts/distribution-packages molecule; true
	@$(BIN)/python scripts/run_suites.py --long

molecule: $(DEV) ## the roles' tests in containers: every role's two scenarios, and an upgrade (ROLE="ec2 client" for some)
	@scripts/distribution-packages molecule && $(BIN)/python scripts/molecule $(ROLE)

molecule-site: $(DEV) ## the long ones: OpenStack from packages, and a whole site of three hosts
	@scripts/distribution-packages molecule && $(BIN)/python scripts/molecule --long

unit: $(DEV) ## only what needs no sandbox
	@$(BIN)/python scripts/run_suites.py --only lint unit consistency

check: $(DEV) ## format, lint, types and layers
	@$(BIN)/python scripts/run_suites.py --only lint

format: $(DEV) ## put the sources into their form
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix --quiet . || true

docs: $(DEV) ## write the generated pages anew
	@$(BIN)/python scripts/generate_docs.py

bench: $(DEV) ## measure beside the peers (an hour; benchmarks/README.md)
	@$(BIN)/python benchmarks/run.py

collection: $(DEV) ## the Ansible collection as a tarball in dist/
	@mkdir -p dist && $(BIN)/ansible-galaxy collection build --force --output-path dist .

rpm: $(DEV) ## the RPMs of the last commit in dist/rpm/ (docs/packages.md)
	@PYTHON=$(abspath $(BIN)/python) packaging/rpm/build dist/rpm

release: $(DEV) ## wheel, sources, collection, RPMs of the last commit in dist/VERSION, with sums and SBOM (SIGN=KEY signs)
	@$(BIN)/python scripts/release.py $(if $(SIGN),--sign "$(SIGN)")

setup: $(DEV) ## only the environments

clean: ## remove what is made, but not the sandbox's state
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)$$(scripts/find-python)" || scripts/distribution-packages run-time
	@python="$(PYTHON)"; $${python:-$$(scripts/find-python --explain)} -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip

$(RUN): setup.cfg packaging/distribution-packages.txt | $(BIN)/python
	@scripts/distribution-packages demo
	@echo "Installing the package into $(VENV)" && PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable ".[demo]"
	@touch $@

$(DEV): $(RUN) requirements/dev.txt
	@scripts/distribution-packages development
	@echo "Installing the test tools into $(VENV)" && $(BIN)/python -m pip install --quiet --requirement requirements/dev.txt
	@touch $@
