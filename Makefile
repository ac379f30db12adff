# make demo      train, convert, run on Lava, recall and report, in minutes
# make test      ruff, mypy and the tests that end within minutes
# make test-all  the same with the slow tests
# make test-sanitised  the engine's tests on kernels built with AddressSanitizer and UndefinedBehaviorSanitizer
# make test-lava-dl  certify .net files by lava-dl, in an environment of its own (downloads 2.5 GB)
# make hands     fetch drawings of three other hands and keywords for emoji-captions, by npm (6 MB)
# make fixtures  run the other frameworks anew, an environment each, for tests/conformance (downloads 12 GB)
#
# Each makes .venv on first use and installs again when pyproject.toml, constraints.txt or a kernel changes.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
JOBS ?= 2
# Every test worker and every Lava process is a process of its own: one thread each, or they fight for cores.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

.PHONY: help demo hands test test-all test-3.11 test-sanitised test-lava-dl fixtures lint format clean

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

demo: .venv/installed
	$(BIN)/snn-deploy demo

hands: .venv/installed
	@$(BIN)/python -c 'from snn_deploy.benchmarks.tasks.emoji_captions.hands import main; raise SystemExit(main())'

test: lint
	$(PYTEST) -m "not slow"

test-all: lint
	$(PYTEST)

# The second lane: Lava cannot be imported here, so its backend uses the interpreter of .venv.
test-3.11: BIN := .venv-3.11/bin
test-3.11: .venv-3.11/installed .venv/installed
	SNN_DEPLOY_LAVA_PYTHON=$(CURDIR)/.venv/bin/python $(PYTEST) -m "not slow"

test-sanitised: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/engine/kernels/sanitised.py

# lava-dl pins torch < 2.4 and pytest < 8, and its own imports warn.
test-lava-dl: .venv-lava-dl/installed
	OMP_NUM_THREADS=1 .venv-lava-dl/bin/python -m pytest -W default -m lava_dl tests/lavadl

# SpikingJelly asks for Python 3.11 at least.
fixtures: .venv/installed
	python3.11 -m tests.conformance.frameworks
	$(BIN)/python -m tests.conformance.make_fixtures support

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-3.11 .venv-lava-dl .venv-fixtures build dist demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find snn_deploy tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/installed: VERSION := 3.10
.venv-3.11/installed: VERSION := 3.11
.venv-lava-dl/installed: VERSION := 3.10

EXTRA := dev
CONSTRAINTS := constraints.txt
.venv-lava-dl/installed: EXTRA := lava-dl
.venv-lava-dl/installed: CONSTRAINTS := constraints-lava-dl.txt

# A pyenv shim may be there without its interpreter, and a system Python without ensurepip: so they are tried.
KERNELS := $(wildcard snn_deploy/engine/kernels/*.c snn_deploy/engine/kernels/*.h snn_deploy/engine/kernels/*.inc)

.venv/installed .venv-3.11/installed .venv-lava-dl/installed: pyproject.toml constraints.txt constraints-lava-dl.txt setup.py $(KERNELS)
	@if $(@D)/bin/python -m pip --version >/dev/null 2>&1; then :; \
	elif python$(VERSION) -c 'import ensurepip, venv' 2>/dev/null; then python$(VERSION) -m venv --clear $(@D); \
	elif command -v uv >/dev/null; then rm -rf $(@D); uv venv --seed --python $(VERSION) $(@D); \
	else echo "Python $(VERSION) is needed: install python$(VERSION) with its venv module, or uv, which brings" \
	  "it, and run make again. (Lava 0.10.0 accepts no Python but 3.10.)" >&2; exit 1; fi
	@echo "Installing into $(@D): this takes some minutes the first time"
	$(@D)/bin/python -m pip install --disable-pip-version-check -qq -c $(CONSTRAINTS) -e '.[$(EXTRA)]'
	@touch $@
