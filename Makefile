# Two commands set everything up: `make study` and `make test`. Both go through `make env`.

PYTHON ?= python3
CORES  ?= all
BIN    := .venv/bin
PINS   := envs/requirements.txt

.PHONY: study test test-reliability test-slurm verify env lint clean

# The default study and its report.
study: env
	$(BIN)/snakemake --cores $(CORES)
	$(BIN)/snakemake --quiet all --report results/digits/report.html
	@echo "One page with everything: results/digits/report.html"

# Formatting, lint, and the test suite, in two processes: its studies keep two cores busy each.
test: env lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# The slow tests: kills, full disks, damaged files, two runs at once, thousands of configs.
test-reliability: env
	$(BIN)/python -m pytest -m reliability

# The cluster profile on a real Slurm, which is started here for it: minutes, and root.
test-slurm: env
	@command -v slurmctld >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends slurm-wlm munge; }
	$(BIN)/python -m pip install --quiet --requirement envs/slurm.txt
	SLURM_TESTS=1 $(BIN)/python -m pytest tests/slurm

# Whether results/digits is whole and says what the published run said.
verify: env
	$(BIN)/python -m convergent.verification results/digits workflow/reference/digits.csv

lint: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/snakemake --lint

# The pinned environment, made once and again only when the pins change.
env:
	@cmp -s $(PINS) .venv/pins.txt || $(MAKE) --no-print-directory .venv

.PHONY: .venv
.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed, but $(PYTHON) is $$($(PYTHON) --version 2>&1): name another one, make PYTHON=..."; exit 1; }
	@echo "Setting up .venv from $(PINS): this happens once and takes a few minutes"
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --requirement $(PINS)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@cp $(PINS) .venv/pins.txt

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis *.egg-info workflow/*.egg-info
