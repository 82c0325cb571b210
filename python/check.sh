#!/usr/bin/env bash
# Runs ruff, mypy and pytest on the Python SDK and runner, in an environment below node_modules/.cache.
set -euo pipefail
cd "$(dirname "$0")"
environment=${PYTHON_CHECKS:-../node_modules/.cache/python-checks}
wanted=$environment/requirements-checks.txt
if ! cmp --silent requirements-checks.txt "$wanted"; then
  rm -rf "$environment"
  python3 -m venv "$environment"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: -r requirements-checks.txt
  cp requirements-checks.txt "$wanted"
fi
tools=$environment/bin
export PYTHONDONTWRITEBYTECODE=1
"$tools/ruff" format --no-cache --check --quiet .
"$tools/ruff" check --no-cache --quiet .
"$tools/mypy" --no-error-summary --cache-dir "$environment/mypy"
"$tools/python" -m pytest --quiet -p no:cacheprovider
