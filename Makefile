# Needs make and Python 3.11 or newer; everything else is installed into .venv (another Python: make PYTHON=python3.13).
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
CHECKOV := $(VENV)/checkov/bin/checkov
# An export of the OSV database for PyPI, fetched by hand: nothing here needs the network.
ADVISORIES ?= all.zip

.DEFAULT_GOAL := help
# Compiled sources are kept, whatever the shell says: compiling the tests anew takes as long as a fifth of the fast ones.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help run stop demo logs page page-watch screenshots pracbill-conformance redrive test test-fast coverage soak mutants check format bench package costs audit install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: install ## start the service on this machine, connect and sync (SYNC=0: only start; FRESH=1: forget the last state)
	@$(RUN) -m infra.local run

page: install ## build the page that make run shows and the service serves
	@$(RUN) -m infra.deploy.page

page-watch: install ## build the page anew at each change of web/src; reload the browser to see it
	@$(RUN) -m infra.deploy.page --watch

screenshots: install ## take the pictures of the page in docs/images anew
	@$(RUN) -m infra.local.screenshots

stop: install ## end what make run started; its state is kept
	@$(RUN) -m infra.local stop

demo: install ## the same from nothing, then check the result from outside and leave no trace
	@$(RUN) -m infra.local demo

logs: install ## what the functions behind the local API logged
	@$(RUN) -m infra.local logs

redrive: install ## send the webhook events among the dead letters again (STAGE=prod for one on AWS)
	@$(RUN) -m infra.local.redrive $(if $(filter command line environment,$(origin STAGE)),--stage $(STAGE))

# What starts a process or listens on a port is marked `server` and left out; --fast holds the rest to it.
FAST := tests/domain tests/api tests/http_client tests/mailchimp tests/pracbill tests/store tests/handlers tests/sync tests/mutants tests/test_words.py tests/test_iteration.py tests/test_distribution.py
SHUFFLE := $(if $(SEED),--shuffle $(SEED) --hypothesis-seed=$(SEED))
test-fast: install ## what needs neither a process nor a port (SEED=7: in a random order, the same for the same number)
	$(RUN) -m pytest -q -n 2 --fast $(FAST) $(SHUFFLE)

# Three workers for two processors: those that have the stacks or the page wait for much.
test: page ## all tests (SEED= as well)
	$(RUN) -m pytest -q -n 3 $(SHUFFLE)

COVERAGE := $(RUN) -m coverage
coverage: $(if $(ALL),page,install) ## lines and branches that the fast tests reach, held to 91 % (ALL=1: that all tests reach, held to 98 %)
	@rm -rf build/coverage && mkdir -p build/coverage
	$(COVERAGE) run -m pytest -q -n $(if $(ALL),3,2 --fast $(FAST))
	@$(COVERAGE) combine --quiet
	$(COVERAGE) report --fail-under $(if $(ALL),98,91)

soak: install ## random histories of the whole service, by seed (SEED=, SOAK_HISTORIES=, SOAK_SECONDS=; python -m tests.soak has more)
	@$(RUN) -m tests.soak

mutants: install ## faults put in on purpose, and which the fast tests miss (MODULE=, AGAIN=1, SAMPLE=; see docs/testing.md)
	@$(RUN) -m tests.mutants

check: install $(CHECKOV) ## formatting, lint, types, the template
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy --strict chalicelib app.py infra tests
	$(VENV)/bin/lint-imports
	$(RUN) -m infra.deploy.page --check
	$(RUN) -m infra.deploy.package --out build/check --sources-only
	$(VENV)/bin/cfn-lint build/check/sam.yaml
	$(CHECKOV) -f build/check/sam.yaml --config-file infra/deploy/checkov.yaml
	@if [ -f "$(ADVISORIES)" ]; then $(RUN) -m infra.deploy.audit $(ADVISORIES); else echo "No $(ADVISORIES) here: known weaknesses were not looked up (see make audit)."; fi

format: install ## bring the sources into form
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .
	$(RUN) -m infra.deploy.page --format

bench: install ## measure the local stack
	@$(RUN) -m infra.bench

STAGE ?= dev
package: page ## template and zip for AWS, and the page for PracBill, into build/ (STAGE=prod for another stage)
	$(RUN) -m infra.deploy.package --out build --stage $(STAGE)

# What is set on make's command line is in the environment of what it starts, whatever characters it has.
pracbill-conformance: install ## hold a PracBill server against docs/pracbill-api.yaml (URL=... TOKEN=... DEPARTMENT=...)
	@$(RUN) -m infra.conformance

costs: install ## what the service costs a month on AWS
	@$(RUN) -m infra.bench.costs

audit: install ## known weaknesses of our packages (ADVISORIES=all.zip, see python -m infra.deploy.audit --help)
	@$(RUN) -m infra.deploy.audit $(ADVISORIES)

install: $(INSTALLED)

$(INSTALLED): requirements.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.13 ..." if sys.version_info < (3, 11) else 0)'
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@echo "Installing what requirements-dev.txt names into $(VENV)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Apart from the rest: it asks for other versions of boto3 and more than we deploy with.
$(CHECKOV): requirements-checkov.txt $(INSTALLED)
	@echo "Installing checkov into $(VENV)/checkov"
	@$(RUN) -m venv $(VENV)/checkov
	@$(VENV)/checkov/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-checkov.txt
	@touch $@

clean: ## remove what was built; .local and .venv stay
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis
