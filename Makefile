# Two commands matter: `make run` shows Tamis at work, `make test` runs every test.
# Both set up what is missing first; a machine with a Rust toolchain, make and a package manager
# is enough. `make setup` does nothing, and needs no rights, where nothing is missing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# Arguments for `tamis demo`, such as `make run DEMO='--policy webllet'`.
DEMO ?=

.PHONY: help setup run test lint fmt measure count clean

help: ## Say what can be made.
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: .*## /\t/' | expand -t 10

setup: ## Install what the build, the tour and the tests need, if it is missing.
	@scripts/setup --testing

run: ## Build, start a backend of invented people behind the gateway, show a tour, stay up.
	@scripts/setup
	$(CARGO) build --release --locked
	target/release/tamis demo $(DEMO)

test: setup ## Run every test.
	$(CARGO) test --locked

lint: setup ## Format, lints and documentation, with warnings denied.
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps

fmt: ## Format the code.
	$(CARGO) fmt --all

measure: setup ## Print the table of measurements and put it into docs/PERFORMANCE.md.
	@scripts/measure

count: ## Count the rewriter's instructions and compare them with those recorded.
	@scripts/setup --counting
	@scripts/instructions

clean: ## Remove what was built and what the demo wrote.
	$(CARGO) clean
	rm -rf .demo
