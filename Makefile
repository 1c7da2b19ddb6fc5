# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-quick lint format clean

help:  ## Say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(READY)  ## Make .venv with every extra (quick the second time)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup  ## Evolve a quadruped for some minutes, then draw its curve and its life into demo/
	@mkdir -p demo
	@if test -f demo/run/recipe.toml; \
	then $(BIN)/neuroplastic evolve --resume demo/run; \
	else $(BIN)/neuroplastic evolve quadruped-quick --run demo/run; fi
	$(BIN)/neuroplastic plot demo/run --output demo/curve.png
	$(BIN)/neuroplastic evaluate demo/run --episodes 5
	$(BIN)/neuroplastic replay demo/run --video demo/life.mp4
	$(BIN)/neuroplastic replay demo/run --damage front_right:shorten --video demo/life-damaged.mp4
	@echo "look at demo/life.mp4, demo/life-damaged.mp4 and demo/curve.png"

test: setup  ## Run every test
	$(BIN)/pytest -n 2 --dist loadgroup

test-quick: setup  ## Run the tests that take seconds
	$(BIN)/pytest -n 2 --dist loadgroup -m "not slow"

lint: setup  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: setup  ## Put the code into the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove what make made
	rm -rf .venv demo .pytest_cache .ruff_cache .hypothesis
