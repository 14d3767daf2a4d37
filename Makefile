# `make help` lists what there is. Two commands on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
DEMO := $(if $(ENGINE),in-kubernetes,embedded)
ENGINE ?= host
VENV := .venv
BIN := $(VENV)/bin
LOCKED := $(VENV)/.locked
READY := $(VENV)/.ready
DEMO_VENV := .venv-demo
PROJECTS := api/src/bucketops_api/__init__.py $(wildcard */pyproject.toml)
CLUSTER := $(PYTHON) tests/cluster
PYTEST := $(BIN)/python -m pytest
PARALLEL := --numprocesses 2 --dist worksteal
NOT_SLOW := -m "not slow"
SLOW := -m slow
CLUSTER_FAULTS := tests/faults/test_cluster.py tests/faults/test_operator.py
FAULTS_IN_CLUSTER = KUBECONFIG=$$($(CLUSTER) kubeconfig --engine $(ENGINE)) $(PYTEST) $(CLUSTER_FAULTS)
FAULTS_HERE = $(PYTEST) tests/faults $(addprefix --ignore ,$(CLUSTER_FAULTS)) $(PARALLEL)
export BUCKETOPS_ENGINE := $(ENGINE)
export SIGNING_KEY

.PHONY: help demo demo-embedded demo-in-kubernetes test test-cluster lane-here lane-cluster up down status unit integration slow e2e faults soak fuzz mutants bench lint format pictures generate verify verify-models lock image release clean
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: demo-$(DEMO) ## thousands of avatars move between buckets while a live database names them (ENGINE=kind, host: in Kubernetes)

demo-embedded: $(DEMO_VENV)/.ready
	@$(DEMO_VENV)/bin/bucketops demo $(ARGS)

demo-in-kubernetes: up $(READY)
	@KUBECONFIG=$$($(CLUSTER) kubeconfig --engine $(ENGINE)) $(BIN)/python tests/demo.py

test: lint verify-models unit integration ## what a contributor runs: minutes, real servers, no cluster

test-cluster: verify up ## what CI runs besides: the slow tests, the chart in a cluster, and faults; two lanes at once
	@$(MAKE) --no-print-directory --jobs 2 lane-here lane-cluster

lane-here: slow
	@$(FAULTS_HERE)

lane-cluster: e2e
	@$(FAULTS_IN_CLUSTER)

up: ## a Kubernetes with MinIO, PostgreSQL and bucketops in it (ENGINE=kind: in Docker)
	@$(CLUSTER) up --engine $(ENGINE)

down: ## take the cluster away; what was built is kept
	@$(CLUSTER) down --engine $(ENGINE)

status: ## nodes and pods of the cluster
	@$(CLUSTER) status --engine $(ENGINE)

unit: $(READY) ## pure cores, without a network
	@$(PYTEST) tests/unit $(NOT_SLOW) $(PARALLEL)

integration: $(READY) ## whole runs of every kind on real servers, as processes of this machine
	@$(CLUSTER) packages
	@$(PYTEST) tests/integration $(NOT_SLOW) $(PARALLEL)

slow: $(READY) ## the tests marked slow: many rounds, large worlds, rare servers
	@$(CLUSTER) packages
	@$(PYTEST) tests/unit tests/integration $(SLOW) $(PARALLEL)

e2e: up $(READY) ## the chart and the examples in the cluster
	@KUBECONFIG=$$($(CLUSTER) kubeconfig --engine $(ENGINE)) $(PYTEST) tests/e2e

faults: up $(READY) ## kills in the middle of the work, of processes and in the cluster
	@$(FAULTS_IN_CLUSTER)
	@$(FAULTS_HERE)

fuzz: $(READY) ## random DDL, the migration's protocol, hostile stores, the stripper: 20 times as many examples (FUZZ=20)
	@$(CLUSTER) packages
	@FUZZ=$${FUZZ:-20} $(PYTEST) tests/unit/jobs/test_*_model.py tests/unit/jobs/test_migration_counts.py tests/unit/jobs/test_exif_fuzz.py \
	  tests/integration/test_hostile_servers.py tests/integration/test_migration_ddl.py

soak: $(READY) ## an hour of random faults, with an application at work (ARGS="--minutes 5 --seed 1")
	@$(CLUSTER) packages
	@PYTHONPATH=tests $(BIN)/python -m soak $(ARGS)

mutants: $(READY) ## take each guard away in turn and see a test go red (ARGS="copy-without-an-intent …")
	@$(BIN)/python tests/mutants/run.py $(ARGS)

bench: $(VENV)/.bench ## measure against s5cmd, mc, rclone and boto3 (by hand; ARGS="copy --server minio --rounds 9")
	@KUBECONFIG=$$($(CLUSTER) kubeconfig --engine $(ENGINE)) PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

lint: $(READY) ## ruff, mypy, import-linter, and zizmor for the workflows
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy api/src operator/src jobs/src cli/src tests/cluster tools
	@$(BIN)/lint-imports
	@$(BIN)/zizmor --offline --quiet --no-progress .github

format: $(READY) ## let ruff mend what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

pictures: $(READY) ## what people see in a terminal, as docs/pictures/*.svg: real runs, captured
	@$(CLUSTER) packages
	@PYTHONPATH=tests $(BIN)/python docs/pictures/make.py

generate: $(READY) ## write CRDs, RBAC, schema, reference and install.yaml from the models
	@HELM=$$($(CLUSTER) tool helm) $(BIN)/python -m bucketops_operator.generate

verify-models: $(READY)
	@$(BIN)/python -m bucketops_operator.generate --check --without-helm

verify: $(READY) ## fail if anything generated is out of date
	@HELM=$$($(CLUSTER) tool helm) $(BIN)/python -m bucketops_operator.generate --check

lock: $(READY) ## resolve requirements/*.in anew
	@for name in dev runtime demo bench; do $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  $$([ $$name = dev ] || echo --constraint requirements/dev.lock) \
	  requirements/$$name.in --output-file requirements/$$name.lock; done

image: ## build and load the image of operator and workers
	@$(CLUSTER) image --engine $(ENGINE)

release: $(READY) ## wheels, chart, install.yaml, image and SBOM into dist/, with checksums (ARGS="--twice", "--without-image")
	@HELM=$$($(CLUSTER) tool helm) PYTHONPATH=tools:tests/cluster $(BIN)/python -m release $(ARGS)

clean: ## take the cluster away and forget everything that was built
	@$(CLUSTER) clean --engine $(ENGINE)
	@rm -rf $(VENV) $(DEMO_VENV) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(READY): $(LOCKED) $(PROJECTS)
	@$(BIN)/pip install --quiet --no-build-isolation --no-deps --editable api --editable operator --editable jobs --editable cli
	@touch $@

$(LOCKED): requirements/dev.lock
	@echo "• Python packages into $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); }
	@$(BIN)/pip install --quiet --require-hashes --requirement requirements/dev.lock
	@touch $@

$(DEMO_VENV)/.ready: requirements/demo.lock tools/demo_environment.py $(PROJECTS)
	@$(PYTHON) tools/demo_environment.py $(DEMO_VENV)
	@touch $@

$(VENV)/.bench: $(READY) requirements/bench.lock
	@$(BIN)/pip install --quiet --require-hashes --requirement requirements/bench.lock
	@touch $@
