# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Another interpreter for .venv: make PYTHON=python3.13 test
export PYTHON ?= python3
# Molecule's scenarios, in this order; those after "site" go on with the host that it deployed.
SCENARIOS ?= site $(filter-out default site,$(notdir $(patsubst %/molecule.yml,%,$(wildcard molecule/*/molecule.yml))))
# More arguments for pytest: make units ARGS='-k ledger'
ARGS ?=

# What molecule remembers. Its own choice is a folder of the user's home, named after the name of this one: another
# checkout finds hosts there as "created" that are not its own, and a run that was stopped leaves it behind.
MOLECULE_STATE := $(CURDIR)/.cache/molecule/state

# Tests at a time. Many wait for a simulated chain, an HTTP answer or a program, so that two cores carry more than two.
WORKERS ?= 6

VENV := source .venv/bin/activate &&
IN_TREE := $(VENV) PYTHONPATH=.tree:tests/simnet
PYTEST := $(IN_TREE) python -m pytest -q -p no:cacheprovider

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## A simulated network and a host in a container: bare host to streamed reply
	@tests/tools/demo

.PHONY: demo-down
demo-down: ## Remove what the demo made (ENGINE=1: and stop the Docker Engine that it started)
	@tests/hosts/hosts --project gonka-devshard-demo down $(if $(ENGINE),--engine)

.PHONY: test
test: tests-ready ## What CI runs: lint, units, contract, and molecule-short beside page, coverage, money, sanity
	@tests/tools/stages lint units contract molecule-short+page,coverage,money,sanity

.PHONY: lint
lint: tests-ready ## Formatting, types, ansible-lint, documentation, the built package
	@tests/tools/lint

.PHONY: build
build: tests-ready ## The tarball of the collection: build/gonka-devshard-VERSION.tar.gz, and its checksum
	@tests/tools/tarball

.PHONY: execution-environment
execution-environment: build ## What podman and docker build an execution environment from: build/execution-environment
	@tests/tools/setup package
	@.venv-package/bin/ansible-builder create --file execution-environment.yml --context build/execution-environment --output-filename Containerfile

.PHONY: docs
docs: tests-ready ## The documentation site: build/docs/html
	@tests/tools/docs

.PHONY: sanity
sanity: tests-ready ## ansible-test sanity, and the unit tests on the newest ansible-core
	@tests/tools/sanity

.PHONY: units
units: tests-ready ## Unit tests
	@$(PYTEST) -n $(WORKERS) tests/unit $(ARGS)

.PHONY: coverage
coverage: tests-ready ## How much of the money and swap packages their own unit tests run
	@tests/tools/coverage

.PHONY: page
page: tests-ready ## The web page of status in a real browser, half a minute (ARGS='-k axe': only those)
	@tests/tools/setup page
	@PYTHONPATH=.tree:tests/simnet .venv-page/bin/python -m pytest -q -p no:cacheprovider tests/page $(ARGS)

.PHONY: dashboard-picture
dashboard-picture: tests-ready ## The picture of the Grafana dashboard in docs/docsite/images, drawn by Grafana's components (needs npm)
	@tests/tools/setup page
	@PYTHONPATH=.tree:tests/simnet .venv-page/bin/python tests/tools/dashboard.py

.PHONY: contract
contract: tests-ready ## The contract: each gateway on each chain, or what DEVSHARD_TEST_* names
	@$(IN_TREE) python tests/tools/contract.py $(ARGS)

# How often each of its five conditions is tried.
ROUNDS ?= 2

.PHONY: contract-steady
contract-steady: tests-ready ## The contract on a slow, busy or fast machine, ten runs (ROUNDS=1: five)
	@$(IN_TREE) python tests/tools/steady.py $(ROUNDS)

.PHONY: money
money: tests-ready ## Whole operations cut off at every step: no deposit is lost or locked twice
	@$(PYTEST) -n 4 tests/money $(ARGS)

# What make test runs of them: the whole way once, one swap under load, the whole way of the newest generation, and a
# move to it. All of them take three hours and more.
SHORT ?= site hot_swap generations generation_upgrade

.PHONY: molecule-short
molecule-short: ## Those scenarios that make test runs (SHORT='site': only those)
	@GENERATIONS="$${GENERATIONS:-v4.1}" MOVES="$${MOVES:-v2:v4.1:straight}" $(MAKE) molecule SCENARIOS='$(SHORT)'

.PHONY: molecule
molecule: tests-ready ## All scenarios on real systemd hosts, three hours and more (SCENARIOS='fleet': only those)
	@rm -rf $(MOLECULE_STATE)
	@tests/hosts/hosts images
	@$(VENV) MOLECULE_EPHEMERAL_DIRECTORY='$(MOLECULE_STATE)' MOLECULE_GLOB='molecule/*/molecule.yml' molecule test --report --no-command-borders $(addprefix -s ,$(SCENARIOS))

.PHONY: eda
eda: tests-ready ## The rulebook, run by ansible-rulebook with playbooks that only record their calls
	@tests/tools/eda $(ARGS)

.PHONY: simnet
simnet: tests-ready ## The simulated network and a gateway in the foreground, without containers
	@$(IN_TREE) exec python -m simnet run --dir .cache/simnet $(ARGS)

.PHONY: bench-swap
bench-swap: tests-ready ## How the ways to switch the edge treat running clients
	@$(IN_TREE) python benchmarks/swap $(ARGS)

.PHONY: bench-redeploy
bench-redeploy: tests-ready ## What a run of the site costs that changes nothing, a quarter of an hour
	@$(IN_TREE) python benchmarks/redeploy $(ARGS)

.PHONY: bench-upgrade
bench-upgrade: tests-ready ## A move to another generation under 200 clients, with the account of its money
	@$(IN_TREE) python benchmarks/upgrade $(ARGS)

.PHONY: clean
clean: ## Remove what the builds and tests left in this folder
	rm -rf .cache .tree .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis build
	rm -rf tests/output collections
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: tests-ready
tests-ready:
	@tests/tools/setup tests
