# make run: from clone to a measured model.  make test: every test.  The plain commands stand in README.md.
PYTHON ?= python3
KIT := .venv/bin/kit

.PHONY: run test lint clean

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -c constraints.txt -e '.[test]'
	touch $@

run: .venv/.installed
	$(KIT) train text_classification --config projects/text_classification/starter.yaml

# The starters are fetched first: the tests themselves use no network.
test: .venv/.installed
	$(KIT) starters
	HF_HUB_OFFLINE=1 .venv/bin/python -m pytest $(PYTEST)

lint: .venv/.installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

clean:
	rm -rf .venv build *.egg-info
