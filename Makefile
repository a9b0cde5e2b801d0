# make run · make test need Python 3.11 or newer, gcc and make; everything else they fetch themselves into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TAG := $(shell $(PYTHON) -c 'import sys; v = sys.version_info; print("py311" if v < (3, 12) else "py313")')
STAMP := $(VENV)/.installed-$(TAG)
DATA ?= ../shared/data

.DEFAULT_GOAL := help
.PHONY: help setup run test lint types unit bench benchmarks error-rates identity-value door-diagram door-events model train-setup train-test pareto distil-value adaptation baselines prey-value report figures firmware firmware-tools slot-faults ssh-tools bench-push soak mutants attacks lock clean drift rehearse-push s3-test unit-tools unit-check apt install uninstall install-test aarch64 aarch64-tools pi-pins power-cuts crash-states cut-tools

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

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
	$(BIN)/python tools/bench_page.py docs/benchmarks.md < .bench.jsonl
	@rm .bench.jsonl

error-rates: setup ## how often the sequential test is wrong, beside the budgets, over 10^5 drawn visits, into docs/error-rates.md
	$(BIN)/python tools/error_rates.py > .error-rates.md
	$(BIN)/python tools/similarity.py --data $(DATA) >> .error-rates.md
	@mv .error-rates.md docs/error-rates.md

identity-value: setup ## what the camera's word on a cat is worth, in the simulated world, into docs/identity.md
	$(BIN)/python tools/identity_value.py > .identity.md
	@mv .identity.md docs/identity.md

door-diagram: setup ## draw the door's tables into docs/door.md
	$(BIN)/python tools/door_diagram.py --write docs/door.md

EVENTS ?= 1000000

door-events: setup ## random events against door, coil and interlock, into docs/door.md; EVENTS=…
	$(BIN)/python tools/door_events.py --events $(EVENTS) --write docs/door.md

slot-faults: setup ## cut the power and fail the disk at every call of every step of the model slots, into docs/push.md
	$(BIN)/python tools/slot_faults.py --write docs/push.md
	$(BIN)/python tools/update_faults.py --write docs/push.md

CUTS ?= 200

power-cuts: setup ## kill a user-mode Linux at random instants while its flap records and updates, into docs/reliability.md; CUTS=10 is short
	$(BIN)/python tools/power_cuts.py --cuts $(CUTS) --write docs/reliability.md

STATES ?= 10000

crash-states: setup ## thousands of disks that a cut could leave, made from one run's writes and flushes, into docs/reliability.md; STATES=200 is short, ANEW=1
	$(BIN)/python tools/crash_states.py --states $(STATES) $(if $(ANEW),--anew) --write docs/reliability.md

cut-tools: ## install what these two need: a user-mode Linux, unless build/vm has one, and dmsetup (Debian; asks for root)
	$(if $(filter 0,$(shell id -u)),,sudo )apt-get install --yes --no-install-recommends user-mode-linux dmsetup e2fsprogs kmod

MUTANTS ?= 10000

mutants: setup ## damaged models and manifests against the update check, into docs/push.md: accepted, killed, deaths; MUTANTS=…
	$(BIN)/python tools/mutate_bundles.py --count $(MUTANTS) --write docs/push.md

drift: setup ## what the watch for drift notices in the simulated world, and how often it is wrong, into docs/push.md
	$(BIN)/python tools/drift_figures.py --write docs/push.md

attacks: setup ## every attack on the way of a model, and every case of TUF's conformance groups, counted into docs/push.md
	@mkdir -p build
	$(BIN)/pytest -n 2 -m "attack or conformance" --junitxml=build/attacks.xml
	@$(BIN)/python tools/attacks.py build/attacks.xml --write docs/push.md

S3 := .venv-s3

$(S3)/.installed-$(TAG): requirements/s3-test-$(TAG).txt
	$(PYTHON) -m venv --clear $(S3)
	$(S3)/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/s3-test-$(TAG).txt
	@touch $@

s3-test: $(S3)/.installed-$(TAG) ## a push to a real S3 server on this machine, and a flap that polls it (.venv-s3)
	$(S3)/bin/python -m pytest --noconftest -s tests/s3

TRAIN := .venv-train

train-setup: $(TRAIN)/.installed ## make the trainer's environment (.venv-train; Python 3.11 only, 2 to 6 GB)

$(TRAIN)/.installed: requirements/train-py311.txt requirements/train-cuda-py311.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "the converter needs Python 3.11; say make model PYTHON=python3.11")'
	$(PYTHON) -m venv --clear $(TRAIN)
	$(TRAIN)/bin/pip install --quiet --require-hashes --no-deps -r requirements/train-py311.txt
	$(TRAIN)/bin/python -c 'import torch' 2>/dev/null || $(TRAIN)/bin/pip install --quiet --require-hashes --no-deps -r requirements/train-cuda-py311.txt
	@touch $@

STUDENT ?= build/student

model: setup train-setup ## make a student and its teacher from DATA=… into STUDENT=…, in about forty minutes on two cores; RESUME=1 goes on
	$(TRAIN)/bin/python tools/train.py --data $(DATA) --out $(STUDENT) $(if $(RESUME),--resume)

train-test: setup train-setup ## what needs the trainer's environment: its tests, and every step of a training on a handful of pictures
	$(TRAIN)/bin/python -m pytest -p no:anyio tests/training

pareto: setup train-setup ## size and width of the student against time, from the work of make model, into docs/pareto.md
	$(TRAIN)/bin/python tools/pareto.py --data $(DATA) --work $(STUDENT).work

distil-value: setup train-setup ## what distillation buys, from the work of make model, into docs/distillation.md
	$(TRAIN)/bin/python tools/distil_value.py --data $(DATA) --work $(STUDENT).work

adaptation: setup train-setup ## what adapting to a home buys, from the work of make model, into docs/adaptation.md
	$(TRAIN)/bin/python tools/adaptation_curve.py --data $(DATA) --work $(STUDENT).work

baselines: setup train-setup ## what simple things reach on DATA=…, into docs/baselines.md and .json; AGAIN=1: only the student is new
	$(TRAIN)/bin/python tools/evaluate.py --baselines $(if $(AGAIN),--again) --data $(DATA) --json .baselines.json > .baselines.md
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

firmware: ## the coil guard's image for its chip, into build/firmware; PROFILE=… names the coil (firmware/guard/limits.h)
	@$(MAKE) --no-print-directory -C firmware/guard avr $(if $(PROFILE),PROFILE=$(PROFILE))

firmware-tools: ## install what builds that image and runs it in a simulated chip (Debian; asks for root)
	$(if $(filter 0,$(shell id -u)),,sudo )apt-get install --yes --no-install-recommends gcc-avr avr-libc libsimavr-dev libelf-dev

ssh-tools: ## install the sshd that the tests push to (Debian; asks for root)
	$(if $(filter 0,$(shell id -u)),,sudo )apt-get install --yes --no-install-recommends openssh-server openssh-client

bench-push: setup ## from push to "on trial" over a real sshd on this machine, seconds per stage; and from death to the model before; into docs/push.md
	@$(BIN)/python tools/bench_push.py --write docs/push.md
	@$(BIN)/python tools/bench_rollback.py --write docs/push.md

HOURS ?= 24

soak: setup ## a thousand simulated nights, going on where it stopped: does anything grow? into docs/reliability.md; HOURS=1 or, short and apart, NIGHTS=20
	$(BIN)/python tools/soak.py --hours $(HOURS) $(if $(NIGHTS),--nights $(NIGHTS) --home build/soak-short,--write docs/reliability.md)

rehearse-push: setup ## a roll-out to twenty flaps behind real sshds on this machine, into docs/push.md
	@$(BIN)/python tools/rehearse_push.py --write docs/push.md

unit-tools: ## install what the check of the units boots its container with (Debian; asks for root)
	$(if $(filter 0,$(shell id -u)),,sudo )apt-get install --yes --no-install-recommends systemd-container mmdebstrap acl

unit-check: setup ## the units under a real systemd in a container: ready, watchdog, rest, sandboxes, push, back-off (root)
	@$(BIN)/python tools/unit_check.py

# As root with the system's own Python: no environment is there yet. -B: nothing is left in the checkout.
INSTALL := $(if $(filter 0,$(shell id -u)),,sudo )/usr/bin/python3 -B tools/install.py

apt: ## install the Debian packages that the flap needs (on a Pi; asks for root)
	$(if $(filter 0,$(shell id -u)),,sudo )apt-get install --yes --no-install-recommends $$(/usr/bin/python3 -B tools/install.py --packages)

install: ## install or upgrade the flap on this Pi (docs/install.md); RELEASE=previous goes back; OPTIONS=--boot-line …
	@$(INSTALL) $(if $(filter previous,$(RELEASE)),--back) $(OPTIONS)

uninstall: ## remove it from this Pi; pictures and configuration stay
	@$(INSTALL) --uninstall

install-test: setup ## install, upgrade, fail, go back, remove: real Bookworm and Trixie under systemd (needs root); SUITES=…
	$(BIN)/python tools/install_check.py $(SUITES) --write docs/install.md

aarch64-tools: ## install what emulates a Pi's processor and board (Debian; asks for root)
	$(if $(filter 0,$(shell id -u)),,sudo )apt-get install --yes --no-install-recommends qemu-user qemu-system-arm mmdebstrap debian-archive-keyring device-tree-compiler cpio

aarch64: setup ## the real aarch64 wheels and the model under qemu, compared and counted, into docs/reliability.md and docs/benchmarks.md; QUICK=1
	$(BIN)/python tools/aarch64.py $(if $(QUICK),--quick,--write)

pi-pins: setup ## the bolt's line on an emulated Pi's own pin controller, with three kernels, into docs/reliability.md
	$(BIN)/python tools/pi_pins.py --write

VM := CATFLAP_VM=1 PYTHONPATH=$(CURDIR) $(if $(SHORT),CATFLAP_VM_SHORT=1,CATFLAP_VM_PAGE=docs/reliability.md)

vm-tools: ## install what builds the bench's kernel and disk (Debian; asks for root)
	$(if $(filter 0,$(shell id -u)),,sudo )apt-get install --yes --no-install-recommends flex bison bc libelf-dev libssl-dev kmod xz-utils bzip2 linux-source-6.1 v4l2loopback-source mmdebstrap fakeroot e2fsprogs

vm-test: setup ## the flap on a machine of its own kernel, with pins, cameras, watchdog, sshd; into docs/reliability.md; SHORT=1
	$(VM) $(BIN)/pytest -p no:cacheprovider -n 0 -s tests/vm

lock: ## write requirements/*.txt anew for this Python (run once with 3.11 and once with 3.13)
	$(PYTHON) tools/lock.py

clean: ## remove what was made, never what was recorded
	rm -rf $(VENV) .venv-s3 .venv-train .mypy_cache .ruff_cache .pytest_cache .hypothesis build
