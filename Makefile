# Each target makes .venv where there is none, installs what it needs, and is quick when nothing changed.
# Another Python: make clean demo PYTHON=python3.12      More arguments: make demo ARGS=--quick, make test ARGS="-k gini"

venv := .venv
python := $(venv)/bin/python
# Old packages warn of what the newest of those that they need themselves has renamed.
old_warns := -W ignore::DeprecationWarning -W ignore::FutureWarning
versions := $(or $(TMPDIR),/tmp)/pellucid
# Where no mirror answers, Debian's package; what was tried before is told only if that fails too.
data := $(python) -m pellucid data get fashion-mnist 2>$(venv)/data.log || scripts/fashion_mnist $(python) || \
	{ cat $(venv)/data.log >&2; exit 2; }
# A laptop without a browser runs the rest; under CI that is a failure.
browser := browser=$$(scripts/browser $(python)) || [ -z "$$CI" ] || exit 1
postgresql := postgresql=$$(scripts/postgresql) || [ -z "$$CI" ] || exit 1
# One thread a process: two processes of two threads slow each other down on two cores.
pytest := PELLUCID_BROWSER="$$browser" OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(python) -m pytest -n 2 --dist loadfile

# Material's note about its successor is for whoever chooses a generator, not for every build.
mkdocs := NO_MKDOCS_2_WARNING=1 $(python) -m mkdocs build

.DEFAULT_GOAL := help
.PHONY: help demo test test-python test-lowest test-newest test-slow check docs format results idioms parity torture clean

help: ## this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

demo: ## train six networks on Fashion-MNIST, measure their maps, write runs/demo/report.html
	@scripts/environment demo $(venv)
	@$(data)
	@$(python) -m pellucid demo $(ARGS)

test: ## the tests that every change passes
	@scripts/environment test $(venv)
	@$(data)
	@$(browser); $(pytest) -m "not slow" $(ARGS)

test-python: ## the same tests on another Python, in an environment of its own: make test-python PYTHON=python3.12
	@version=$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || { \
		echo "make test-python needs another Python that is installed here, such as PYTHON=python3.12; got '$(PYTHON)'" >&2; \
		exit 2; }; \
	$(MAKE) --no-print-directory test venv=.venv-$$version

test-lowest: ## the same tests with the lowest versions of all dependencies, in an environment outside the tree
	@scripts/versions lowest $(versions)-lowest
	@scripts/environment demo $(venv)
	@$(data)
	@$(browser); PELLUCID_BROWSER="$$browser" OMP_NUM_THREADS=1 $(versions)-lowest/bin/python -m pytest -n 2 --dist loadfile \
		-m "not slow" $(old_warns) $(ARGS)

test-newest: ## the same tests with the newest versions of all dependencies, in an environment outside the tree
	@scripts/versions newest $(versions)-newest
	@scripts/environment demo $(venv)
	@$(data)
	@$(browser); PELLUCID_BROWSER="$$browser" OMP_NUM_THREADS=1 $(versions)-newest/bin/python -m pytest -n 2 --dist loadfile \
		-m "not slow" $(ARGS)

test-slow: ## the long tests
	@scripts/environment test $(venv)
	@$(data)
	@$(browser); $(postgresql); PELLUCID_POSTGRESQL="$$postgresql" $(pytest) -m slow $(ARGS)

check: ## format, lint, types, import direction, the site, known vulnerabilities
	@scripts/environment check $(venv)
	$(python) -m ruff format --check .
	$(python) -m ruff check .
	$(python) -m mypy
	@$(python) -m pytest -q tests/test_imports.py
	@$(mkdocs) --quiet --site-dir $(venv)/site
	@$(python) scripts/audit $(python)

docs: ## the documentation's site in site/, with search, without a network
	@scripts/environment check $(venv)
	@$(mkdocs) --quiet --site-dir site
	@echo 'site/index.html; with search: python3 -m http.server --directory site, then http://localhost:8000'

format: ## format the code, put the imports in order
	@scripts/environment check $(venv)
	$(python) -m ruff format .
	$(python) -m ruff check --fix .

results: ## README's numbers and picture, the pages of claims and the index of results/raw, from the tables there
	@scripts/environment check $(venv)
	@$(python) benchmarks/headline.py
	@$(python) benchmarks/before_after.py
	@$(python) benchmarks/claims.py
	@$(python) benchmarks/raw_index.py
	@$(python) benchmarks/comparison.py
	@if [ -d runs/demo ]; then OMP_NUM_THREADS=1 $(python) benchmarks/concept_figures.py; fi

idioms: ## docs/idioms.md: what people do in other libraries, each example run (ARGS="--also PYTHON")
	@scripts/environment test $(venv)
	@OMP_NUM_THREADS=1 $(python) benchmarks/idioms.py $(ARGS)

parity: ## results/metrics-parity.md: every measure against independent code
	@scripts/environment parity
	@OMP_NUM_THREADS=1 .venv-parity/bin/python benchmarks/metrics_parity.py $(ARGS)

.PHONY: bench
bench: ## results/speed.md: every target of speed with today's figure (ARGS="--only neighbour"; alone on the machine)
	@scripts/environment test $(venv)
	@scripts/environment parity
	@$(data)
	@$(python) benchmarks/speed.py $(ARGS)

torture: ## results/reliability.md: kills, crash points, damage, races, faults, in an hour (ARGS="--minutes 5")
	@scripts/environment test $(venv)
	@$(data)
	@$(python) benchmarks/torture.py $(ARGS)

clean: ## remove .venv, .venv-*, caches and built packages; runs/ and downloaded data stay
	rm -rf .venv .venv-* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
