# Two commands matter: `make demo` and `make test`. Each line also works by hand; see README.
VENV ?= .venv
BIN = $(VENV)/bin
PYTHON ?= python3

.PHONY: demo test lint test-lowest lab full bench bench-long soak figures weights clean
demo: $(BIN)/ready
	$(BIN)/python -m sr_utils notebooks demo

test: $(BIN)/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/nbstripout --keep-id --verify notebooks/*.ipynb
	$(BIN)/lint-imports && $(BIN)/mypy
	$(BIN)/python -m pytest

lint: $(BIN)/ready
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .
	$(BIN)/nbstripout --keep-id notebooks/*.ipynb
	$(BIN)/lint-imports && $(BIN)/mypy

test-lowest:
	PIP_CONSTRAINT=tests/lowest.txt $(MAKE) .venv-lowest/bin/ready VENV=.venv-lowest
	.venv-lowest/bin/python -m pytest

lab: $(BIN)/ready
	$(BIN)/jupyter lab --preferred-dir=notebooks

full: $(BIN)/ready
	$(BIN)/python -m sr_utils prepare full
	$(BIN)/python -m sr_utils train full
	$(BIN)/python -m sr_utils notebooks full

bench: $(BIN)/ready
	$(BIN)/python bench/bench_data.py
	$(BIN)/python bench/bench_training.py --rounds 3
	$(BIN)/python bench/bench_inference.py --rounds 2

bench-long: $(BIN)/ready
	$(BIN)/python bench/bench_long.py
	$(BIN)/python bench/bench_time_to_psnr.py --curves
	$(BIN)/python bench/bench_time_to_psnr.py

soak: $(BIN)/ready
	SR_SOAK=1 $(BIN)/python -m pytest -k "kill or memory" --timeout 3000

figures: $(BIN)/ready
	$(BIN)/python report/make_figures.py

weights: $(BIN)/ready
	$(BIN)/python checkpoints/make_weights.py $(NAME)

$(BIN)/ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt -e ".[dev]"
	touch $@

clean:
	rm -rf report/executed report/results report/submission report/submission*.zip report/.submission.lock report/report.pdf report/compare.html data/demo checkpoints/*_demo_* checkpoints/demo checkpoints/demo_*
