# `make demo` and `make test` install what they need into .venv and run.
PYTHON ?=  # an interpreter of 3.11 or newer, where python3 is older
VENV := .venv
BIN := $(VENV)/bin
# A file's tests share what they compile, so they stay in one process; each process takes up to 4 GB.
PYTEST := $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=2 --dist=loadfile
# uv where it is installed, else plain pip; the versions in constraints.txt either way.
UV := $(shell command -v uv 2>/dev/null)
ifdef UV
  CREATE := $(UV) venv --quiet --allow-existing --python '$(or $(strip $(PYTHON)),>=3.11)' $(VENV)
  INSTALL := VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet -c constraints.txt
else
  FOUND := $(or $(strip $(PYTHON)),python3)
  CREATE := $(FOUND) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("nids_jax needs Python 3.11 or newer, and $(FOUND) is %d.%d: make PYTHON=python3.12 …" % sys.version_info[:2])' && $(FOUND) -m venv $(VENV)
  INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
endif

.PHONY: demo test test-all lint docs bench bench-gpu fuzz release-check clean

demo: $(VENV)/.run
	$(BIN)/python -m experiments.learning_curve --dataset=cicids2018_sample --preset=demo --shots=0,1,2,5 --seeds=3 --output_dir=out/demo/learning_curve
	$(BIN)/python -m experiments.fewshot --dataset=cicids2018_sample --preset=demo --seeds=1 --output_dir=out/demo/few_shot

test: $(VENV)/.test
	$(PYTEST) -m "not slow"

test-all: $(VENV)/.test
	$(PYTEST)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir out/site

bench: $(VENV)/.bench
	$(BIN)/python -m pytest -q tests/nn/test_against_torch.py
	$(BIN)/python -m benchmarks.throughput

# On a GPU, with JAX's part for it (docs/how-to/gpu.md); goes on where it was stopped.
bench-gpu: $(VENV)/.bench
	$(BIN)/python -m benchmarks.accelerator --output_dir=out/gpu

# So many inputs to each reader; `make fuzz INPUTS=1000` is a try.
INPUTS ?= 200000
fuzz: $(VENV)/.fuzz
	set -e; for reader in csv arff parquet compressed capture bundle checkpoint flags; do $(BIN)/python -m tests.fuzz $$reader --inputs=$(INPUTS); done

# Builds the wheel and the sdist, and uses them outside the checkout with each Python of 3.11 to 3.13 that is there.
release-check: $(VENV)/.release
	scripts/release_check.sh $(BIN)/python

# Each stamp adds its extra to the one before it.
$(VENV)/.run: pyproject.toml constraints.txt
	$(CREATE)
	$(INSTALL) -e .
	touch $@

$(VENV)/.test: $(VENV)/.run
	$(INSTALL) -e ".[test]"
	touch $@

# PyTorch, to be timed beside.
$(VENV)/.bench: $(VENV)/.test
	$(INSTALL) -e ".[bench]"
	touch $@

$(VENV)/.fuzz: $(VENV)/.test
	$(INSTALL) -e ".[fuzz]"
	touch $@

$(VENV)/.release: $(VENV)/.run
	$(INSTALL) -e ".[release]"
	touch $@

$(VENV)/.dev: $(VENV)/.test
	$(INSTALL) -e ".[dev]"
	touch $@

$(VENV)/.docs: $(VENV)/.run
	$(INSTALL) -e ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) out build dist *.egg-info
