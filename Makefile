# Nightdesk's commands; `make` alone lists them. Nothing but Python 3.11+, git and make is needed on the machine.
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# The first python that works and is new enough; `make PYTHON=/path/to/python …` decides otherwise.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$python"; break; }; done)
# Lambda's python, for `make build` only: PATH, or where pyenv keeps its versions.
LAMBDA_PATH = $(subst $() ,:,$(wildcard $(HOME)/.pyenv/versions/3.13.*/bin)):$(PATH)
# uv does not read pip's settings.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
export SAM_CLI_TELEMETRY := 0
UV := .venv-uv/bin/uv

.PHONY: help setup run demo test check prove bench build openapi key clean python git environments

help: ## List the commands.
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

# ------------------------------------------------------------------------------------------------- environments

python:
	@test -n "$(PYTHON)" || { echo "Nightdesk needs Python 3.11 or later, and none was found. Next: install one, or name it: make PYTHON=/path/to/python3.13 run" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "$(PYTHON) is not Python 3.11 or later. Next: name another one: make PYTHON=/path/to/python3.13 run" >&2; exit 1; }

git:
	@git --version >/dev/null 2>&1 || { echo "git was not found. Next: install git (Debian: apt-get install git) and run again." >&2; exit 1; }

.venv-uv/.done: locks/uv.txt | python
	@echo "Installing uv …"
	@rm -rf .venv-uv
	@"$(PYTHON)" -m venv .venv-uv >/dev/null 2>&1 || { echo "$(PYTHON) cannot make virtual environments. Next: install its venv module (Debian: apt-get install python3-venv) and run again." >&2; rm -rf .venv-uv; exit 1; }
	@.venv-uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.txt
	@touch $@

# install,folder,locks: the folder is made anew only if its python does not work (any more).
define install
	@echo "Installing $(2) …"
	@$(1)/bin/python -c '' 2>/dev/null || $(UV) venv --quiet --clear --python "$(PYTHON)" $(1)
	@$(UV) pip sync --quiet --python $(1)/bin/python --require-hashes $(2)
	@touch $(1)/.done
endef

.venv/.done: locks/dev.txt locks/uv.txt | .venv-uv/.done
	$(call install,.venv,locks/dev.txt locks/uv.txt)
.venv-run/.done: locks/local.txt | .venv-uv/.done
	$(call install,.venv-run,locks/local.txt)
.venv-cloud/.done: locks/cloud.txt | .venv-uv/.done
	$(call install,.venv-cloud,locks/cloud.txt)
.venv-sam/.done: locks/sam.txt | .venv-uv/.done
	$(call install,.venv-sam,locks/sam.txt)

setup: .venv/.done ## Install the tools for working on the code into .venv.

# ---------------------------------------------------------------------------------------------------------- use

run: git .venv-run/.done .venv-cloud/.done ## Run everything on this machine, show one issue being worked on, stay up (PORT=8420).
	@PYTHONPATH=layers/nightdesk .venv-run/bin/python -m local run $(if $(PORT),--port $(PORT))

demo: git .venv-run/.done .venv-cloud/.done ## The same, then end. REPO=<git repository> ISSUE=<markdown file> use your own.
	@PYTHONPATH=layers/nightdesk .venv-run/bin/python -m local demo $(if $(PORT),--port $(PORT)) $(if $(REPO),--repo "$(REPO)") $(if $(ISSUE),--issue "$(ISSUE)")

key: .venv-run/.done ## Make an API key (WORKSPACE= AGENTS= OPERATIONS= RATE=), LIST=1, ROTATE=<id> (GRACE=) or REVOKE=<id>; STACK=<name> on AWS.
	@PYTHONPATH=layers/nightdesk .venv-run/bin/python -m local.key $(if $(STACK),--stack "$(STACK)") $(if $(WORKSPACE),--workspace "$(WORKSPACE)") \
	  $(if $(REVOKE),revoke "$(REVOKE)",$(if $(ROTATE),rotate "$(ROTATE)" $(if $(GRACE),--grace "$(GRACE)"),$(if $(LIST),list,create $(if $(RATE),--rate "$(RATE)") $(if $(AGENTS),--agents "$(AGENTS)") $(if $(OPERATIONS),--operations "$(OPERATIONS)"))))

openapi: .venv/.done ## Make nightdesk/api/openapi.json and docs.html of the API's routes and types.
	@PYTHONPATH=layers/nightdesk .venv/bin/python -m local.openapi

build: .venv-sam/.done .venv-uv/.done ## Build for AWS (sam build); then `sam deploy --guided`.
	@PATH="$(LAMBDA_PATH)" UV="$(CURDIR)/$(UV)" .venv-sam/bin/sam build

# --------------------------------------------------------------------------------------------------------- proof

check: setup ## Lint, formatting, types, import rules.
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy .
	PYTHONPATH=layers/nightdesk .venv/bin/lint-imports

environments: .venv/.done .venv-run/.done .venv-cloud/.done .venv-sam/.done

test: ## Everything that CI checks; installs what it needs.
	@$(MAKE) -j4 environments
	@$(MAKE) check
	PATH="$(LAMBDA_PATH)" .venv/bin/python -m pytest -n 2 --dist loadgroup

prove: environments ## The long proofs and kill campaigns, then every test ROUNDS=3 times with fresh random seeds.
	PATH="$(LAMBDA_PATH)" .venv/bin/python -m pytest -m prove || [ $$? -eq 5 ]
	PYTHONPATH=.:layers/nightdesk .venv/bin/python -m bench.kill --campaign --kills $(or $(KILLS),1000)
	PYTHONPATH=.:layers/nightdesk .venv/bin/python -m bench.kill --defaults --kills 60
	@for round in $$(seq $(or $(ROUNDS),3)); do \
	  seed=$$(.venv/bin/python -c 'import secrets; print(secrets.randbelow(2**32))'); \
	  echo "round $$round: --hypothesis-seed=$$seed"; \
	  .venv/bin/python -m pytest -q -m "not ministack and not prove" --ignore=tests/template --hypothesis-seed=$$seed || exit 1; \
	done

bench: .venv/.done .venv-cloud/.done ## The figures: cold start, locating, requests and dollars per task, reads of large tables.
	PATH="$(LAMBDA_PATH)" PYTHONPATH=.:layers/nightdesk .venv/bin/python bench/cold_start/cold_start.py
	PYTHONPATH=.:layers/nightdesk .venv/bin/python -m bench.cold_start.a2a
	PYTHONPATH=.:layers/nightdesk .venv/bin/python -m bench.locate.timing
	PYTHONPATH=.:layers/nightdesk .venv/bin/python -m bench.requests
	PYTHONPATH=.:layers/nightdesk .venv/bin/python -m bench.tables
	PYTHONPATH=.:layers/nightdesk .venv/bin/python -m bench.polling
	PYTHONPATH=.:layers/nightdesk .venv/bin/python -m bench.feed

clean: ## Remove what was installed or made here.
	rm -rf .venv .venv-uv .venv-run .venv-cloud .venv-sam .local .aws-sam .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
