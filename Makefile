# Two commands matter: `make demo` and `make test`. Each line also works by hand; see README.
VENV ?= .venv
BIN = $(VENV)/bin
PYTHON ?= python3

.PHONY: demo test lab full bench bench-long soak figures clean
demo: $(BIN)/ready
	$(BIN)/python notebooks/run_all.py --profile demo

test: $(BIN)/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/nbstripout --keep-id --verify notebooks/*.ipynb
	$(BIN)/python -m pytest

lab: $(BIN)/ready
	$(BIN)/jupyter lab notebooks

full: $(BIN)/ready
	$(BIN)/python notebooks/run_all.py --profile full

bench: $(BIN)/ready
	$(BIN)/python bench/bench_data.py

bench-long: $(BIN)/ready
	$(BIN)/python bench/bench_long.py

soak: $(BIN)/ready
	SR_SOAK=1 $(BIN)/python -m pytest -k kill --timeout 3000

figures: $(BIN)/ready
	$(BIN)/python report/make_figures.py

$(BIN)/ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt -e ".[dev]"
	touch $@

clean:
	rm -rf report/executed report/results report/submission report/submission.zip report/report.pdf report/compare.html data/demo checkpoints/*_demo_*
