PYTHON ?= python3

# The checkers need the network for nothing: pyright and its node come as wheels.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# The tests start hundreds of processes: the checkout is compiled once, not by each of them.
unexport PYTHONDONTWRITEBYTECODE

FAST := -m 'not slow' --numprocesses=3 --dist=loadfile
# Others cover what these do, and measuring doubles the time that they take.
UNMEASURED := $(addprefix tests/,explorer faults leaks mutation readme repository servers simulation typing \
	caching/test_fleet.py caching/test_laws.py integrations/test_consumer.py \
	shell/test_interrupts.py shell/test_processes.py shell/test_seed_behaviour.py shell/test_stateful.py \
	testing/test_strategies.py)

.PHONY: help run test mypy pyright readme faults bench bench-peers simulate explore fuzz interrupts mutants oidc test-lean test-all release clean environments

## For every change:

help:  ## list the targets
	@awk -F ':.*## ' '/^## / {print "\n" substr($$0, 4)} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

run: .venv/run/ready  ## show the main job at work, with the runtime dependencies alone
	.venv/run/bin/python -m client_credentials demo

test: .venv/test/ready  ## lint, check the types, run the tests but for the slow ones, ask for full coverage
	@echo 'On two cores this takes about four minutes.'
	.venv/test/bin/ruff check
	.venv/test/bin/ruff format --check
	$(MAKE) --no-print-directory --jobs=2 --output-sync mypy pyright
	.venv/test/bin/coverage erase
	.venv/test/bin/python -m pytest $(FAST) $(UNMEASURED)
	.venv/test/bin/coverage run -m pytest $(FAST) $(UNMEASURED:%=--ignore=%)
	.venv/test/bin/coverage combine --quiet
	.venv/test/bin/coverage report

mypy: .venv/test/ready
	.venv/test/bin/mypy

pyright: .venv/test/ready
	.venv/test/bin/pyright --pythonpath .venv/test/bin/python

faults: .venv/test/ready  ## list each known fault and rule with the tests that name it
	.venv/test/bin/python -m tests.coverage_of_faults

readme: .venv/test/ready  ## write the generated parts of the README and of other pages
	.venv/test/bin/python -m tests.readme.pages

clean:  ## remove what make has written
	rm -rf .venv .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist

## What it costs, and how fleets fare:

bench: .venv/test/ready  ## print the promised figures, each beside its limit
	.venv/test/bin/python -W ignore -m tests.bench.figures 2>/dev/null
	.venv/test/bin/python -m tests.bench.answers

bench-peers: .venv/bench/ready  ## compare with other libraries; writes tests/bench/peers' table, plot and drills
	.venv/bench/bin/python -m tests.bench.peers
	.venv/bench/bin/python -m tests.bench.peers.drills

simulate: .venv/test/ready  ## print how fleets of 1 to 100,000 hosts fare; SEED=N replays one
	.venv/test/bin/python -m tests.simulation $(if $(SEED),--seed $(SEED))

## Before a release:

test-lean: .venv/test/ready  ## after `make test`: its core again with the lowest dependencies, and on the other Pythons
	.venv/test/bin/python -m tests.repository.everywhere lean

test-all: .venv/test/ready  ## run the tests on every Python found, with the newest and the lowest dependencies
	.venv/test/bin/python -m tests.repository.everywhere

explore: .venv/test/ready  ## walk the orders of events in small worlds, 5,000 states of each at the most, and hold each to the laws
	.venv/test/bin/python -m tests.explorer

fuzz: .venv/test/ready  ## read thousands of ruined answers and cache entries; says how many, takes half an hour
	HYPOTHESIS_PROFILE=deep .venv/test/bin/python -m pytest --hypothesis-show-statistics \
		-k 'Total or Spoiled or AnythingElse' tests/core

interrupts: .venv/test/ready  ## interrupt callers 20,000 times by real signals; prints hangs and lost tokens, both 0
	.venv/test/bin/python -m tests.shell.interrupts 20000

mutants: .venv/test/ready  ## break the package in thousands of ways, list those that no test notices; ROOM=http SAMPLE=300 SEED=1
	.venv/test/bin/python -m tests.mutation $(if $(ROOM),--room $(ROOM)) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

oidc: .venv/test/ready  ## ask a real identity server, oidc-provider on Node; needs npm
	.venv/test/bin/python -m pytest tests/oidc/check_oidc.py

release: .venv/test/ready  ## build wheel and sdist twice, check them, test the sdist against the wheel
	.venv/test/bin/python -m tests.repository.release

environments:  ## make the environments of `make test-lean` ahead of it
	$(PYTHON) tests/repository/everywhere.py prepare

.venv/run/ready: package := .
.venv/test/ready: package := .[dev]
.venv/bench/ready: package := .
.venv/bench/ready: peers := --requirement tests/bench/peers/requirements.txt
.venv/bench/ready: tests/bench/peers/requirements.txt
.venv/%/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	$(PYTHON) -m venv --clear .venv/$*
	.venv/$*/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '$(package)' $(peers)
	touch $@
