# Everything a newcomer or CI needs. Each target makes .venv ready by itself (tools/bootstrap.sh): nothing is installed by hand.
# Options go in ARGS: make talk ARGS="--user maya", make test ARGS="-k recall". Another Python: make PYTHON=/path/to/python3.12 test

ifeq ($(OS),Windows_NT)
$(error Echoic does not run on Windows itself: run it inside WSL 2, or with Docker (README, Platforms))
endif

.DEFAULT_GOAL := help
.PHONY: help talk dev test test-rooms test-graph test-browser test-livekits test-clients test-package test-all lint bench doctor docs lock clean ready-local ready-dev
export PYTHON

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile
	@echo 'Options for a command go in ARGS: make talk ARGS="--user maya"'

talk: ready-local ## Talk to the agent in this terminal; also reads a pipe, one line a turn
	@.venv/bin/echoic talk $(ARGS)

dev: ready-local ## Take calls on this machine, and print how to join; Ctrl-C stops everything
	@.venv/bin/echoic dev $(ARGS)

doctor: ready-local ## Say for each part what is in use and whether it answers
	@.venv/bin/echoic doctor $(ARGS)

test: ready-dev ## Run every test that needs no Go, Java or browser (13 to 27 minutes on two cores)
	@.venv/bin/python -m pytest -n 2 --dist loadfile $(ARGS)

test-rooms: ready-dev ## Place real calls in real rooms: needs a livekit-server or Go
	@.venv/bin/python -m pytest tests/rooms $(ARGS)

test-graph: ready-dev ## Test the graph on a real Neo4j too: needs Java 17 and Maven
	@.venv/bin/python -m pytest tests/graph $(ARGS)

test-browser: ready-dev ## Join a call and correct memories with a real browser: needs a Chromium, and a livekit-server or Go
	@.venv/bin/python -m pytest tests/browser tests/page $(ARGS)

test-livekits: ready-dev ## Try the public API on five versions of livekit-agents; ARGS=--newest takes the newest two
	@.venv/bin/python -m tests.livekits.run $(ARGS)

test-clients: ready-dev ## Try other people's clients, each in an environment of its own; ARGS=pipecat takes one, ARGS=--write puts the counts into docs/clients.md
	@.venv/bin/python -m tests.clients.run $(ARGS)

test-package: ready-dev ## Install the wheel as a user does; needs a package index
	@.venv/bin/python -m pytest tests/package $(ARGS)

test-all: test test-package test-rooms test-graph test-browser ## Run everything: the tests, the wheel, real calls, Neo4j, a browser, a short benchmark
	@.venv/bin/python -m evals.latency --quick

lint: ready-dev ## Check style and types
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

bench: ready-dev ## Measure the time memory adds to a reply; ARGS="--json evals/results/latency.json" keeps it
	@.venv/bin/python -m evals.latency $(ARGS)

docs: ready-dev ## Write settings, tree, figures and llms.txt into the docs, and build the site into build/site
	@.venv/bin/python -m tools.settings_docs
	@.venv/bin/python -m tools.tree
	@.venv/bin/python -m evals.report
	@.venv/bin/python -m tools.docs_figures
	@.venv/bin/python -m tools.docs_index
	@.venv/bin/python -m tools.docs_site

lock: ## Resolve the pins of pyproject.toml into locks/; ARGS=--upgrade takes newer ones
	@sh tools/bootstrap.sh lock $(ARGS) </dev/null

clean: ## Remove .venv, .tools and caches; what the agent remembers stays
	@rm -rf .venv .tools build dist .pytest_cache .mypy_cache .ruff_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

ready-local:
	@sh tools/bootstrap.sh local </dev/null

ready-dev:
	@sh tools/bootstrap.sh dev </dev/null
