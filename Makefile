# Almanac. `make demo` shows the whole product on a fresh machine; `make help` lists the rest.

PYTHON      ?= python3
VENV        ?= .venv
TORCH_INDEX ?=
SEED        ?=
RECIPE      ?=
KEEP        ?=
FRESH       ?=
CONFIG      ?=
REVIEW      ?=
TEST_LIMIT_S ?= 1200
TEST_PROCESSES ?= 2

BIN    := $(VENV)/bin
PY     := $(BIN)/python
PIP    := $(PY) -m pip --disable-pip-version-check
DIGEST := $(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
RUN_STAMP  := $(VENV)/.almanac-run-$(DIGEST)
TEST_STAMP := $(VENV)/.almanac-tests-$(DIGEST)
# What takes longest comes first, so that the two processes end at about the same time.
TESTS  := $(wildcard tests/acceptance tests/integration tests/web tests/gpu tests/unit)

# One thread a process: two OpenMP threads beside another busy process are many times slower.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM = false
export LANGSMITH_TRACING = false
export HF_HUB_DISABLE_TELEMETRY = 1

.DEFAULT_GOAL := help
.PHONY: help install install-run demo run test long lint style format bench bench-doc clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo "  make bench-NAME   one benchmark (QUICK=1 for a small honest version)"

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "make: $(PYTHON) is not Python 3.11 or newer; name one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch first, alone and pinned: with TORCH_INDEX it comes from there, and nothing else does.
$(RUN_STAMP): | $(PY)
	@echo "installing what the demo and the service need into $(VENV) (two to four minutes the first time)"
	@$(PIP) install --quiet -c constraints.txt setuptools
	@$(PY) -c 'import torch, sys; sys.exit(torch.__version__.split("+")[0] != "2.13.0")' 2>/dev/null \
	  || $(PIP) install --quiet --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	$(PIP) install --quiet -c constraints.txt --no-build-isolation -e '.[train,eval,demo]'
	@rm -f $(VENV)/.almanac-run-*; touch $@

$(TEST_STAMP): $(RUN_STAMP)
	$(PIP) install --quiet -c constraints.txt --no-build-isolation -e '.[train,eval,demo,postgres,tests]'
	@rm -f $(VENV)/.almanac-tests-*; touch $@

install: $(TEST_STAMP)  ## everything, tests included, into .venv (TORCH_INDEX=URL for PyTorch's CPU index)

install-run: $(RUN_STAMP)  ## what the demo and the service need

demo: install-run  ## the whole loop on real facts, offline (SEED= KEEP=1 RECIPE= FRESH=1 REVIEW=browser)
	@$(BIN)/almanac demo $(if $(SEED),--seed $(SEED)) $(if $(RECIPE),--recipe $(RECIPE)) \
	  $(if $(KEEP),--keep) $(if $(FRESH),--fresh) $(if $(REVIEW),--review $(REVIEW))

run: install-run  ## the service, against the real Wikidata (CONFIG=almanac.toml)
	@$(BIN)/almanac $(if $(CONFIG),--config $(CONFIG)) up

lint: style  ## style, types and the import contracts
	$(BIN)/basedpyright

style: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

STARTED := $(shell date +%s)

# Two processes, each file whole in one of them; types are checked meanwhile.
test: style  ## everything that must hold: lint, unit, integration, acceptance
	@types=$$(mktemp); \
	$(BIN)/basedpyright >$$types 2>&1 & checked=$$!; \
	limit=$$(command -v timeout >/dev/null && echo "timeout --signal=INT --kill-after=30 $(TEST_LIMIT_S)"); \
	$$limit $(PY) -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder \
	  --durations=20 $(TESTS); status=$$?; \
	wait $$checked || status=1; tail -n 40 $$types; rm -f $$types; \
	spent=$$(( $$(date +%s) - $(STARTED) )); \
	if [ $$spent -gt $(TEST_LIMIT_S) ]; then \
	  echo "make test: $$spent s, more than the $(TEST_LIMIT_S) s it may take" >&2; exit 1; fi; \
	exit $$status

long: install  ## tests too long for `make test`: the service killed, stopped, out of room; dear benches in small
	$(PY) -m pytest -m long $(TESTS) tests/chaos

format: install  ## put the code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install  ## every benchmark; fails if one bar does not hold
	$(PY) -m daemon.bench all

bench-doc: install  ## docs/benchmarks.md from build/bench/*.json
	$(PY) -m daemon.bench doc

bench-%: install
	$(PY) -m daemon.bench $*

clean:  ## build output and the demo's folder, not the environment
	rm -rf build var .pytest_cache .ruff_cache .hypothesis
