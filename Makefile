# The few words a person types. `make demo` and `make test` install all they need into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := benchmarks/.cache/environments/.ready

.PHONY: demo test prove bench check format install clean

demo: $(READY)  ## documents to an assistant that answers, on the example, without a key or a GPU
	$(BIN)/groundtune run examples/cable-erp/groundtune.yaml

test: $(READY)  ## format, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	# a thread each: as many test processes as cores are at work already, and OpenMP threads of all of them would wait in a circle
	# tests that share what is costly to make stand together, so each process takes a stretch of them and the last ones from the others;
	# the many commands of the tests are started from bytecode
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest --dist worksteal -m "not slow" \
		-n $$($(BIN)/python -c "import os; print(max(2, min(4, len(os.sched_getaffinity(0)))))")

prove: $(READY)  ## the slow proofs: SIGKILL in every stage of the real pipeline, and the example as a stranger runs it
	OMP_NUM_THREADS=1 $(BIN)/pytest -m slow
	# laws on ten times as many examples
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "hypothesis and not slow" --hypothesis-profile prove

bench: $(READY) $(PEERS)  ## training speed against TRL and LLaMA-Factory, side by side: hours; killed and called again it goes on
	$(BIN)/python benchmarks/engine.py --runs 3 --continue

$(PEERS): $(READY) $(wildcard benchmarks/requirements-*.txt)
	$(BIN)/python benchmarks/engine.py --install
	@touch $(PEERS)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "groundtune needs Python 3.11 or newer; found $$($(PYTHON) --version). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $(READY)

clean:  ## what the examples and tests leave behind, not the virtual environment
	rm -rf examples/*/groundtune-out .pytest_cache .mypy_cache .ruff_cache .hypothesis
