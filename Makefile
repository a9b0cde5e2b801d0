# make run · make test need Python 3.11 or newer, gcc and make; everything else they fetch themselves into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TAG := $(shell $(PYTHON) -c 'import sys; v = sys.version_info; print("py311" if v < (3, 12) else "py313")')
STAMP := $(VENV)/.installed-$(TAG)
DATA ?= ../shared/data

.DEFAULT_GOAL := help
.PHONY: help setup run test lint types unit bench benchmarks model train-setup baselines prey-value report figures lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) ## make the environment (.venv) from the hash-locked requirements

$(STAMP): requirements/dev-$(TAG).txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "catflap needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --require-hashes --only-binary :all: -r requirements/dev-$(TAG).txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## a simulated night in front of the flap; SCENE=… SPEED=…
	$(BIN)/catflap demo $(SCENE) $(if $(SPEED),--speed $(SPEED))

test: lint types unit ## lint, types, tests

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

unit: setup
	CATFLAP_DATA="$${CATFLAP_DATA:-$(DATA)}" $(BIN)/pytest -n 2

bench: setup ## one JSON line per figure
	@$(BIN)/python tools/bench.py

benchmarks: setup ## the same, into docs/benchmarks.md
	$(BIN)/python tools/bench.py > .bench.jsonl
	$(BIN)/python tools/bench_page.py < .bench.jsonl > docs/benchmarks.md
	@rm .bench.jsonl

TRAIN := .venv-train

train-setup: $(TRAIN)/.installed ## make the trainer's environment (.venv-train; Python 3.11 only, 2 to 6 GB)

$(TRAIN)/.installed: requirements/train-py311.txt requirements/train-cuda-py311.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "the converter needs Python 3.11; say make model PYTHON=python3.11")'
	$(PYTHON) -m venv --clear $(TRAIN)
	$(TRAIN)/bin/pip install --quiet --require-hashes --no-deps -r requirements/train-py311.txt
	$(TRAIN)/bin/python -c 'import torch' 2>/dev/null || $(TRAIN)/bin/pip install --quiet --require-hashes --no-deps -r requirements/train-cuda-py311.txt
	@touch $@

model: setup train-setup ## make models/factory anew from DATA=…, in about twenty minutes on two cores
	$(TRAIN)/bin/python tools/train_student.py --data $(DATA) --out models/factory --replace

baselines: setup train-setup ## what simple things reach on DATA=…, into docs/baselines.md and .json
	$(TRAIN)/bin/python tools/evaluate.py --baselines --data $(DATA) --json .baselines.json > .baselines.md
	@mv .baselines.md docs/baselines.md && mv .baselines.json docs/baselines.json

BUNDLE ?= models/factory
OUT ?= report

report: setup ## what BUNDLE=… is worth on DATA=…, as a page in OUT=…; PART=test|calibration|train|all AGAINST=OLD
	$(BIN)/python tools/evaluate.py $(BUNDLE) --data $(DATA) --out $(OUT) $(if $(PART),--part $(PART)) $(if $(AGAINST),--against $(AGAINST))

prey-value: setup train-setup ## what composed prey buys on real prey of DATA=…, into docs/prey.md
	rm -rf .composed && $(BIN)/python tools/compose_prey.py --data $(DATA) --out .composed
	$(TRAIN)/bin/python tools/prey_value.py --data $(DATA) --composed .composed > .prey.md
	@mv .prey.md docs/prey.md && rm -rf .composed

figures: setup ## what the flap makes of real photographs, from DATA=… into the README
	$(BIN)/python tools/photograph_figures.py --data $(DATA) --write README.md

lock: ## write requirements/*.txt anew for this Python (run once with 3.11 and once with 3.13)
	$(PYTHON) tools/lock.py

clean: ## remove what was made, never what was recorded
	rm -rf $(VENV) .venv-train .mypy_cache .ruff_cache .pytest_cache .hypothesis build
