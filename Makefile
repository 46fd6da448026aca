# make demo    environment, install, then train, predict and measure on embedded data; prints the path of the report
# make test    installs what the tests need and runs all of them
# make check   the fast gate: format, lint, types, floors, fast tests
# make soak    reads ten thousand damaged files in processes that may die; SEED=n for others
# make bench   compares with other toolkits, in an environment of its own; half an hour; JSON to runs/bench, and a table
# make docs    writes the reference page and the figures of the README again

PYTHON ?= python3
VENV ?= .venv
PEERS ?= .venv-peers
BENCH ?= runs/bench
SEED ?= 1
BENCHMARKS := augmentation resample tiles train start scale losses
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: demo test check soak bench docs clean browser
.DELETE_ON_ERROR:

demo: $(VENV)/installed
	$(BIN)/hyoid demo --into runs/demo

test: $(VENV)/installed-test browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

soak: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python tests/soak/fuzz.py --seed $(SEED) --keep runs/soak

bench: $(PEERS)/installed
	mkdir -p $(BENCH)
	for name in $(BENCHMARKS); do \
	    echo "== $$name"; OMP_NUM_THREADS=1 $(PEERS)/bin/python benchmarks/$$name.py \
	    --into $(BENCH)/$$name.json || exit 1; done
	OMP_NUM_THREADS=1 $(PEERS)/bin/python benchmarks/infer.py --repeats 1 --into $(BENCH)/infer.json
	OMP_NUM_THREADS=1 $(PEERS)/bin/python benchmarks/metrics.py --repeats 1 --nnunet $(PEERS)/bin/python --into $(BENCH)
	$(PEERS)/bin/python benchmarks/summary.py $(BENCH)

docs: $(VENV)/installed-test
	$(BIN)/python docs/make_reference.py
	$(BIN)/python docs/make_banner.py

browser:
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	    && timeout 300 sh -c 'apt-get update -qq; apt-get install -y -qq --no-install-recommends chromium' >/dev/null 2>&1; } \
	    || echo "chromium is not installed; the tests of the report in a browser will be skipped"

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) -e '.[test]'
	touch $@

$(PEERS)/installed: pyproject.toml constraints.txt benchmarks/requirements.txt
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt \
	    -e '.[openvino,onnx,int8]' -r benchmarks/requirements.txt
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) build src/*.egg-info runs/demo
