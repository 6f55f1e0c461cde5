# Every command of this repository. People and CI use the same ones; `make` alone lists them.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CLUSTER_TOOL := hack/local-cluster/cluster

# CLUSTER=local: a cluster of processes on this machine. CLUSTER=current: the current kubeconfig's;
# images are loaded into kind and k3d, for others pushed to REGISTRY=.
CLUSTER ?= local
REGISTRY ?=
# A file with the password by which the cluster pulls from REGISTRY, if it needs one.
PULL_CONFIG ?=
# As they were written: make would carry out a $(...) in them.
override CLUSTER := $(value CLUSTER)
override REGISTRY := $(value REGISTRY)
override PULL_CONFIG := $(value PULL_CONFIG)
# Further arguments of pytest, such as PYTEST='-k claims -x'.
PYTEST ?=
# Tests wait most of the time: more at once than there are cores; WORKERS= says how many. Who shares a
# worker is told by tests/support/sharing.py; each worker has clusters of its own.
WORKERS ?=
SHARED := --dist loadscope
# Those that need a cluster, Consul, a browser or images come after the others, which watch clocks closely.
SYSTEM := cluster or node or consul or images or browser
# Of chaos: which seeds (1,5-7), and how many jobs each.
SEEDS ?= 1
JOBS ?= 500
PROCESSES = hack/pytest -n $(or $(WORKERS),7) $(SHARED) -m "not ($(SYSTEM) or longer or acceptance)" $(PYTEST)
SYSTEMS = hack/pytest -n $(or $(WORKERS),7) $(SHARED) -m "($(SYSTEM)) and not (longer or acceptance)" $(PYTEST)
LONGER = hack/pytest -n $(or $(WORKERS),4) $(SHARED) -m longer $(PYTEST)
# Further arguments of the benchmarks, such as BENCH=cluster or BENCH='--quick per_task'.
BENCH ?=
export CLUSTER REGISTRY PULL_CONFIG

##@ See it work

.PHONY: demo
demo: ## Bring up a cluster, Consul and the operator, run a job on it, and leave it up
	PYTHON=$(PYTHON) hack/demo

.PHONY: down
down: ## Remove what `make demo` brought up
	hack/demo down

.PHONY: quickstart
quickstart: ## A job server with its page and a job on it, without a cluster; Ctrl-C ends it
	PYTHON=$(PYTHON) hack/quickstart

##@ Check it

# What fails in one half says nothing of the other; an interrupt ends both.
.PHONY: test
test: ## Run the tests, those against a real API server, kubelet and Consul included
	@$(MAKE) -j3 lint ready # neither of them fills two cores
	@$(MAKE) room
	@code=0; $(PROCESSES) || code=$$?; \
	  (( code > 1 )) || $(SYSTEMS) || code=$$?; \
	  exit $$code

.PHONY: unit
unit: install ## Run the tests that need neither cluster nor Consul nor browser nor images
	$(PROCESSES)

.PHONY: longer
longer: ready room ## Run the tests that take most of a machine, which `make test` leaves to CI
	$(LONGER)

.PHONY: acceptance
acceptance: ready room ## Run the checks of the project's promises and print their figures
	$(CLUSTER_TOOL) build trivy >/dev/null
	ACCEPTANCE=full $(BIN)/pytest -s tests/acceptance tests/cluster tests/node tests/page $(PYTEST)

.PHONY: bench
bench: ready room ## Measure; prints tables and writes build/bench.jsonl
	$(BIN)/python -m benchmarks $(BENCH)

.PHONY: chaos
chaos: ready ## Run jobs while everything fails, and judge by what the tasks wrote down (SEEDS=1-10 JOBS=500)
	$(BIN)/python -m chaos --seeds $(SEEDS) --jobs $(JOBS)

.PHONY: lint
lint: style types ## Style, types and layer contracts

.PHONY: style
style: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache

.PHONY: types
types: install
	$(BIN)/mypy
	MYPYPATH=hack/local-cluster:hack/test-node $(BIN)/mypy -p local_cluster -p test_node
	MYPYPATH=tests:hack/test-node $(BIN)/mypy --follow-imports=silent -p chaos
	$(BIN)/mypy hack/images/build.py hack/images/sbom.py hack/demo_tables.py hack/pull_secret.py hack/packaged_chart.py hack/pod_schema.py hack/chart_values.py hack/crds.py

.PHONY: fmt
fmt: install ## Format the code and put in order what can be put in order by a program
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: verify
verify: crds values lint test ## Regenerate, check and test; fails if anything in the tree changed
	git diff --exit-code

##@ Build it

.PHONY: install
install: $(INSTALLED) ## Make .venv with the project and its tools, versions from constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt pip hatchling editables
	$(BIN)/python -m pip install --quiet --no-compile --no-build-isolation -c constraints.txt -e '.[operator,server,dev]'
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true # some packages hold files of other Pythons
	touch $@

.PHONY: constraints
constraints: ## Resolve the dependencies anew and write constraints.txt
	hack/constraints $(PYTHON)

.PHONY: images
images: ## Build the container images as OCI archives in build/images
	hack/images/deps
	$(PYTHON) hack/images/build.py

.PHONY: sbom
sbom: install ## List what is in the images, as build/images/*.cdx.json (CycloneDX)
	$(BIN)/python hack/images/sbom.py

.PHONY: push
push: ## Push the built images to REGISTRY=host/path, and note their digests in build/images/digests
	@PYTHON=$(PYTHON) hack/images/push "$$REGISTRY" runner operator

.PHONY: chart
chart: ## Package the chart into build/chart, with the images that were pushed, by digest
	$(PYTHON) hack/packaged_chart.py

.PHONY: crds
crds: ## Copy crds/ into the chart
	$(PYTHON) hack/crds.py

.PHONY: values
values: ## Bring the chart's reference and schema level with its values.yaml
	$(PYTHON) hack/chart_values.py

.PHONY: ready
ready: install programs ## Bring what the tests need: cluster programs, Consul, a browser, images

.PHONY: programs
programs:
	hack/images/deps skopeo
	PYTHON=$(PYTHON) hack/prepare
	$(CLUSTER_TOOL) build kube-score >/dev/null
	$(CLUSTER_TOOL) source prometheus-operator >/dev/null
	hack/consul/fetch
	hack/browser/deps >/dev/null

# The machine has room for one node: the demo's goes before the tests bring up theirs.
.PHONY: room
room:
	@test -n "$(NODE_CLUSTER)" || $(CLUSTER_TOOL) down

.PHONY: clean
clean: ## Remove what was built here (caches in the home folder stay)
	rm -rf build dist $(VENV)

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@ / {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  \033[36m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
