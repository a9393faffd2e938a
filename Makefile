# make run: from clone to a measured model.  make demo: show it.  make test: every test.
# The plain commands stand in README.md.
PYTHON ?= python3
KIT := .venv/bin/kit

.PHONY: run demo test browser-tools lint clean

.venv/.installed: pyproject.toml constraints.txt
	@echo "installing into .venv: this takes some minutes; what pip says goes to .venv/install.log"
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt -e '.[test]' \
		>.venv/install.log 2>&1 || { cat .venv/install.log; exit 1; }
	@touch $@

run: .venv/.installed
	$(KIT) train text_classification --config projects/text_classification/starter.yaml

demo: .venv/.installed
	$(KIT) demo

# What the browser tests need beside Chromium; without it they are skipped, and say so.
AXE := $(HOME)/.cache/finetuning-kit/axe
browser-tools: $(AXE)/node_modules/axe-core/axe.min.js
$(AXE)/node_modules/axe-core/axe.min.js:
	npm install --silent --no-audit --no-fund --prefix $(AXE) axe-core@4.14.1

# The starters are fetched first: the tests themselves use no network. Two workers of one thread each keep two cores busy;
# the threads of what they launch must not spin while they wait for a core.
test: .venv/.installed
	$(KIT) starters
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive .venv/bin/python -m pytest -n 2 --dist loadfile $(PYTEST)

lint: .venv/.installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

clean:
	rm -rf .venv build *.egg-info
