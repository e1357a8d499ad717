# Each target works alone on a machine with Python 3.11, 3.12 or 3.13, pip, make and a package index.
PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12), (3, 13)))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PAPER := 1 2 3 4 5 A B
INSTALLED := .venv/installed

.PHONY: demo test faults lint types gate bench gpu docs install clean

demo: install  ## the paper's Table 2, filled from the miniature
	$(BIN)/bench run --table 2 --mini --paper

test: install  ## every test
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

faults: install  ## the fault suite whole: fifty kills, thousands of damaged files
	KILLS=50 FUZZ=20 $(BIN)/pytest tests/faults tests/fuzz

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache

types: install
	$(BIN)/mypy

gate: install  ## the miniature's numbers, from cold, against the golden ones
	rm -rf .venv/gate
	$(BIN)/bench run $(PAPER:%=--table %) --mini --store .venv/gate/store --out .venv/gate/runs
	$(BIN)/bench check .venv/gate/runs --against results/golden

bench: install  ## how fast, as ratios within one run
	$(BIN)/pytest tests/speed --benchmark-only -s

gpu: install  ## what only a GPU shows: the same rows, and how fast; about ten minutes on an H100
	$(BIN)/pytest tests/gpu -rs -s
	BENCH_SPEED_DEVICE=cuda BENCH_SPEED_DTYPE=bfloat16 BENCH_SPEED_BACKBONES=B16,L14 BENCH_SPEED_IMAGES=20000 \
		$(BIN)/pytest tests/speed/test_parts.py tests/speed/test_end_to_end.py -k "tower or stream" --benchmark-only -s
	BENCH_SPEED_DEVICE=cuda BENCH_SPEED_DTYPE=bfloat16 BENCH_SPEED_BACKBONES=B16 BENCH_SPEED_IMAGES=4000 BENCH_SPEED_PICTURE=640x480 \
		$(BIN)/pytest tests/speed/test_end_to_end.py -k bare_tower --benchmark-only -s
	BENCH_SPEED_DEVICE=cuda BENCH_SPEED_DTYPE=bfloat16 BENCH_SPEED_GENERATOR=2560,32,64 \
		$(BIN)/pytest tests/speed/test_generator.py --benchmark-only -s

docs: install  ## the documentation as a site that is read from its folder, build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

install: $(INSTALLED)

$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; set PYTHON=/path/to/python3.12"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet -e '.[dev]'
	@touch $@

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
