# `make` prepares the environment in .venv; every other target prepares it first if need be.

PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
UV ?= uv

venv := .venv/bin
pip := $(venv)/python -m pip --disable-pip-version-check --quiet

.PHONY: all demo test lint bench man lock clean

all: .venv/installed

# pip refuses an editable requirement beside hashes, so the packages come first, by hash, and then the project.
# The lock is complete, so nothing is resolved: pip 23 would take the newest release for a requirement with an
# extra (pydantic[email]) and then refuse it, because the lock pins another.
.venv/locked: requirements.lock
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is needed; name it with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv || { \
		echo "make: $(PYTHON) cannot make a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	$(pip) install --no-deps --require-hashes -r requirements.lock
	@touch $@

.venv/installed: .venv/locked pyproject.toml
	$(pip) install --no-deps --no-build-isolation -e .
	$(venv)/python -m compileall -q attest notme_git
	@touch $@

demo: .venv/installed
	$(venv)/python docs/demo.py

# Ends with the list of peer programs that were absent.
test: .venv/installed
	$(venv)/python -m pytest -q -n auto --dist worksteal

lint: .venv/installed
	$(venv)/ruff check .
	$(venv)/mypy

bench: .venv/installed
	$(venv)/python -m bench

man: .venv/installed
	$(venv)/notme-git man --dir share/man/man1

# Needs uv. The lock holds versions and hashes of the files for every platform, and no
# address: whoever installs takes them from wherever their pip looks.
lock:
	@command -v $(UV) >/dev/null || { echo "make: uv is needed; name it with UV=..." >&2; exit 1; }
	$(UV) pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --all-extras --group dev \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate -o requirements.lock
	@! grep -inE 'https?:|file:|^-|^/| @ ' requirements.lock || { echo "make: the lock names an address" >&2; exit 1; }

clean:
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
