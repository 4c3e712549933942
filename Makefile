# Two commands matter: `make demo` and `make test`. Each line also works by hand; see README.
VENV ?= .venv
BIN = $(VENV)/bin
PYTHON ?= python3

.PHONY: demo test lab full figures clean
demo: $(BIN)/ready
	$(BIN)/python notebooks/run_all.py --profile demo

test: $(BIN)/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/nbstripout --verify notebooks/*.ipynb
	$(BIN)/python -m pytest

lab: $(BIN)/ready
	$(BIN)/jupyter lab notebooks

full: $(BIN)/ready
	$(BIN)/python notebooks/run_all.py --profile full

figures: $(BIN)/ready
	$(BIN)/python report/make_figures.py

$(BIN)/ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt -e ".[dev]"
	touch $@

clean:
	rm -rf report/executed report/results report/submission report/submission.zip report/report.pdf report/compare.html data/demo checkpoints/*_demo_*
