# Evergreen. `make demo` and `make test` each work as the first command on a fresh machine.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The first interpreter that will do, of the ones people have; `make PYTHON=python3.12` chooses another.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$each && break; done || echo python3)
export DATA ?=
ONLY ?=
export ROUNDS ?= 5
CHART ?=
DATABASE ?=
# Two more than the cores of a small machine: the tests against Airflow, and those of faults, often wait. Each
# one more collects all tests, and starts servers, for itself.
JOBS ?= 4
SEED ?= 0
UV ?= uv
# Compiled modules are kept, whatever the shell says: hundreds of processes would compile the library anew.
export PYTHONDONTWRITEBYTECODE :=
# Who runs the stack's tasks: `local`, or `celery` with so many workers for the nights and one for trainings.
export EXECUTOR ?=
export WORKERS ?=
BROKER := $(if $(filter celery CeleryExecutor,$(or $(EXECUTOR),$(AIRFLOW__CORE__EXECUTOR))),.venv-redis)
STACK := .venv/bin/python -m deploy.embedded

# One a line, so that two changes of them do not meet.
.PHONY: \
	bench \
	campaign \
	check \
	check-python \
	clean \
	demo \
	docs \
	down \
	env \
	help \
	lint \
	load \
	lock \
	pictures \
	status \
	test \
	test-browser \
	test-clients \
	test-containers \
	test-docs \
	test-export \
	test-lineage \
	test-mlflow \
	up \
	.venv \
	.venv-browser \
	.venv-clients \
	.venv-export \
	.venv-lineage \
	.venv-mlflow \
	.venv-mlserver \
	.venv-redis \
	.venv-s3

help: ## what there is
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

demo: .venv .venv-s3 $(BROKER) ## the whole loop, from nothing to a table (DATA=hour.csv: on the real file)
	@$(STACK) demo --data "$$DATA" --executor "$$EXECUTOR" --workers "$$WORKERS"

up: .venv .venv-s3 $(BROKER) ## start the embedded stack (EXECUTOR=celery WORKERS=2: on Celery workers)
	@$(STACK) up --executor "$$EXECUTOR" --workers "$$WORKERS"

down: ## stop it
	@if [ -x .venv/bin/python ]; then $(STACK) down; fi

status: .venv ## what of it runs
	@$(STACK) status

load: .venv ## fill the demo's sources with simulated history (DATA=hour.csv: with that file)
	@$(STACK) load --data "$$DATA"

# One thread in each process: numpy's and scikit-learn's threads spin while they wait for one another, and as
# many processes as cores have work to do already.
test test-docs campaign: export OPENBLAS_NUM_THREADS = 1
test test-docs campaign: export OMP_NUM_THREADS = 1

test: .venv .venv-s3 .venv-redis ## all tests, and every kind of fault once (JOBS=8: by so many processes)
	.venv/bin/pytest -n $(JOBS) --durations=25

test-docs: .venv .venv-s3 ## every command of every page, typed as it stands there
	EVERGREEN_DOCS=1 .venv/bin/pytest tests/docs -s

test-export: .venv .venv-s3 .venv-export ## exports by the real converters, which are left out of the tests otherwise
	.venv/bin/pytest tests/export

test-mlflow: .venv .venv-s3 .venv-mlflow ## what a real MLflow server is told, which is left out of the tests otherwise
	.venv/bin/pytest tests/mlflow

test-clients: .venv .venv-s3 .venv-clients ## the server asked by clients of others, which is left out of the tests otherwise
	.venv/bin/pytest tests/clients

test-lineage: .venv .venv-s3 .venv-lineage ## lineage by Airflow's OpenLineage provider, which is left out of the tests otherwise
	PYTHONPATH=include:plugins .venv-lineage/bin/pytest tests/lineage

test-browser: .venv-s3 .venv-browser ## pages in a real browser, by axe-core too, which is left out of the tests otherwise
	PYTHONPATH=include:plugins .venv-browser/bin/pytest tests/browser

test-containers: .venv-s3 .venv-browser ## docker-compose.yaml booted for real, which is left out of the tests otherwise
	EVERGREEN_CONTAINERS=1 PYTHONPATH=include:plugins .venv-browser/bin/pytest tests/containers -x -s -o timeout=3600

.PHONY: .venv-helm test-kubernetes
test-kubernetes: .venv .venv-helm ## deploy/kubernetes by Helm and the schemas of Kubernetes, left out otherwise (CHART=airflow.tgz)
	@chart=$$([ -n '$(CHART)' ] && realpath '$(CHART)' || .venv-helm/bin/python tests/kubernetes/fetch.py .evergreen/charts) && \
		EVERGREEN_CHART=$$chart .venv/bin/pytest tests/kubernetes -rP

.PHONY: .venv-engines test-engines
test-engines: .venv-s3 .venv-engines ## the same results by processes, Dask and Spark, which are left out of the tests otherwise
	PYTHONPATH=include:plugins .venv-engines/bin/pytest tests/engines
	PYTHONPATH=include:plugins .venv-engines/bin/pytest tests/docs/test_read_the_tables.py

.PHONY: .venv-audit audit sbom
audit: .venv-audit ## vulnerabilities, licences, secrets in the history, SBOM (DATABASE=all.zip: by a file of OSV)
	@.venv-audit/bin/python -m deploy.audit $(if $(DATABASE),--database '$(DATABASE)')

sbom: .venv-audit ## the bills of materials of the images, in .evergreen/sbom
	@.venv-audit/bin/python -m deploy.audit.sbom

campaign: .venv .venv-s3 .venv-redis ## faults by the hundred (ONLY='name name'; SEED=7)
	@EVERGREEN_CAMPAIGN_SEED=$(SEED) JOBS=$(JOBS) .venv/bin/python -m tests.campaign $(ONLY)

lint: .venv ## style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy include/evergreen

check: .venv ## the descriptions of all pipelines, and their DAGs, without storage or sources
	.venv/bin/evergreen check --offline
	.venv/bin/pytest tests/dags/test_described.py

env: ## write .env for docker compose: fresh secrets, free ports (DEMO=1: with the demo's sources)
	@$(PYTHON) -m deploy.compose.env $(if $(DEMO),demo)

bench: .venv .venv-s3 ## measure (ONLY=name: one figure; ROUNDS=1: a first look)
	.venv/bin/python -m benchmarks $(if $(ONLY),--only '$(ONLY)')

docs: .venv ## write anew the pages of docs/ that are generated from the code
	@AIRFLOW_HOME=$$(mktemp -d) AIRFLOW__CORE__LOAD_EXAMPLES=false AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR \
		AIRFLOW__CORE__PLUGINS_FOLDER=$(CURDIR)/plugins .venv/bin/python -W ignore -m docs.catalogue docs

pictures: .venv-browser ## take the pictures of docs/ from the stack, after make demo (ONLY='name name')
	@PYTHONPATH=include:plugins .venv-browser/bin/python -m docs.pictures $(ONLY)

clean: ## stop the stack and remove its folder .evergreen/
	@if [ -x .venv/bin/python ]; then $(STACK) clean; else rm -rf .evergreen; fi

.venv: .venv/.complete ## the environment, from hash-pinned requirements

.venv-s3: .venv-s3/.complete ## the environment of the embedded S3 server

.venv-redis: .venv-redis/.complete ## the environment of the broker of Celery workers

.venv-export: .venv-export/.complete ## the environment that `evergreen models export` converts in

.venv-mlflow: .venv-mlflow/.complete ## the environment of the MLflow server of the tests

.venv-clients: .venv-clients/.complete ## the environment of the clients that ask the server in tests

.venv-mlserver: .venv-mlserver/.complete ## the environment of the server that is measured beside ours

.venv-lineage: .venv-lineage/.complete ## the environment with the OpenLineage provider of the tests

.venv-engines: .venv-engines/.complete ## the environment with Dask, Spark and readers of the tables

.venv-browser: .venv-browser/.complete ## the environment that drives a browser for tests

.venv-helm: .venv-helm/.complete ## the environment with Helm and the schemas of Kubernetes

.venv-audit: .venv-audit/.complete ## the environment of make audit

# The requirements are complete, so pip resolves nothing (the pip of an older Python cannot resolve
# `celery[redis]` by hash), and several of it install a part each: one alone takes a minute on one core. Modules
# are compiled by all cores at once, and not the libraries' own tests; a library may hold files that are for
# another Python. A stamp is written last: an environment that was interrupted is completed by the next call.
define install
	@rm -f $(1)/.complete
	@echo "Building $(1) from $(2) with $(PYTHON)"
	@[ ! -e $(1) ] || [ "$$($(1)/bin/python -V 2>&1)" = "$$($(PYTHON) -V 2>&1)" ] || rm -rf $(1)
	@$(PYTHON) -m venv $(1)
	@awk '/^[a-z]/ { part = part % 3 + 1 } part { print > "$(1)/requirements-" part }' $(2)
	@printf '%s\n' $(1)/requirements-[1-3] | xargs -P 3 -I '{}' $(1)/bin/python -m pip install --quiet \
		--disable-pip-version-check --no-compile --no-deps --require-hashes -r '{}'
	@$(1)/bin/python -m compileall -qq -j 0 -x 'site-packages/.*/tests?/' $(1)/lib || true
endef

.venv/.requirements: requirements-dev.txt | check-python
	$(call install,.venv,$<)
	@touch $@

.venv/.complete: .venv/.requirements pyproject.toml
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv-s3/.complete: requirements-s3.txt | check-python
	$(call install,.venv-s3,$<)
	@touch $@

.venv-redis/.complete: requirements-redis.txt | check-python
	$(call install,.venv-redis,$<)
	@touch $@

.venv-export/.complete: requirements-export.txt | check-python
	$(call install,.venv-export,$<)
	@touch $@

.venv-mlflow/.complete: requirements-mlflow.txt | check-python
	$(call install,.venv-mlflow,$<)
	@touch $@

.venv-clients/.complete: requirements-clients.txt | check-python
	$(call install,.venv-clients,$<)
	@touch $@

.venv-mlserver/.complete: requirements-mlserver.txt | check-python
	$(call install,.venv-mlserver,$<)
	@touch $@

.venv-lineage/.complete: requirements-lineage.txt | check-python
	$(call install,.venv-lineage,$<)
	@touch $@

.venv-browser/.complete: requirements-browser.txt | check-python
	$(call install,.venv-browser,$<)
	@touch $@

.venv-audit/.complete: requirements-audit.txt | check-python
	$(call install,.venv-audit,$<)
	@touch $@

.venv-helm/.complete: requirements-helm.txt | check-python
	$(call install,.venv-helm,$<)
	@touch $@

.venv-engines/.complete: requirements-engines.txt | check-python
	$(call install,.venv-engines,$<)
	@touch $@

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || { \
		echo "Evergreen needs Python 3.11, 3.12 or 3.13, and '$(PYTHON)' is" \
		"$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo missing):" \
		"name another one with 'make PYTHON=python3.12 ...'" >&2; exit 1; }

COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock"

# The lines of the packages that compute with a model, without their hashes.
COMPUTING = s/^((numpy|scipy|scikit-learn|skops|pandas|pyarrow|onnxruntime)==.*) \\$$/\1/p

BOOSTING = --overrides requirements-boosting-overrides.in

lock: ## compile the requirements files anew (needs uv)
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) -c requirements.txt $(BOOSTING) requirements-boosting.in -o requirements-boosting.txt
	$(COMPILE) -c requirements.txt $(BOOSTING) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) requirements-s3.in -o requirements-s3.txt
	$(COMPILE) requirements-redis.in -o requirements-redis.txt
	$(COMPILE) -c requirements.txt requirements-serve.in -o requirements-serve.txt
	$(COMPILE) -c <(sed -nE '$(COMPUTING)' requirements.txt) requirements-export.in -o requirements-export.txt
	$(COMPILE) requirements-mlflow.in -o requirements-mlflow.txt
	$(COMPILE) requirements-clients.in -o requirements-clients.txt
	$(COMPILE) -c <(sed -nE '$(COMPUTING)' requirements.txt) requirements-mlserver.in -o requirements-mlserver.txt
	$(COMPILE) -c requirements-dev.txt $(BOOSTING) requirements-lineage.in -o requirements-lineage.txt
	$(COMPILE) -c requirements-dev.txt $(BOOSTING) requirements-browser.in -o requirements-browser.txt
	$(COMPILE) -c requirements.txt requirements-kubernetes.in -o requirements-kubernetes.txt
	$(COMPILE) -c requirements-kubernetes.txt requirements-helm.in -o requirements-helm.txt
	$(COMPILE) -c requirements.txt requirements-dask.in -o requirements-dask.txt
	$(COMPILE) -c requirements.txt requirements-spark.in -o requirements-spark.txt
	$(COMPILE) -c requirements-dev.txt $(BOOSTING) requirements-engines.in -o requirements-engines.txt
	$(COMPILE) requirements-audit.in -o requirements-audit.txt
